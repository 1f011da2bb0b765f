"""A signal as its author sees it: how many followers did what, by which rule, and how well it was filled. Nobody's numbers, nobody's name.

Read through the author's own door (`across_tenants(PURPOSE)`), which shows counts and middles only.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from statistics import median
from typing import Any

from django.db.models import Count, Min

from signalist.accounts.connectors import play_money_venues
from signalist.domain.orders import Leg, Side
from signalist.trading.decision_words import Facts, reason
from signalist.trading.models import Execution, ExecutionStatus, Order
from signalist.trading.order_book import average_fill, slippage
from signalist.trading.signal_records import SignalFacts, facts_of, signals

PURPOSE = "author"

FEWEST = 3
"""A middle of fewer fills than this would be somebody's own number."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many followers had this answer. `title` names the rule that decided."""

    status: str
    title: str
    count: int


@dataclass(frozen=True, slots=True)
class Filling:
    """How real or paper accounts were filled: the middle of slippage (a fraction, positive where it was paid), and of the time in ms
    from the candle's close to the first fill. None where there are too few."""

    is_paper: bool
    fills: int
    slippage: Decimal | None
    delay_ms: float | None


@dataclass(frozen=True, slots=True)
class AuthoredSignal:
    """One signal over all followers."""

    facts: SignalFacts
    outcomes: Sequence[Outcome]
    fillings: Sequence[Filling]

    @property
    def count(self) -> int:
        return sum(outcome.count for outcome in self.outcomes)

    @property
    def by_status(self) -> Sequence[tuple[str, int]]:
        """(status, followers) of every status that a decision can end in, in their usual order."""
        counts = dict.fromkeys(ExecutionStatus.values, 0)
        for outcome in self.outcomes:
            counts[outcome.status] += outcome.count
        return [(status, count) for status, count in counts.items() if count or status != ExecutionStatus.PENDING]


def authored_signal(public_id: uuid.UUID, author_id: int) -> AuthoredSignal | None:
    """A signal of the author's own strategy; None for any other. Three queries."""
    signal = signals().filter(public_id=public_id, schedule__version__strategy__author_id=author_id).first()
    if signal is None:
        return None
    facts = facts_of(signal)
    counted = Execution.objects.filter(signal=signal).values_list("status", "rule").annotate(followers=Count("id"))
    outcomes = [
        Outcome(status, _title(facts, status, rule), count)
        for status, rule, count in counted.order_by("-followers", "status", "rule")
    ]
    leg = Leg.ENTRY if facts.is_entry else Leg.EXIT
    sent = Order.objects.filter(execution__signal=signal, leg=leg.value).select_related("instrument")
    filled = [order for order in sent.annotate(first=Min("fills__time")).order_by("pk") if order.filled]
    # Whose accounts they are is not for authors; at a venue that trades play money here all of them do.
    played = play_money_venues()
    kinds = [(paper, [o for o in filled if (o.instrument.venue in played) == paper]) for paper in (False, True)]
    return AuthoredSignal(
        facts, outcomes, [_filling(paper, orders, signal.candle_close) for paper, orders in kinds if orders]
    )


def _filling(is_paper: bool, orders: Sequence[Any], close: datetime) -> Filling:
    """The middles of these orders, which have fills, each with the time of its `first`."""
    paid = [p for o in orders if (p := slippage(Side(o.side), o.reference_price, average_fill(o))) is not None]
    delays = [(order.first - close).total_seconds() * 1000 for order in orders]
    enough = len(orders) >= FEWEST
    return Filling(is_paper, len(orders), median(paid) if enough and paid else None, median(delays) if enough else None)


def _title(facts: SignalFacts, status: str, rule: str) -> str:
    """The rule's title, without numbers: there are none to fill it with."""
    return reason(Facts(status, rule, facts.kind, {}, facts.market)).title
