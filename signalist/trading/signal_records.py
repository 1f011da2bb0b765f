"""The decision record of a signal: what the strategy said, the steps from candle to protection, and what own accounts made of it."""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.db.models import QuerySet

from signalist.db import fast
from signalist.domain.orders import Leg
from signalist.strategies.models import Signal, Strategy
from signalist.trading import order_book
from signalist.trading.closed_trades import EXITS
from signalist.trading.decisions import IDLE, Decision, decisions_of
from signalist.trading.labels import Market, attach_followers
from signalist.trading.models import AttemptAction, Execution, Fill, Order, OrderAttempt, Position, Subscription
from signalist.trading.order_book import OrderLine

EVERY = "every"
MOST_DECISIONS = 10_000  # of the newest: what grows with every candle cannot be grouped whole for a page


@dataclass(frozen=True, slots=True)
class SignalFacts:
    """What a strategy said at a candle's close: public, the same for everybody. Prices are those of its own market."""

    public_id: uuid.UUID
    kind: str
    strategy: str
    slug: str
    version: int
    author_id: int | None
    market: Market
    timeframe: str
    candle_close: datetime
    reference: Decimal
    stop: Decimal | None
    target: Decimal | None

    @property
    def is_entry(self) -> bool:
        return self.kind in ("LONG", "SHORT")

    @property
    def stop_away(self) -> Decimal | None:
        """How far the stop is from the reference price, as a signed fraction of it."""
        return None if self.stop is None else self.stop / self.reference - 1

    @property
    def target_away(self) -> Decimal | None:
        return None if self.target is None else self.target / self.reference - 1

    @property
    def reward_to_risk(self) -> Decimal | None:
        """The way to the target ÷ the way to the stop."""
        if self.target is None or self.stop is None or self.stop == self.reference:
            return None
        return abs(self.target - self.reference) / abs(self.reference - self.stop)


def facts_of(signal: Signal) -> SignalFacts:
    """Of a row whose schedule is loaded with version, strategy and instrument."""
    schedule = signal.schedule
    strategy = schedule.version.strategy
    return SignalFacts(
        signal.public_id,
        signal.kind,
        strategy.name,
        strategy.slug,
        schedule.version.number,
        strategy.author_id,
        Market.of(schedule.instrument),
        schedule.timeframe,
        signal.candle_close,
        signal.reference_price,
        signal.stop,
        signal.target,
    )


def signals() -> QuerySet[Signal]:
    """Signals with what `facts_of` needs. Nothing of them belongs to a tenant."""
    joined = Signal.objects.select_related("run", "schedule__version__strategy", "schedule__instrument")
    return joined.defer("schedule__version__source", "schedule__version__strategy__description")


# --- The list ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SignalLine:
    """A signal in the tenant's list, with what was decided on it for each of the tenant's subscriptions."""

    facts: SignalFacts
    decisions: Sequence[Decision]

    @property
    def is_many(self) -> bool:
        """Whether several accounts answered."""
        return len(self.decisions) > 1

    @property
    def outcomes(self) -> Sequence[tuple[str, int]]:
        """(status, how many), the most frequent first."""
        return Counter(decision.status for decision in self.decisions).most_common()


@dataclass(frozen=True, slots=True)
class Concerned:
    """The signals that concerned the tenant's subscriptions, newest first; of the newest `looked_at` decisions, None where of all."""

    signal_ids: Sequence[int]
    looked_at: int | None


def concerned(outcome: str, strategy: str) -> Concerned:
    """The signals that something was decided on, as `signal_lines` takes them. Two queries, over the newest decisions at most.

    `outcome` is a status, or empty for all but exits that had nothing to exit, or EVERY.
    """
    chosen = Execution.objects.filter(signal__isnull=False)
    newest = Execution.objects.order_by("-pk").values_list("pk", flat=True)
    before = newest[MOST_DECISIONS : MOST_DECISIONS + 1].first()
    if before is not None:
        chosen = chosen.filter(pk__gt=before)
    if not outcome:
        chosen = chosen.exclude(rule=IDLE)
    elif outcome != EVERY:
        chosen = chosen.filter(status=outcome)
    if strategy:
        chosen = chosen.filter(subscription__strategy__slug=strategy)
    signal_ids = chosen.order_by("-signal_id").values_list("signal_id", flat=True).distinct()
    return Concerned(list(signal_ids), None if before is None else MOST_DECISIONS)


def signal_lines(ids: Sequence[int]) -> list[SignalLine]:
    """These signals with all of the tenant's decisions on them; a constant number of queries."""
    # Accounts stand in one order under every signal; they were decided in another with each.
    rows = sorted(fast.select_ids(Execution, ids, column="signal_id"), key=lambda row: row.subscription_id)
    decided = decisions_of(rows)
    by_signal: dict[int, list[Decision]] = defaultdict(list)
    known: dict[int, Signal] = {}
    for row, decision in zip(rows, decided, strict=True):
        assert row.signal is not None  # it was found by it
        by_signal[row.signal.pk].append(decision)
        known[row.signal.pk] = row.signal
    return [SignalLine(facts_of(known[key]), by_signal[key]) for key in ids]


def followed_strategies() -> list[tuple[str, str]]:
    """(slug, name) of the strategies that the tenant follows or followed, for filters; one query."""
    followed = Subscription.objects.values("strategy_id")
    return list(Strategy.objects.filter(pk__in=followed).order_by("name").values_list("slug", "name"))


# --- One signal ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the pipeline; `at` is None where it was not taken (yet)."""

    name: str
    at: datetime | None
    after: timedelta | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Trail:
    """What became of one decision: its order, when the venue had it, and how the position that it made stands or ended."""

    decision: Decision
    order: OrderLine | None
    acknowledged_at: datetime | None
    filled_at: datetime | None
    protected_at: datetime | None
    position_id: int | None
    ended: str
    net: Decimal | None

    @property
    def slippage(self) -> Decimal | None:
        return None if self.order is None else self.order.slippage

    def delay(self, close: datetime) -> timedelta | None:
        """From the candle's close to the venue's acknowledgement."""
        return None if self.acknowledged_at is None else self.acknowledged_at - close


@dataclass(frozen=True, slots=True)
class OwnRecord:
    """One signal and everything that the tenant's own accounts made of it."""

    facts: SignalFacts
    steps: Sequence[Step]
    rows: Sequence[tuple[Trail, timedelta | None]]
    outcomes: Sequence[tuple[str, int]]


def is_authored_by(public_id: uuid.UUID, user_id: int) -> bool:
    """Whether the signal is of a strategy of this author."""
    return Signal.objects.filter(public_id=public_id, schedule__version__strategy__author_id=user_id).exists()


def signal_record(public_id: uuid.UUID) -> OwnRecord | None:
    """The record of a signal that concerned the tenant; None where it did not. A constant number of queries."""
    signal = signals().filter(public_id=public_id).first()
    if signal is None:
        return None
    executions = list(Execution.objects.filter(signal=signal).order_by("subscription_id"))
    if not executions:
        return None
    trails = _trails(executions)
    facts = facts_of(signal)
    outcomes = Counter(trail.decision.status for trail in trails).most_common()
    shown = [(trail, trail.delay(signal.candle_close)) for trail in trails]
    return OwnRecord(facts, _steps(signal, executions, trails), shown, outcomes)


def _trails(executions: Sequence[Execution]) -> list[Trail]:
    ids = [row.pk for row in executions]
    orders: dict[tuple[int, str], list[Order]] = defaultdict(list)
    for order in Order.objects.filter(execution__in=ids).order_by("n"):
        orders[order.execution_id, order.leg].append(order)
    every = [order for found in orders.values() for order in found]
    attach_followers(every)
    taken = _acknowledged(every)
    filled = _filled(every)
    held = {o.position_id for o in every if o.position_id}
    positions = {p.pk: p for p in Position.objects.filter(pk__in=held).select_related("trade")}
    trails = []
    for row, decision in zip(executions, decisions_of(executions), strict=True):
        leg = Leg.ENTRY if decision.is_entry else Leg.EXIT
        main = orders[row.pk, leg.value][-1:]
        stops = orders[row.pk, Leg.STOP.value][:1]
        position = positions.get(main[0].position_id or 0) if main else None
        trade = getattr(position, "trade", None)
        trails.append(
            Trail(
                decision=decision,
                order=order_book.line(main[0]) if main else None,
                acknowledged_at=taken.get(main[0].pk) if main else None,
                filled_at=filled.get(main[0].pk) if main else None,
                protected_at=taken.get(stops[0].pk) if stops else None,
                position_id=None if position is None else position.pk,
                ended="" if trade is None else EXITS[trade.exit_type],
                net=None if trade is None else trade.net,
            )
        )
    return trails


def _acknowledged(orders: Sequence[Order]) -> dict[int, datetime]:
    """When the venue had taken each order: the sending and how long the answer took."""
    sent = OrderAttempt.objects.filter(order__in=orders, action=AttemptAction.PLACE, success=True)
    return {
        order_id: at + timedelta(milliseconds=latency or 0)
        for order_id, at, latency in sent.order_by("number").values_list("order_id", "sent_at", "latency_ms")
    }


def _filled(orders: Sequence[Order]) -> dict[int, datetime]:
    """The last fill of each order."""
    fills = Fill.objects.filter(order__in=orders).order_by("time").values_list("order_id", "time")
    return dict(fills)


def _steps(signal: Signal, executions: Sequence[Execution], trails: Sequence[Trail]) -> list[Step]:
    """From the candle to the last protection; the steps of own accounts end when the slowest of them had taken them."""
    begin, run = signal.candle_close, signal.run
    own = f"{len(trails)} own" if len(trails) > 1 else ""
    sent = sum(1 for trail in trails if trail.order is not None)

    def step(name: str, at: datetime | None, note: str = "") -> Step:
        return Step(name, at, None if at is None else at - begin, note)

    took = "" if run.duration_ms is None else f"once, {run.duration_ms:.1f} ms"
    steps = [
        step("Candle closed", begin, f"{signal.schedule.instrument.symbol} {signal.schedule.timeframe}"),
        step("Strategy ran", run.finished_at, took),
        step("Signal", signal.emitted_at, signal.kind.replace("_", " ")),
        step("Fanned out", signal.fanned_out_at),
        step("Decided", _last(e.decided_at for e in executions), own),
    ]
    if not sent:
        return steps
    steps.append(step("Placed", _last(t.acknowledged_at for t in trails), f"{sent} order{'s' if sent > 1 else ''}"))
    steps.append(step("Filled", _last(t.filled_at for t in trails)))
    if signal.kind in ("LONG", "SHORT"):
        steps.append(step("Protected", _last(t.protected_at for t in trails), "stop at the venue"))
    return steps


def _last(moments: Iterable[datetime | None]) -> datetime | None:
    return max((moment for moment in moments if moment is not None), default=None)
