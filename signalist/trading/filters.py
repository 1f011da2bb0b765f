"""What the lists of orders, trades and decisions can be filtered by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from signalist.display.listing import Choice
from signalist.trading.closed_trades import EXITS, PERIODS, TradeFilter
from signalist.trading.signal_records import EVERY

Query = Mapping[str, str]
Options = Sequence[tuple[str, str]]

_LEGS = (("", "All legs"), ("ENTRY", "Entry"), ("EXIT", "Exit"), ("STOP", "Stop"), ("TARGET", "Target"))
_GROUPS = (("", "All states"), ("working", "Working"), ("filled", "Filled"), ("ended", "Ended without more fills"))
_OUTCOMES = (
    ("", "All but exits with nothing to exit"),
    ("TAKEN", "Taken"),
    ("RESIZED", "Resized"),
    ("SKIPPED", "Skipped"),
    ("DENIED", "Denied"),
    (EVERY, "Every signal"),
)
_PERIODS = (("1", "24 hours"), ("7", "7 days"), ("30", "30 days"), ("90", "90 days"))
_ALWAYS = (("", "All time"),)
_DIRECTIONS = (("", "Long and short"), ("LONG", "Long"), ("SHORT", "Short"))


def order_choices(query: Query, instruments: Options) -> tuple[Choice, Choice, Choice]:
    """State, leg and instrument."""
    return (
        Choice.of(query, "state", "State", _GROUPS),
        Choice.of(query, "leg", "Leg", _LEGS),
        Choice.of(query, "instrument", "Instrument", [("", "All instruments"), *instruments]),
    )


def trade_choices(query: Query, instruments: Options) -> tuple[Choice, Choice, Choice, Choice]:
    """Instrument, way out, direction and period.

    All time is for all trades alone, whose sums are kept by day; of some, the sums are made from each, and the longest period is taken.
    """
    which = (
        Choice.of(query, "instrument", "Instrument", [("", "All instruments"), *instruments]),
        Choice.of(query, "exit", "Ended by", [("", "Any exit"), *EXITS.items()]),
        Choice.of(query, "direction", "Direction", _DIRECTIONS),
    )
    some = any(choice.value for choice in which)
    longest = _PERIODS[-1][0]
    default = longest if some and query.get("period") == "" else "7"
    periods = _PERIODS if some else (*_PERIODS, *_ALWAYS)
    return (*which, Choice.of(query, "period", "Closed within", periods, default=default))


def trade_filter(choices: Sequence[Choice], now: datetime) -> TradeFilter:
    """The filter that these choices make."""
    instrument, ended, direction, period = (choice.value for choice in choices)
    return TradeFilter(instrument, ended, direction, now - PERIODS[period] if period else None)


def decision_choices(query: Query, strategies: Options) -> tuple[Choice, Choice]:
    """Outcome and strategy."""
    return (
        Choice.of(query, "outcome", "Outcome", _OUTCOMES),
        Choice.of(query, "strategy", "Strategy", [("", "All strategies"), *strategies]),
    )
