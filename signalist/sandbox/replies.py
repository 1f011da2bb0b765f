"""What a strategy's process has answered, read as what it is: a stranger's bytes. What they do not say clearly is refused."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from signalist.domain.errors import DomainError
from signalist.domain.strategies import ParameterSpec, SignalArrays

from . import frames
from .child import readable

_WRONG_SIZE = "The strategy's process sent arrays of the wrong size."
_SPEC_KEYS = {"name", "type", "default", "minimum", "maximum", "help", "choices"}


def arrays(body: memoryview, bars: int) -> SignalArrays:
    """The arrays of an ARRAYS frame, which look at its bytes; any flag byte but 0 is true. Raises DomainError for a body of another size
    than that of the columns that it names."""
    if len(body) < frames.SAID.size:
        raise DomainError(_WRONG_SIZE)
    (said,) = frames.SAID.unpack_from(body)
    try:
        columns = frames.said_columns(said)
    except ValueError:
        raise DomainError("The strategy's process sent arrays that nobody knows.") from None
    if len(body) != frames.arrays_size(bars, said):
        raise DomainError(_WRONG_SIZE)
    given: dict[str, np.ndarray[Any, Any]] = {}
    offset = frames.SAID.size
    for name in columns:
        flag = name in frames.FLAG_COLUMNS
        column = np.frombuffer(body, np.uint8 if flag else "<f8", bars, offset)
        given[name] = column != 0 if flag else column
        offset += frames.width(name) * bars
    return SignalArrays.of(bars, given)


def specs(body: bytearray | memoryview) -> tuple[ParameterSpec, ...]:
    """The declared parameters. Raises DomainError for a declaration that makes no sense or a reply that cannot be read."""
    found = []
    declared = _read(body)
    for said in declared if isinstance(declared, list) else [None]:
        if not isinstance(said, dict) or set(said) != _SPEC_KEYS or not isinstance(said["choices"], list):
            raise DomainError("The declared parameters cannot be read.")
        words = [said["name"], said["type"], said["help"], *said["choices"]]
        if not all(isinstance(word, str) for word in words):
            raise DomainError("The name, help and choices of a parameter must be text.")
        found.append(
            ParameterSpec(**{**said, "help": readable(said["help"]), "choices": tuple(map(readable, said["choices"]))})
        )
    return tuple(found)


def history(body: bytearray | memoryview) -> int:
    """The declared history, not yet within its bounds. Raises DomainError for a reply that cannot be read."""
    said = _read(body)
    bars = said.get("history") if isinstance(said, dict) else None
    if not isinstance(bars, int) or isinstance(bars, bool):
        raise DomainError("The declared history cannot be read.")
    return bars


def _read(body: bytearray | memoryview) -> object:
    try:
        value: object = json.loads(bytes(body))
    except (ValueError, RecursionError):
        raise DomainError("The strategy's declarations cannot be read.") from None
    return value
