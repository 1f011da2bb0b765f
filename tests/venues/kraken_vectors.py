"""Published and recorded examples of Kraken's protocol, which lie beside the project; where they do not, their tests are excused."""

from __future__ import annotations

import json
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest

VECTORS = Path(__file__).parents[3] / "shared" / "vectors"
beside = pytest.mark.skipif(not VECTORS.is_dir(), reason="the recorded examples are not here")


@cache
def vectors(name: str) -> Any:
    """One file, with every fraction exact."""
    return json.loads((VECTORS / name).read_text(encoding="utf-8"), parse_float=Decimal)


def rest(name: str) -> Any:
    """A recorded answer's result."""
    return vectors("kraken-rest-responses.json")[name]["result"]


def messages(label: str) -> list[str]:
    """The recorded stream messages under a label, as they came."""
    return [m["raw"] for m in vectors("kraken-ws-v2-messages.json")["messages"] if m["label"] == label]
