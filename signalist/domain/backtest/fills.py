"""What a position was and why it ended, in whole numbers."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from signalist.domain.signals import Direction


class ExitReason(StrEnum):
    """Why a position ended."""

    STOP = "stop"
    TARGET = "target"
    SIGNAL = "signal"
    LIQUIDATION = "liquidation"
    END = "end"


class Fill(NamedTuple):
    """One round trip in whole numbers. Bars are indices; `pnl` is net of both fees, in units. A tuple, because there are many."""

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
