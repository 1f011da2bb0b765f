"""The benchmark itself: a candle closes, and every subscriber's entry, stop and target are at their venue; how long did that take?

Times are the venue's: an order counts from the moment at which its book has it, which is a whole latency after its bytes left us. They
are counted from the candle's close, on the machine's monotonic clock, which both processes share.
"""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from django.apps import apps
from django.db.models import Count

from signalist.clock import SystemClock, monotonic
from signalist.db.wakes import wakes
from signalist.domain.candles import Candle
from signalist.domain.timeframes import timeframe
from signalist.engine.bench import cast as casting
from signalist.engine.bench.bare import BareClient
from signalist.engine.bench.cast import BARE, CAPITAL, CURRENCY, FRAME, PREFIX, PRICE, Cast
from signalist.engine.bench.companion import Companions
from signalist.engine.bench.house import HouseError, VenueProcess, secret_of
from signalist.engine.bench.report import Plan, Run, quantile, report
from signalist.engine.bench.turns import Statements, Turns
from signalist.execution import leases
from signalist.markets import feeds
from signalist.strategies.models import StrategyRun
from signalist.trading.models import AccountBalance, Execution, Order, OrderAttempt, Position
from signalist.venues.loopback.client import Client
from signalist.venues.loopback.venue import LoopbackVenue

PATIENCE = 60.0
SETTLED = ("CREATED", "SENDING")
TABLES = (("trading", None), ("events", None), ("strategies", ("Signal", "StrategyRun")))


class Bench:
    """A benchmark on an empty database."""

    def __init__(self, plan: Plan, progress: Callable[[str], None]) -> None:
        self._plan, self._progress = plan, progress
        self._clock = SystemClock()
        self._house = VenueProcess(plan.latency_ms)
        self._statements = Statements()
        self._bare_refs = [f"{BARE}{n:06d}" for n in range(plan.subscribers)]

    async def run(self, cast: Cast) -> dict[str, object]:
        """Run it and report. Raises HouseError."""
        await self._house.start()
        bare: BareClient | None = None
        try:
            await self._house.list_instrument(cast.instrument, str(PRICE))
            bare = BareClient(self._house.address, self._clock) if self._plan.bare else None
            if bare is not None:
                await bare.warm()
            return await self._runs(cast, bare)
        finally:
            if bare is not None:
                await bare.close()
            await self._house.stop()

    async def _runs(self, cast: Cast, bare: BareClient | None) -> dict[str, object]:
        """All runs, those of a kind in turn with the others."""
        clean, poisoned, alone = list[Run](), list[Run](), list[float]()
        for number in range(self._plan.runs):
            clean.append(await self._measure(cast, set()))
            self._tell(f"run {number + 1}", clean[-1])
            if self._plan.poison:
                poisoned.append(await self._measure(cast, set(self._poisoned(cast))))
                self._tell(f"run {number + 1}, poisoned", poisoned[-1])
            if bare is not None:
                await self._house.open_accounts(self._bare_refs, CURRENCY, str(CAPITAL))
                alone.append(await bare.run(self._bare_refs, self._plan.legs, number))
                self._progress(f"run {number + 1}, bare client: {alone[-1]:.2f} s")
        return report(self._plan, clean, poisoned, alone)

    def _poisoned(self, cast: Cast) -> Sequence[str]:
        every = max(round(1 / self._plan.poison), 1)
        return cast.refs[every - 1 :: every]

    # --- One run ---------------------------------------------------------------------------------

    async def _measure(self, cast: Cast, poisoned: set[str]) -> Run:
        """Everything anew, a quiet candle, and the one that counts."""
        await asyncio.to_thread(casting.begin_anew)
        await self._house.control("faults", clear=True)
        await self._house.open_accounts(cast.refs, CURRENCY, str(CAPITAL))
        wakes.clear()
        venue = LoopbackVenue(Client(self._house.address, self._clock), secret_of)
        turns, others = Turns(venue), Companions(self._plan.engines - 1, self._house.address)
        try:
            await venue.client.warm()
            await turns.start()
            await others.start()
            await self._until_known(turns)
            await self._until_shared(turns)
            await self._close_a_candle(cast, turns, rises=False)
            await asyncio.sleep(1.0)
            await self._poison(sorted(poisoned))
            gc.collect()
            return await self._watched(cast, turns, others, poisoned)
        finally:
            await others.stop()
            await turns.stop()
            await venue.close()

    async def _watched(self, cast: Cast, turns: Turns, others: Companions, poisoned: set[str]) -> Run:
        sound = [ref for ref in cast.refs if ref not in poisoned]
        await turns.database(self._statements.reset)
        before, venue = await turns.database(rows), (await self._house.summary(PREFIX))["cpu_s"]
        await others.spent()
        closed, cpu = await self._close_a_candle(cast, turns, rises=True)
        await self._until_covered(sound, turns, closed + PATIENCE)
        settled = await self._until_settled(turns, poisoned, closed)
        theirs = await others.spent()
        spent, queries = _cpu() - cpu + theirs.cpu, self._statements.count + theirs.queries
        venue = (await self._house.summary(PREFIX))["cpu_s"] - venue
        written = await turns.database(rows) - before
        book = await self._house.control("book", prefix=PREFIX)
        if any(not book[ref]["net"] for ref in sound):
            for line in await turns.database(why):
                self._progress(line)
        mine = [book[ref] for ref in sound]
        return Run(
            entries=sorted(one["entered_at"] - closed for one in mine if one["entered_at"] is not None),
            covered=sorted(one["covered_at"] - closed for one in mine if one["covered_at"] is not None),
            placed=max((one["placed_at"] - closed for one in mine if one["placed_at"] is not None), default=0.0),
            settled=settled - closed,
            cpu=spent,
            venue_cpu=venue,
            rows=written,
            queries=queries,
            duplicates=sum(one["duplicates"] for one in book.values()),
            unprotected=sum(bool(one["net"]) and one["covered_at"] is None for one in mine),
        )

    async def _until_known(self, turns: Turns) -> None:
        """Wait until the engine has heard of every account's money. Raises HouseError where it never does."""
        end = monotonic() + PATIENCE
        while await turns.database(AccountBalance.objects.count) < self._plan.subscribers:
            turns.check()
            if monotonic() > end:
                raise HouseError("The engine has not heard of all accounts in time.")
            await asyncio.sleep(0.2)

    async def _until_shared(self, turns: Turns) -> None:
        """Wait until each engine holds its share of the accounts. Raises HouseError where one never does."""
        end, share = monotonic() + PATIENCE, self._plan.subscribers / self._plan.engines
        while True:
            held = await turns.database(leases.shares)
            if len(held) == self._plan.engines and max(held) <= share * leases.SLACK + 1:
                return
            turns.check()
            if monotonic() > end:
                raise HouseError("The engines have not shared the accounts in time.")
            await asyncio.sleep(0.2)

    async def _close_a_candle(self, cast: Cast, turns: Turns, *, rises: bool) -> tuple[float, float]:
        """Wait for the next close and store its candle; returns the close as a monotonic moment, and the CPU time until then."""
        frame = timeframe(FRAME)
        close = frame.last_close(self._clock.now()) + frame.length
        await asyncio.sleep((close - self._clock.now()).total_seconds())
        cpu = _cpu()
        at = monotonic() - (self._clock.now() - close).total_seconds()
        opened = PRICE - 10 if rises else PRICE + 10
        candle = Candle(close, opened, max(opened, PRICE), min(opened, PRICE), PRICE, Decimal(1))
        key = cast.instrument.pk
        await turns.database(
            lambda: feeds.take_candles([feeds.ClosedCandle(key, frame, candle)], [feeds.Price(key, PRICE, close)])
        )
        return at, cpu

    async def _poison(self, refs: Sequence[str]) -> None:
        kinds = self._plan.kinds
        faults = [
            {"refs": refs[n :: len(kinds)], "kind": kind} for n, kind in enumerate(kinds) if refs[n :: len(kinds)]
        ]
        if faults:
            await self._house.control("faults", faults=faults)

    async def _until_covered(self, sound: Sequence[str], turns: Turns, end: float) -> None:
        """Wait until every sound subscriber is in and protected, or patience ends."""
        wanted = len(sound)
        while monotonic() < end:
            turns.check()
            summary = await self._house.summary(PREFIX)
            if summary["holding" if self._plan.legs == 1 else "covered"] >= wanted:
                book: Mapping[str, Any] = await self._house.control("book", prefix=PREFIX)
                if all(book[ref]["resting"] >= self._plan.legs - 1 for ref in sound):
                    break
            await asyncio.sleep(0.2)

    async def _until_settled(self, turns: Turns, poisoned: set[str], closed: float) -> float:
        """Wait until the rows know it too; at once where some subscribers are poisoned, whose orders stay in doubt for long."""
        while monotonic() < closed + PATIENCE and not poisoned:
            turns.check()
            if await turns.database(lambda: under_way() == 0):
                break
            await asyncio.sleep(0.1)
        return monotonic()

    def _tell(self, name: str, run: Run) -> None:
        last, safe = quantile(run.entries, 1.0), quantile(run.covered, 1.0)
        self._progress(
            f"{name}: {len(run.entries)} entered within {last:.2f} s, {len(run.covered)} protected within {safe:.2f} s; "
            f"settled after {run.settled:.2f} s; CPU {run.cpu:.2f} s, {run.queries} statements"
        )


def under_way() -> int:
    """How much is still to be done by our own rows."""
    pending = Execution.objects.filter(status="PENDING").count()
    orders = (
        Order.objects.filter(status__in=SETTLED).count() + OrderAttempt.objects.filter(success__isnull=True).count()
    )
    return pending + orders + Position.objects.filter(protection_due=True).count()


def rows() -> int:
    """How many rows there are in all tables that a signal writes to."""
    count = 0
    for label, names in TABLES:
        models = apps.get_app_config(label).get_models()
        count += sum(model._default_manager.count() for model in models if names is None or model.__name__ in names)
    return count


def why() -> list[str]:
    """What has become of runs, decisions and orders, for a person who wonders why somebody was not served."""
    runs = StrategyRun.objects.values_list("status", "error").annotate(n=Count("pk")).order_by("status")
    decided = Execution.objects.values_list("status", "rule").annotate(n=Count("pk")).order_by("status")
    orders = Order.objects.values_list("leg", "status", "reason").annotate(n=Count("pk")).order_by("leg")
    return [
        f"  {kind}: {found}"
        for kind, found in (("runs", list(runs)), ("decisions", list(decided)), ("orders", list(orders)))
    ]


def _cpu() -> float:
    """CPU seconds of this process so far."""
    spent = os.times()
    return spent.user + spent.system
