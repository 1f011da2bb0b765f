"""Which code is the house's own: the files of its library, to the byte."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

LIBRARY = Path(__file__).with_name("library")


def content_hash(source: str) -> str:
    """What a source is known by: SHA-256 of its UTF-8 bytes, in hex."""
    return hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest()


def is_house(source: str) -> bool:
    """Whether `source` is a file of the library: it may run on a machine that cannot hold a stranger's code."""
    return content_hash(source) in _library()


@cache
def _library() -> frozenset[str]:
    return frozenset(content_hash(path.read_text(encoding="utf-8")) for path in LIBRARY.glob("*.py"))
