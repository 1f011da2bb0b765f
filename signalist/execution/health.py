"""How the machinery is doing, in words: engines, strategy runs, protection, venues and prices. Reads only.

What belongs to a tenant is read behind its door; the rest has no tenant. Every state comes with its reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.db.models import Count, Max

from signalist.accounts.models import Account
from signalist.clock import SystemClock
from signalist.db import fast
from signalist.domain.orders import Leg, OrderStatus
from signalist.domain.timeframes import timeframe
from signalist.execution.engines import living_engines
from signalist.execution.limits import FRESH_WITHIN
from signalist.execution.models import EngineProcess
from signalist.markets.models import LatestPrice
from signalist.markets.selectors import instruments, latest_prices
from signalist.strategies.models import RunStatus, Schedule, StrategyRun
from signalist.strategies.selectors import schedules
from signalist.trading.models import STILL_ACTIVE, AccountBalance, Order, Position, Subscription

BEATS = timedelta(seconds=5)
"""An engine shows every two seconds that it lives; one that was not seen for so long is slow."""
LATELY = timedelta(hours=1)
GRACE = timedelta(seconds=10)
"""So long a run may take to show after its candle closed, and a stop to rest at the venue after its position opened."""
MOST_SCHEDULES = 50
SANDBOX_LEVELS = ("namespaces", "filters", "weak")


class Pulse(StrEnum):
    """How something is doing. The order of the words is from good to bad."""

    ONLINE = "online"
    DEGRADED = "degraded"
    OFFLINE = "offline"

    @property
    def look(self) -> str:
        """The class of `.state`."""
        return {"online": "ok", "degraded": "warn", "offline": "bad"}[self.value]


def worst(pulses: Iterable[Pulse]) -> Pulse:
    """The worst of `pulses`; ONLINE where there are none."""
    order = list(Pulse)
    return max(pulses, key=order.index, default=Pulse.ONLINE)


@dataclass(frozen=True, slots=True)
class Beat:
    """A heartbeat outside the host: when, whether it went well, what was said, and how many in a row have not gone well."""

    at: datetime
    well: bool
    said: str
    failed: int


@dataclass(frozen=True, slots=True)
class Sandbox:
    """The walls around strategies, of the engine that has the fewest: the level, and why a stranger's code is refused, if it is."""

    level: str
    refusal: str

    @property
    def words(self) -> str:
        """The level for a reader."""
        return {
            "namespaces": "System calls and files are filtered, in namespaces of their own",
            "filters": "System calls and files are filtered",
        }.get(self.level, self.refusal)


@dataclass(frozen=True, slots=True)
class EngineHealth:
    """The engines as one: `seen_at` is when one of them last showed that it lives, None if there never was one. `beat` is the newest
    heartbeat outside the host, None where none is configured or none was due yet; `sandbox` None where no engine has said it yet."""

    pulse: Pulse
    seen_at: datetime | None
    age: timedelta | None
    market_clock: bool
    beat: Beat | None = None
    sandbox: Sandbox | None = None


@dataclass(frozen=True, slots=True)
class RunsHealth:
    """Strategy runs of the last hour of market time. `newest` is the last candle that was run on."""

    pulse: Pulse
    runs: int
    failed: int
    newest: datetime | None
    age: timedelta | None


@dataclass(frozen=True, slots=True)
class Protection:
    """Open positions: `bare` have no stop resting at the venue though they should, `stopless` were opened without one."""

    positions: int
    bare: int
    stopless: int


@dataclass(frozen=True, slots=True)
class VenueHealth:
    """A venue that the tenant has accounts at. `in_doubt` are orders of which the venue has not said what became of them."""

    venue: str
    pulse: Pulse
    accounts: int
    in_doubt: int
    newest_report: datetime | None


@dataclass(frozen=True, slots=True)
class PriceHealth:
    """The newest price of an instrument; no age where there never was one."""

    instrument_id: int
    symbol: str
    pulse: Pulse
    age: timedelta | None


@dataclass(frozen=True, slots=True)
class Health:
    """Everything that a tenant's trading depends on."""

    now: datetime
    engine: EngineHealth
    runs: RunsHealth
    protection: Protection
    venues: tuple[VenueHealth, ...]
    prices: tuple[PriceHealth, ...]

    @property
    def troubles(self) -> int:
        """How many of its parts are not as they should be."""
        parts = [self.engine.pulse, self.runs.pulse, *(v.pulse for v in self.venues), *(p.pulse for p in self.prices)]
        silent = self.engine.beat is not None and not self.engine.beat.well
        return sum(pulse is not Pulse.ONLINE for pulse in parts) + bool(self.protection.bare) + silent


def engine_health() -> EngineHealth:
    """How the engines are doing, by the machine's clock. One query, two where none lives."""
    machine = SystemClock()
    living = living_engines(machine)
    if not living:
        newest = EngineProcess.objects.order_by("-seen_at").values_list("seen_at", flat=True).first()
        return EngineHealth(Pulse.OFFLINE, newest, None if newest is None else machine.now() - newest, False)
    seen_at = max(engine.seen_at for engine in living)
    age = max(machine.now() - seen_at, timedelta(0))
    pulse = Pulse.ONLINE if age <= BEATS else Pulse.DEGRADED
    beats = [Beat(e.beat_at, e.beat_well, e.beat_said, e.beats_failed) for e in living if e.beat_at is not None]
    newest_beat = max(beats, key=lambda beat: beat.at, default=None)
    said = [Sandbox(e.sandbox, e.sandbox_said) for e in living if e.sandbox]
    sandbox = max(said, key=lambda one: SANDBOX_LEVELS.index(one.level), default=None)
    return EngineHealth(pulse, seen_at, age, any(engine.clock == "market" for engine in living), newest_beat, sandbox)


def present(engine: EngineHealth | None = None) -> datetime:
    """Market time now: the machine's, or that of the newest price while an engine runs on recorded candles."""
    engine = engine or engine_health()
    newest = LatestPrice.objects.order_by("-at").values_list("at", flat=True).first() if engine.market_clock else None
    return newest or SystemClock().now()


def health(now: datetime, engine: EngineHealth | None = None) -> Health:
    """How everything is doing that the tenant behind the open door depends on, at market time `now`. A constant number of queries."""
    engine = engine or engine_health()
    accounts = fast.select(Account, "id > 0 ORDER BY venue, id")
    ids = [account.pk for account in accounts]
    orders = fast.select_ids(Order, ids, STILL_ACTIVE, column="account_id")
    held = fast.select_ids(Position, ids, "is_open", column="account_id")
    followed = fast.select_ids(Subscription, ids, "status <> 'ENDED'", column="account_id")
    wanted = {subscription.schedule_id for subscription in followed if subscription.schedule_id}
    runs_on = {key: schedules(wanted)[key] for key in wanted} or _some_schedules()
    # What is held goes on needing a price when its subscription has ended.
    traded = {s.instrument_id for s in followed} | {position.instrument_id for position in held}
    traded = traded or {s.instrument_id for s in runs_on.values()}
    return Health(
        now,
        engine,
        _runs(runs_on, now),
        _protection(held, orders, now),
        _venues(engine, accounts, orders),
        _prices(sorted(traded), now),
    )


def _some_schedules() -> dict[int, Schedule]:
    """What runs anyway: for who follows nothing yet."""
    found = Schedule.objects.filter(is_active=True, version__strategy__is_active=True).order_by("pk")
    return {schedule.pk: schedule for schedule in found[:MOST_SCHEDULES]}


def _runs(runs_on: Mapping[int, Schedule], now: datetime) -> RunsHealth:
    if not runs_on:
        return RunsHealth(Pulse.ONLINE, 0, 0, None, None)
    lately = StrategyRun.objects.filter(schedule_id__in=sorted(runs_on), candle_close__gt=now - LATELY)
    counted = {
        row["status"]: row for row in lately.values("status").annotate(runs=Count("pk"), newest=Max("candle_close"))
    }
    newest = max((row["newest"] for row in counted.values()), default=None)
    age = None if newest is None else max(now - newest, timedelta(0))
    shortest = min(timeframe(schedule.timeframe).length for schedule in runs_on.values())
    late = age is None or age > shortest * 2 + GRACE
    failed = counted[RunStatus.FAILED]["runs"] if RunStatus.FAILED in counted else 0
    runs = sum(row["runs"] for row in counted.values())
    return RunsHealth(Pulse.DEGRADED if late or failed else Pulse.ONLINE, runs, failed, newest, age)


def _protection(held: Sequence[Position], orders: Sequence[Order], now: datetime) -> Protection:
    covered = {
        order.position_id for order in orders if order.leg == Leg.STOP.value and (order.state.is_open or order.watched)
    }
    leaving = {order.position_id for order in orders if order.leg == Leg.EXIT.value}
    bare = [
        position
        for position in held
        if position.stop is not None
        and position.pk not in covered
        and position.pk not in leaving
        and now - position.opened_at > GRACE
    ]
    return Protection(len(held), len(bare), sum(position.stop is None for position in held))


def _venues(engine: EngineHealth, accounts: Sequence[Account], orders: Sequence[Order]) -> tuple[VenueHealth, ...]:
    reported = {
        b.account_id: b.at for b in fast.select_ids(AccountBalance, [a.pk for a in accounts], column="account_id")
    }
    in_doubt = Counter(order.account_id for order in orders if order.state is OrderStatus.UNKNOWN)
    found = []
    for venue in sorted({account.venue for account in accounts}):
        own = [account for account in accounts if account.venue == venue]
        doubts = sum(in_doubt[account.pk] for account in own)
        reports = [reported[account.pk] for account in own if account.pk in reported]
        # Nobody but an engine talks to a venue.
        pulse = engine.pulse if engine.pulse is not Pulse.ONLINE else Pulse.DEGRADED if doubts else Pulse.ONLINE
        found.append(VenueHealth(venue, pulse, len(own), doubts, max(reports, default=None)))
    return tuple(found)


def _prices(traded: Sequence[int], now: datetime) -> tuple[PriceHealth, ...]:
    """The prices that are traded on, the oldest first."""
    known, prices = instruments(traded), latest_prices(traded)
    found = []
    for key in traded:
        age = max(now - prices[key][1], timedelta(0)) if key in prices else None
        pulse = Pulse.OFFLINE if age is None else Pulse.ONLINE if age <= FRESH_WITHIN else Pulse.DEGRADED
        found.append(PriceHealth(key, known[key].symbol, pulse, age))
    return tuple(sorted(found, key=lambda price: (price.age is not None, -(price.age or timedelta(0)), price.symbol)))
