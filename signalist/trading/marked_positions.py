"""Positions at the price of their market: what each is worth, how far it is from its stop and target, and how well it is covered."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import Enum

from signalist.domain.money import ZERO, settle
from signalist.domain.positions import Holding
from signalist.domain.signals import Direction
from signalist.trading.labels import Follower, Market

OLD_AFTER = timedelta(seconds=90)
"""A price older than this is shown with its age: nothing was ever sized by one."""


class Cover(Enum):
    """What protects a position: the look of its state, the word for it, and what that means."""

    AT_VENUE = ("ok", "Stop at venue", "")
    SOFTWARE = (
        "ok",
        "Software stop",
        "The venue keeps no stop: the engine watches the price and goes to market when it is there.",
    )
    BLIND = ("bad", "Software stop, old price", "The engine watches the price for it, and has seen no fresh one.")
    PARTLY = ("warn", "Stop covers a part", "It is being resized to what is open.")
    SENDING = ("info", "Stop on its way", "The venue has not confirmed it yet.")
    IN_DOUBT = ("warn", "Stop in doubt", "The venue's answer was lost; it is being looked up.")
    CLOSING = ("info", "Closing", "Protection is withdrawn first, then the rest is sold or bought back at market.")
    MISSING = ("bad", "No stop at venue", "A stop is wanted and none stands there.")
    NONE = ("bad", "No stop", "The signal named none.")
    FLAT = ("idle", "Closed", "")

    @property
    def look(self) -> str:
        """The class of `.state`."""
        return self.value[0]

    @property
    def word(self) -> str:
        """In a word or three."""
        return self.value[1]

    @property
    def meaning(self) -> str:
        """In a sentence; empty where the word says it all."""
        return self.value[2]


@dataclass(frozen=True, slots=True)
class Bar:
    """Stop on the left, target on the right, for longs and shorts alike; all in percent of the way between them."""

    entry: float
    mark: float

    @property
    def begin(self) -> float:
        """Where the stretch from entry to mark begins."""
        return min(self.entry, self.mark)

    @property
    def width(self) -> float:
        """How long it is."""
        return abs(self.mark - self.entry)

    @property
    def is_good(self) -> bool:
        """Whether the mark is on the target's side of the entry."""
        return self.mark >= self.entry


@dataclass(frozen=True, slots=True)
class OpenPosition:
    """A position at the newest price of its market. Results are in the market's quote currency, before the fee of closing."""

    id: int
    market: Market
    follower: Follower
    holding: Holding
    leverage: Decimal
    stop: Decimal | None
    target: Decimal | None
    mark: Decimal | None
    mark_age: timedelta | None
    risk_each: Decimal | None
    cover: Cover
    covered: Decimal
    signal: uuid.UUID | None

    @property
    def is_long(self) -> bool:
        return self.holding.direction is Direction.LONG

    @property
    def quantity(self) -> Decimal:
        return self.holding.quantity

    @property
    def entry(self) -> Decimal:
        """The average price that was paid or got."""
        return self.holding.average_entry

    @property
    def is_old(self) -> bool:
        """Whether the mark is too old to be called one."""
        return self.mark_age is not None and self.mark_age > OLD_AFTER

    @property
    def result(self) -> Decimal | None:
        """What is won or lost at the mark; None without one."""
        return None if self.mark is None else self.holding.open_result(self.mark)

    @property
    def value(self) -> Decimal | None:
        """What the open quantity is worth at the mark."""
        return None if self.mark is None else settle(self.holding.notional(self.mark))

    @property
    def risk(self) -> Decimal | None:
        """What the open quantity was decided to lose at its stop, at most; None where the signal named none."""
        return settle(self.risk_each * self.quantity) if self.risk_each else None

    @property
    def r(self) -> Decimal | None:
        """The open result as a multiple of the risk at entry."""
        return self.result / self.risk if self.result is not None and self.risk else None

    @property
    def to_stop(self) -> Decimal | None:
        """How far the market is from the stop, as a fraction of the mark; negative where it is past it."""
        return self._distance(self.stop, -1)

    @property
    def to_target(self) -> Decimal | None:
        """How far it is from the target, likewise."""
        return self._distance(self.target, 1)

    @property
    def at_stop(self) -> Decimal | None:
        """What is lost from now on if the stop fills at its level (negative), not counting what was won or lost before."""
        return self._change(self.stop)

    @property
    def at_target(self) -> Decimal | None:
        """What is still to be won if the target fills."""
        return self._change(self.target)

    @property
    def bar(self) -> Bar | None:
        """None where there is no stop or no mark to draw. Without a target the right end is twice the risk away."""
        if self.stop is None or self.mark is None or self.entry == self.stop:
            return None
        end = self.target if self.target is not None else self.entry + 2 * (self.entry - self.stop)
        if end == self.stop:
            return None
        return Bar(_place(self.entry, self.stop, end), _place(self.mark, self.stop, end))

    def _distance(self, level: Decimal | None, sign: int) -> Decimal | None:
        if level is None or not self.mark:
            return None
        return (level - self.mark) / self.mark * self.holding.direction.sign * sign

    def _change(self, level: Decimal | None) -> Decimal | None:
        if level is None or self.mark is None:
            return None
        return settle((level - self.mark) * self.quantity * self.holding.direction.sign)


def _place(price: Decimal, left: Decimal, right: Decimal) -> float:
    return min(max(float((price - left) / (right - left)) * 100, 0.0), 100.0)


@dataclass(frozen=True, slots=True)
class Total:
    """Positions of real or of paper accounts in one currency. What could not be counted in is said, not passed over."""

    is_paper: bool
    currency: str
    positions: Sequence[OpenPosition]

    @property
    def result(self) -> Decimal | None:
        """Open result of those with a mark; None where none has one."""
        return _sum(p.result for p in self.positions)

    @property
    def at_stops(self) -> Decimal | None:
        """What is lost from now on if every stop fills."""
        return _sum(p.at_stop for p in self.positions)

    @property
    def value(self) -> Decimal | None:
        return _sum(p.value for p in self.positions)

    @property
    def winning(self) -> int:
        """How many stand above their entry."""
        return sum(1 for p in self.positions if p.result is not None and p.result > 0)

    @property
    def without_mark(self) -> int:
        return sum(1 for p in self.positions if p.mark is None)

    @property
    def without_stop(self) -> int:
        """How many have no level at which they end: they are in no sum over stops."""
        return sum(1 for p in self.positions if p.stop is None)

    @property
    def covered(self) -> int:
        """How many have their whole stop, at the venue or watched by the engine."""
        return sum(1 for p in self.positions if p.cover in (Cover.AT_VENUE, Cover.SOFTWARE))

    @property
    def by_software(self) -> int:
        """How many of them are watched by the engine."""
        return sum(1 for p in self.positions if p.cover is Cover.SOFTWARE)

    @property
    def bare(self) -> int:
        """How many have no stop at all at the venue."""
        return sum(1 for p in self.positions if p.cover in (Cover.MISSING, Cover.NONE, Cover.BLIND))


def _sum(values: Iterable[Decimal | None]) -> Decimal | None:
    known = [value for value in values if value is not None]
    return sum(known, ZERO) if known else None


@dataclass(frozen=True, slots=True)
class Part:
    """The positions of real accounts, or those of paper accounts."""

    is_paper: bool
    positions: Sequence[OpenPosition]


@dataclass(frozen=True, slots=True)
class PositionBook:
    """All open positions: real before paper, oldest first. `following` counts the subscriptions that may open more."""

    parts: Sequence[Part]
    totals: Sequence[Total]
    following: int

    @property
    def count(self) -> int:
        return sum(len(part.positions) for part in self.parts)

    @property
    def is_mixed(self) -> bool:
        """Whether real and paper stand on one page, and so must be told apart."""
        return len(self.parts) > 1

    @property
    def only_paper(self) -> bool:
        return bool(self.parts) and all(part.is_paper for part in self.parts)
