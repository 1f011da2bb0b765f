"""Where two runs of a strategy say different things."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from signalist.domain.strategies import FLAG_FIELDS, LEVEL_FIELDS, SCORE_FIELDS, Flags, Floats, SignalArrays, SignalRow


class Difference(NamedTuple):
    """The first bar that differs, the field, and what the one and the other say there."""

    bar: int
    field: str
    one: str
    other: str


def first_difference(one: SignalArrays, other: SignalArrays, tolerance: float) -> Difference | None:
    """Where `one` and `other` first differ over the bars that both have; None where they do not.

    Levels count where their entry is set in both, scores where both say something; numbers within the fraction `tolerance` are equal.
    """
    n = min(len(one), len(other))
    mine, theirs = one.cut(0, n), other.cut(0, n)
    found: list[tuple[int, int, str]] = []
    for place, name in enumerate((*FLAG_FIELDS, *LEVEL_FIELDS, *SCORE_FIELDS)):
        differs = _differs(name, mine, theirs, tolerance)
        if differs.any():
            found.append((int(np.argmax(differs)), place, name))
    if not found:
        return None
    bar, _, name = min(found)
    return Difference(bar, name, *(_said(getattr(signals, name)[bar].item()) for signals in (mine, theirs)))


def rows_differ(one: Sequence[SignalRow], other: Sequence[SignalRow], tolerance: float) -> str | None:
    """The name of what differs between the signals of one bar, or None."""
    if [row.kind for row in one] != [row.kind for row in other]:
        said, wanted = (", ".join(row.kind.value for row in rows) or "nothing" for rows in (one, other))
        return f"{said} and {wanted}"
    for mine, theirs in zip(one, other, strict=True):
        for name in ("stop", "target", "strength", "confidence"):
            first, second = getattr(mine, name), getattr(theirs, name)
            if (first is None) != (second is None):
                return f"{mine.kind} with a {name} of {_said(first)} and of {_said(second)}"
            if first is not None and abs(first - second) > tolerance * max(abs(first), abs(second), tolerance):
                return f"{mine.kind} with a {name} of {_said(first)} and of {_said(second)}"
    return None


def _differs(name: str, one: SignalArrays, other: SignalArrays, tolerance: float) -> Flags:
    mine, theirs = getattr(one, name), getattr(other, name)
    if name in FLAG_FIELDS:
        return np.asarray(mine != theirs, dtype=np.bool_)
    if name in LEVEL_FIELDS:
        entry = "enter_long" if name.endswith("long") else "enter_short"
        counts = getattr(one, entry) & getattr(other, entry)
    else:
        counts = _says(one) & _says(other)
    return np.asarray(counts & ~_close(mine, theirs, tolerance), dtype=np.bool_)


def _says(signals: SignalArrays) -> Flags:
    return signals.enter_long | signals.exit_long | signals.enter_short | signals.exit_short


def _close(one: Floats, other: Floats, tolerance: float) -> Flags:
    return np.asarray(
        np.isclose(one, other, rtol=tolerance, atol=tolerance * tolerance, equal_nan=True), dtype=np.bool_
    )


def _said(value: object) -> str:
    if value is None:
        return "none"
    return f"{value:.10g}" if isinstance(value, float) else str(value)
