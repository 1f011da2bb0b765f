"""What the marketplace offers, the same for everybody: strategies with their markets, records and followers.

Nothing here has a tenant. The list and the records are kept for five minutes (STR-10); recent signals are read each time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

from django.core.cache import cache

from signalist.marketplace.records import MarketKey, Record, Records, RiskClass, records
from signalist.strategies.models import Schedule, Signal, Strategy, StrategyVersion
from signalist.strategies.version_models import VersionState
from signalist.trading.models import Following, SignalRecord

T = TypeVar("T")

KEPT = 300
"""Seconds (STR-10)."""
SPARK_POINTS, CURVE_POINTS = 60, 1000
RECENT = 12
ENTRIES = ("LONG", "SHORT")
NOBODY = "Unnamed author"


@dataclass(frozen=True, slots=True)
class Market:
    """Where a strategy runs: an instrument with its steps, and the candles at whose close it does."""

    schedule_id: int
    instrument_id: int
    symbol: str
    base: str
    quote: str
    tick: Decimal
    lot: Decimal
    timeframe: str


@dataclass(frozen=True, slots=True)
class Offer:
    """A strategy as the marketplace lists it; `followers` and `on_paper` count accounts that follow it now."""

    id: int
    slug: str
    name: str
    author: str
    description: str
    listed_at: datetime
    version: int
    markets: tuple[Market, ...]
    followers: int
    on_paper: int
    records: Records
    by_market: tuple[tuple[Market, Records], ...]

    @property
    def symbols(self) -> tuple[str, ...]:
        """The instruments, each once."""
        return tuple(dict.fromkeys(market.symbol for market in self.markets))

    @property
    def timeframes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(market.timeframe for market in self.markets))

    @property
    def risk(self) -> RiskClass | None:
        return self.records.risk

    @property
    def live(self) -> Record | None:
        return self.records.live

    @property
    def paper(self) -> Record | None:
        return self.records.paper


@dataclass(frozen=True, slots=True)
class Version:
    """A published state of a strategy. `fingerprint` begins the hash of its source."""

    number: int
    fingerprint: str
    published_at: datetime
    history: int
    parameters: tuple[tuple[str, Any], ...]
    runs_on: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PublicSignal:
    """A signal as everybody may see it, once its followers had their chance; results are averages of those who followed."""

    kind: str
    market: Market
    at: datetime
    price: Decimal
    stop: Decimal | None
    target: Decimal | None
    live: Decimal | None
    live_trades: int
    paper: Decimal | None
    paper_trades: int


def catalogue() -> tuple[Offer, ...]:
    """Everything that is offered, oldest first; from the cache, or in five queries."""
    return _kept("catalogue", lambda: _offers(Strategy.objects.filter(is_active=True), SPARK_POINTS))


def offer(slug: str) -> Offer | None:
    """One strategy with the whole curve of its record, offered any more or not; None where there never was one."""
    found = _kept(f"offer:{slug}", lambda: _offers(Strategy.objects.filter(slug=slug), CURVE_POINTS))
    return found[0] if found else None


def _kept(name: str, make: Callable[[], Sequence[Offer]]) -> tuple[Offer, ...]:
    """From the cache, else made and kept. That there is nothing yet is not kept: it may change any moment."""
    key = f"marketplace:1:{name}"
    known = cache.get(key)
    if known is not None:
        return tuple(known)
    made = tuple(make())
    if made:
        cache.set(key, made, KEPT)
    return made


def _offers(strategies: Any, points: int) -> list[Offer]:
    shown = strategies.select_related("author").only(*_SHOWN)
    rows = list(shown.order_by("created_at", "pk"))
    schedules: dict[int, list[Schedule]] = defaultdict(list)
    found = Schedule.objects.filter(version__strategy__in=[row.pk for row in rows])
    for schedule in found.select_related("version", "instrument").defer("version__source").order_by("pk"):
        schedules[schedule.version.strategy_id].append(schedule)
    lines = {
        s.pk: (strategy_id, (s.instrument_id, s.timeframe))
        for strategy_id, several in schedules.items()
        for s in several
    }
    recorded, followers = records(lines, points), _followers(schedules)
    return [_offer(row, schedules[row.pk], recorded[row.pk], followers) for row in rows if row.pk in schedules]


PUBLIC = (VersionState.PUBLISHED, VersionState.RETIRED)
"""The states in which everybody may know of a version."""
_SHOWN = "slug name description created_at is_active author__full_name".split()
"""Of an author nothing but the name is even read."""


def _followers(strategy_ids: Iterable[int]) -> dict[tuple[int, bool], int]:
    found = Following.objects.filter(strategy_id__in=sorted(strategy_ids))
    return {(row.strategy_id, row.is_paper): row.followers for row in found}


def _offer(
    row: Strategy,
    schedules: Sequence[Schedule],
    recorded: tuple[Records, dict[MarketKey, Records]],
    followers: Mapping[tuple[int, bool], int],
) -> Offer:
    offered = _newest_published(schedules) if row.is_active else []
    active = [schedule for schedule in schedules if schedule.is_active]
    newest = max(schedule.version.number for schedule in offered or active or schedules)
    return Offer(
        id=row.pk,
        slug=row.slug,
        name=row.name,
        author=row.author.full_name or NOBODY if row.author else NOBODY,
        description=row.description,
        listed_at=row.created_at,
        version=newest,
        markets=tuple(_market(schedule) for schedule in offered),
        followers=followers.get((row.pk, False), 0),
        on_paper=followers.get((row.pk, True), 0),
        records=recorded[0],
        by_market=tuple(
            (_market(schedule), recorded[1].get((schedule.instrument_id, schedule.timeframe), Records()))
            for schedule in offered
        ),
    )


def _newest_published(schedules: Sequence[Schedule]) -> list[Schedule]:
    """Of each instrument and timeframe the running schedule of the newest version that is published, in their order."""
    newest: dict[tuple[int, str], Schedule] = {}
    for schedule in sorted(schedules, key=lambda schedule: schedule.version.number):
        if schedule.is_active and schedule.version.state == VersionState.PUBLISHED:
            newest[schedule.instrument_id, schedule.timeframe] = schedule
    return sorted(newest.values(), key=lambda schedule: schedule.pk)


def _market(schedule: Schedule) -> Market:
    row = schedule.instrument
    return Market(schedule.pk, row.pk, row.symbol, row.base, row.quote, row.tick, row.lot, schedule.timeframe)


# --- One strategy --------------------------------------------------------------------------------


def versions(strategy_id: int) -> list[Version]:
    """The versions of a strategy, newest first, without their source. Two queries."""
    runs_on: dict[int, list[str]] = defaultdict(list)
    running = Schedule.objects.filter(version__strategy=strategy_id, is_active=True).select_related("instrument")
    for schedule in running.order_by("pk"):
        runs_on[schedule.version_id].append(f"{schedule.instrument.symbol} {schedule.timeframe}")
    public = StrategyVersion.objects.filter(strategy=strategy_id, state__in=PUBLIC)
    rows = public.defer("source").order_by("-number")
    return [
        Version(
            row.number,
            row.content_hash[:7],
            row.created_at,
            row.history,
            tuple(sorted(row.parameters.items())),
            tuple(runs_on[row.pk]),
        )
        for row in rows
    ]


def recent_signals(strategy_id: int, now: datetime) -> list[PublicSignal]:
    """The newest entries that a strategy signalled and whose deadline is past: before that they are the followers' alone. Three queries."""
    schedules = {
        schedule.pk: schedule
        for schedule in Schedule.objects.filter(version__strategy=strategy_id).select_related("instrument")
    }
    past = Signal.objects.filter(schedule__in=sorted(schedules), kind__in=ENTRIES, deadline__lte=now)
    rows = list(past.order_by("-candle_close", "-pk")[:RECENT])
    results = {
        (record.signal_id, record.is_paper): record
        for record in SignalRecord.objects.filter(signal__in=[row.pk for row in rows])
    }
    return [_signal(row, schedules[row.schedule_id], results) for row in rows]


def _signal(row: Signal, schedule: Schedule, results: Mapping[tuple[int, bool], SignalRecord]) -> PublicSignal:
    live, paper = results.get((row.pk, False)), results.get((row.pk, True))
    return PublicSignal(
        kind=row.kind,
        market=_market(schedule),
        at=row.candle_close,
        price=row.reference_price,
        stop=row.stop,
        target=row.target,
        live=None if live is None else live.return_total / live.trades,
        live_trades=live.trades if live else 0,
        paper=None if paper is None else paper.return_total / paper.trades,
        paper_trades=paper.trades if paper else 0,
    )
