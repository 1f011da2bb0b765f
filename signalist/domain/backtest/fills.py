"""What a position was and why it ended, in whole numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from functools import partial
from typing import Any, NamedTuple, overload

from signalist.domain.signals import Direction


class ExitReason(StrEnum):
    """Why a position ended."""

    STOP = "stop"
    TARGET = "target"
    SIGNAL = "signal"
    LIQUIDATION = "liquidation"
    END = "end"


class Fill(NamedTuple):
    """One round trip in whole numbers. Bars are indices; `pnl` is net of both fees, in units."""

    direction: Direction
    entry_bar: int
    exit_bar: int
    lots: int
    entry: int
    exit: int
    entry_fee: int
    exit_fee: int
    pnl: int
    reason: ExitReason
    exit_at_open: bool


_made = partial(tuple.__new__, Fill)


class Fills(Sequence[Fill]):
    """Round trips in order, kept by column, because there are many and most are only reckoned over."""

    __slots__ = ("_columns",)

    def __init__(self, columns: Sequence[Sequence[Any]]) -> None:
        """`columns` are the fields of Fill in order, each as long as the others."""
        self._columns = columns

    def with_these(self, others: Sequence[tuple[int, Fill]]) -> Fills:
        """These and others, each with how many of these come before it."""
        if not others:
            return self
        columns = []
        for place, mine in enumerate(self._columns):
            column: list[Any] = []
            done = 0
            for before, fill in others:
                column += mine[done:before]
                column.append(fill[place])
                done = before
            columns.append(column + list(mine[done:]))
        return Fills(columns)

    def column(self, name: str) -> Sequence[Any]:
        """One field of each."""
        return self._columns[Fill._fields.index(name)]

    def __len__(self) -> int:
        return len(self._columns[0])

    def __iter__(self) -> Iterator[Fill]:
        return map(_made, zip(*self._columns, strict=True))

    @overload
    def __getitem__(self, place: int) -> Fill: ...
    @overload
    def __getitem__(self, place: slice) -> Fills: ...
    def __getitem__(self, place: int | slice) -> Fill | Fills:
        if isinstance(place, slice):
            return Fills([column[place] for column in self._columns])
        return Fill(*(column[place] for column in self._columns))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]  # lists have none
