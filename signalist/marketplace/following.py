"""A workspace's subscriptions for pages: what each follows, on which terms, how it does and why it did what it did."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from django.db.models import Count, QuerySet

from signalist.display.charts import Point
from signalist.domain.money import ZERO
from signalist.trading.labels import Market
from signalist.trading.marked_positions import OpenPosition
from signalist.trading.models import (
    DailyResult,
    Position,
    Subscription,
    SubscriptionStatus,
    Trade,
)
from signalist.trading.open_positions import seen
from signalist.trading.terms import Terms, terms_of

DAYS = 30
CURVE_TRADES = 500


@dataclass(frozen=True, slots=True)
class Day:
    """The closed trades of one day (UTC), in the account's currency."""

    day: date
    trades: int
    wins: int
    gross: Decimal
    fees: Decimal
    net: Decimal


@dataclass(frozen=True, slots=True)
class Followed:
    """A subscription. Amounts in `currency`; `days` are those of the last thirty that had trades, oldest first."""

    public_id: uuid.UUID
    strategy: str
    slug: str
    version: int
    newer_version: int | None
    account: str
    currency: str
    is_paper: bool
    account_state: str
    market: Market
    source: str
    timeframe: str
    status: str
    started_at: datetime
    paused_at: datetime | None
    ended_at: datetime | None
    terms: Terms
    position: OpenPosition | None
    today: date
    days: tuple[Day, ...]

    @property
    def is_live(self) -> bool:
        """Whether it has not ended."""
        return self.status != SubscriptionStatus.ENDED

    @property
    def realised_today(self) -> Decimal:
        return sum((day.net for day in self.days if day.day == self.today), ZERO)

    @property
    def open_result(self) -> Decimal | None:
        """Of the open position: what is booked of it, fees included, and what is won or lost at the mark; None where that is not known."""
        held = self.position
        if held is None:
            return ZERO
        return None if held.result is None else held.holding.net + held.result

    @property
    def result_today(self) -> Decimal | None:
        """What the daily loss limit looks at."""
        return None if self.open_result is None else self.realised_today + self.open_result

    @property
    def recent(self) -> Decimal:
        """Net result of the last thirty days' closed trades."""
        return sum((day.net for day in self.days), ZERO)

    @property
    def recent_trades(self) -> int:
        return sum(day.trades for day in self.days)


@dataclass(frozen=True, slots=True)
class Ledger:
    """What a subscription's closed trades came to since it began. `curve` adds up their net results, one point for each, the newest 500."""

    trades: int
    wins: int
    fees: Decimal
    net: Decimal
    curve: tuple[Point, ...]

    @property
    def win_rate(self) -> Decimal | None:
        return Decimal(self.wins) / self.trades if self.trades else None


_JOINED = ("account", "strategy", "instrument", "schedule__version", "schedule__instrument")
_NOT_SHOWN = ("strategy__description", "schedule__version__source")


def subscriptions(*, ended: bool) -> QuerySet[Subscription]:
    """Those that go on, or those that have ended, newest first; rows for `followed`."""
    following = Subscription.objects.filter(strategy__isnull=False)
    rows = following.filter(status=SubscriptionStatus.ENDED)
    if not ended:
        rows = following.exclude(status=SubscriptionStatus.ENDED)
    return rows.select_related(*_JOINED).defer(*_NOT_SHOWN).order_by("-started_at", "-pk")


def subscription_row(public_id: uuid.UUID) -> Subscription | None:
    """One of the tenant's own, with what `followed` needs; None for anything else."""
    following = Subscription.objects.filter(public_id=public_id, strategy__isnull=False)
    return following.select_related(*_JOINED).defer(*_NOT_SHOWN).first()


def counts() -> dict[str, int]:
    """How many subscriptions there are of each status. One query."""
    following = Subscription.objects.filter(strategy__isnull=False)
    found = following.values_list("status").annotate(Count("pk")).order_by("status")
    return dict.fromkeys(SubscriptionStatus.values, 0) | dict(found)


def followed(rows: Sequence[Subscription], now: datetime) -> list[Followed]:
    """These subscriptions with their open positions and their results of thirty days; five queries however many there are."""
    keys, today = [row.pk for row in rows], now.date()
    held = {
        position.subscription_id: position
        for position in Position.objects.filter(subscription__in=keys, is_open=True).select_related(
            "instrument", "entry_execution__signal"
        )
    }
    by_key = {row.pk: row for row in rows}
    for position in held.values():
        position.subscription = by_key[position.subscription_id]
    marked = dict(zip(held, seen(list(held.values()), now), strict=True))
    days: dict[int, list[Day]] = defaultdict(list)
    lately = DailyResult.objects.filter(subscription__in=keys, day__gt=today - timedelta(days=DAYS), day__lte=today)
    for row in lately.order_by("day"):
        days[row.subscription_id].append(_day(row))
    return [_followed(row, marked, days[row.pk], today) for row in rows]


def _followed(row: Subscription, marked: Mapping[int, OpenPosition], days: Sequence[Day], today: date) -> Followed:
    assert row.strategy is not None and row.schedule is not None  # books by hand are left out
    return Followed(
        public_id=row.public_id,
        strategy=row.strategy.name,
        slug=row.strategy.slug,
        version=row.schedule.version.number,
        newer_version=_newer(row, row.schedule.version.number),
        account=row.account.name,
        currency=row.account.currency,
        is_paper=row.account.is_paper,
        account_state=row.account.state,
        market=Market.of(row.instrument),
        source=row.schedule.instrument.symbol,
        timeframe=row.schedule.timeframe,
        status=row.status,
        started_at=row.started_at,
        paused_at=row.paused_at,
        ended_at=row.ended_at,
        terms=terms_of(row),
        position=marked.get(row.pk),
        today=today,
        days=tuple(days),
    )


def _newer(row: Subscription, followed: int) -> int | None:
    """The version that its owner was told of, and has not answered yet."""
    open_question = row.told_version > max(followed, row.declined_version or 0)
    return row.told_version if open_question and row.status != SubscriptionStatus.ENDED else None


def _day(row: DailyResult) -> Day:
    return Day(row.day, row.trades, row.wins, row.gross, row.fees, row.net)


# --- One subscription ----------------------------------------------------------------------------


def ledger(row: Subscription) -> Ledger:
    """What its closed trades came to. Two queries."""
    days = [_day(day) for day in DailyResult.objects.filter(subscription=row.pk)]
    net = sum((day.net for day in days), ZERO)
    newest = list(
        Trade.objects.filter(subscription=row.pk)
        .order_by("-closed_at", "-pk")
        .values_list("closed_at", "net")[:CURVE_TRADES]
    )[::-1]
    level = net - sum((result for _, result in newest), ZERO)
    begin = row.started_at if len(newest) < CURVE_TRADES else newest[0][0]
    curve = [(begin, float(level))] if newest else []
    for at, result in newest:
        level += result
        curve.append((at, float(level)))
    return Ledger(
        trades=sum(day.trades for day in days),
        wins=sum(day.wins for day in days),
        fees=sum((day.fees for day in days), ZERO),
        net=net,
        curve=tuple(curve),
    )
