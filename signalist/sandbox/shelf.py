"""Python's own libraries as a list that is made beforehand, so that a strategy's process imports late what it needs without asking the
kernel about any file: a process that may ask learns of every path whether it is there, since when, and whose it is.

Loaded by path in the sandbox, so it imports only the standard library. Modules that are compiled cannot be loaded late: what may be wanted
of them is imported by the warm process.
"""

from __future__ import annotations

import importlib.machinery
import os
import sys
import zoneinfo
from pathlib import Path
from typing import Any

_LEFT_OUT = frozenset(
    {"__pycache__", "test", "tests", "site-packages", "idlelib", "lib2to3", "tkinter", "turtledemo", "ensurepip"}
)
_external: Any = sys.modules["_frozen_importlib_external"]

_files: dict[str, os.stat_result] = {}
_lists: dict[str, list[str]] = {}
_zones: dict[str, str] = {}


def note(roots: list[str]) -> None:
    """List the modules below the directories `roots`, and the time zones. Before the walls stand."""
    for root in roots:
        for folder, folders, files in os.walk(root):
            folders[:] = [name for name in folders if name not in _LEFT_OUT]
            _lists[folder] = folders + files
            for path in (Path(folder), *(Path(folder, name) for name in files if name.endswith(".py"))):
                _files[str(path)] = path.stat()
    for root in zoneinfo.TZPATH:
        for folder, _, files in os.walk(root):
            for name in files:
                path = Path(folder, name)
                _zones.setdefault(path.relative_to(root).as_posix(), str(path))


def install() -> None:
    """From now on imports, and time zones, are looked up in the list."""
    _external._path_stat = _known
    for finder in (one for one in sys.path_importer_cache.values() if isinstance(one, importlib.machinery.FileFinder)):
        finder._path_mtime = -1  # type: ignore[attr-defined]  # what it has seen of its directory is looked up anew
    _external.FileFinder._fill_cache = _fill
    sys.modules["zoneinfo._tzpath"].find_tzfile = _zones.get  # type: ignore[attr-defined]


def _known(path: str) -> os.stat_result:
    try:
        return _files[path]
    except KeyError:
        raise FileNotFoundError(path) from None


def _fill(finder: Any) -> None:
    finder._path_cache = set(_lists.get(finder.path, ()))
    finder._relaxed_path_cache = set()
