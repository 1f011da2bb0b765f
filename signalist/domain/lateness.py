"""How late a candle may be run, and its signals traded, by timeframe (EXE-04, CON-45)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from signalist.domain.timeframes import Timeframe

RUN_WITHIN: Mapping[str, timedelta] = {
    "10s": timedelta(seconds=2),
    "1m": timedelta(seconds=2),
    "5m": timedelta(seconds=10),
    "15m": timedelta(seconds=15),
    "30m": timedelta(seconds=20),
    "1h": timedelta(seconds=30),
    "2h": timedelta(seconds=45),
    "4h": timedelta(seconds=60),
    "1d": timedelta(seconds=60),
}
"""After its close, so long a candle may be claimed for a run. A longer one has more parts that must be known first, each minute of which
may be one without a trade that the venue's history has to tell, and its price says as much a little later."""
TO_TRADE = timedelta(seconds=8)
"""What is left, at the least, to carry out what a run that was claimed in time has said."""

TAKEN_OVER_WITHIN = timedelta(seconds=10)
"""So long after the last moment for its claim a run may still be made by another engine than the one that claimed it and died: what a dead
engine held is in other hands within that. Later there was an outage, and what it missed is for each follower to have chosen."""
EXIT_LASTS = timedelta(minutes=15)
"""So long at least an exit that a strategy has said is still an exit, though nobody could look at it: a restart is no outage."""


def run_within(frame: Timeframe) -> timedelta:
    """How long after its close a candle may be claimed for a run."""
    return RUN_WITHIN[frame.code]


def made_by(close: datetime, frame: Timeframe) -> datetime:
    """Until when a run that was claimed in time may be taken over from an engine that is no more."""
    return close + run_within(frame) + TAKEN_OVER_WITHIN


def exit_lasts(frame: Timeframe) -> timedelta:
    """How old an exit may be that nobody has looked at: until the next candle has closed at the least, after which the strategy is asked
    anew."""
    return max(frame.length, EXIT_LASTS)


def entry_deadline(close: datetime, frame: Timeframe) -> datetime:
    """Until when an entry of a signal may be sent; within the candle that follows in any case."""
    return close + min(run_within(frame) + TO_TRADE, frame.length)
