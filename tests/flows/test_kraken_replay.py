"""The same candles through the Kraken venue and the paper venue: the same sides at the same times, each difference in numbers named.

One strategy runs once; one subscriber follows it on the paper venue, another at the server that speaks as Kraken does, over HTTP and its
streams: the short story with its orders over the stream, the day with either. Neither trades the instrument whose candles the strategy saw,
so both anchor its prices on their own. The paper venue is told to reserve exits, as a spot market does, so that targets are watched at
both. What differs is the instrument: Kraken's price steps are ten times as coarse, its quantities a thousand times as fine and its least
quantity ten times as large, and it takes other fees. Why a number differs is worked out in `tests.flows.explained`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.db import DEFAULT_DB_ALIAS, connections

from signalist.accounts.models import Account
from signalist.accounts.paper_store import PaperStore
from signalist.accounts.sessions import Sessions
from signalist.db.wakes import wakes
from signalist.domain.candles import Candle
from signalist.domain.instruments import InstrumentKind
from signalist.domain.matching import Bar
from signalist.domain.timeframes import timeframe
from signalist.engine.loop import Engine
from signalist.engine.publishing import published
from signalist.engine.stepping import Bars, Stepper
from signalist.engine.strategies import StrategyPool
from signalist.markets import feeds
from signalist.markets.models import AssetPair, Instrument
from signalist.markets.recordings import read_recording
from signalist.strategies.models import Schedule
from signalist.trading.actions import subscribe
from signalist.trading.models import Fill, Subscription
from signalist.trading.terms import Terms
from signalist.venues.kraken.parse import KRAKEN
from signalist.venues.paper.matching_desk import Terms as VenueTerms
from signalist.venues.paper.venue import CAPABILITIES, PAPER, PaperVenue
from tenants.doors import across_tenants
from tenants.models import Tenant
from tests.flows.explained import Rules, Sizing, explained, table
from tests.flows.recordings import BESIDE, swings
from tests.flows.scene import _on
from tests.venues.kraken_bench import BITCOIN, ROOMY, KrakenBench
from tests.venues.kraken_server.server import Server, serving
from tests.venues.kraken_socket_bench import PatientBench

pytestmark = pytest.mark.django_db(transaction=True)
D = Decimal
MINUTE = timeframe("1m")
SYMBOL = "BTC/USD"
TERMS = VenueTerms(partial_chance=D(0), latency_ms=0, reserves_exits=True)
AT_KRAKEN = replace(TERMS, taker_fee=D("0.0026"), maker_fee=D("0.0016"))
SOURCE_TICK, FINE = "0.01", "0.00001"
RISK = D("0.0005")
ON_PAPER = Rules(D(SOURCE_TICK), D(FINE), TERMS.taker_fee, (D(FINE), D("0.5")))
THERE = Rules(D("0.1"), D("0.00000001"), AT_KRAKEN.taker_fee, (D("0.0001"), D("0.5")))


class Beside(Stepper):
    """A stepper whose engine trades at Kraken's server as well, its orders going as `bench` has it; its market does what the paper
    venue's does."""

    def __init__(self, begin: datetime, bench: type[KrakenBench]) -> None:
        super().__init__(begin, TERMS, lambda _: None)
        self._bench = bench
        self.server = Server({"XXBTZUSD": BITCOIN}, AT_KRAKEN, ROOMY, self.clock.now)
        self._open = AsyncExitStack()

    async def open(self) -> None:
        """Serve, and take the venue in."""
        address = await self._open.enter_async_context(serving(self.server))
        self.bench = self._bench(self.server, address, self.clock, AT_KRAKEN, ROOMY)
        paper = PaperVenue(self.exchange, replace(CAPABILITIES, reserves_exits=True))
        venues = {PAPER: paper, KRAKEN: self.bench.venue}
        self.engine = Engine(Sessions(venues, frozenset(venues)), self.clock, self.database, StrategyPool())

    async def close(self) -> None:
        """Stop all of it."""
        await self.stop()
        self.bench.check()
        await self.bench.venue.close()
        await self._open.aclose()
        wakes.clear()


async def replayed(
    stepper: Beside, candles: Sequence[Candle], source: Instrument, paper: Instrument, kraken: Instrument
) -> None:
    """Every candle, at both venues."""
    await stepper.open()
    try:
        await stepper.database(stepper.market.refresh)
        stepper.server.house.prices[SYMBOL] = candles[0].open
        await stepper.start()
        accounts = [account.pk for account in Account.objects.filter(venue=KRAKEN)]
        for index, candle in enumerate(candles):
            follows = index + 1 < len(candles) and candles[index + 1].close_time - candle.close_time == MINUTE.length
            goes_on = candles[index + 1].open if follows else candle.close
            bars = [Bars(one, [(MINUTE, candle)], goes_on) for one in (source, paper)]
            await _step(stepper, bars, kraken, accounts)
            if index % 200 == 0:
                await stepper.engine.heartbeat()
    finally:
        await stepper.close()


async def _step(stepper: Beside, bars: list[Bars], kraken: Instrument, accounts: list[int]) -> None:
    """As `Stepper.step`, with Kraken's market moving beside the paper venue's."""
    one = bars[-1]
    ((_, candle),) = one.candles
    stepper.clock.advance_to(candle.close_time)
    stepper.server.move(SYMBOL, Bar(candle.open, candle.high, candle.low))
    stepper.server.house.prices[SYMBOL] = one.goes_on
    moving, stepper._go_on = stepper._go_on, _with_kraken(stepper, one.goes_on)  # type: ignore[method-assign]
    try:
        prices = [feeds.Price(kraken.pk, one.goes_on, candle.close_time)]
        closed = [feeds.ClosedCandle(kraken.pk, MINUTE, candle)]
        await stepper.database(lambda: feeds.take_candles(closed, prices))
        await stepper.step(bars)
    finally:
        stepper._go_on = moving  # type: ignore[method-assign]
    holder = stepper.server.house.holders["kraken-1"]
    while True:
        told = len(holder.tape), len(holder.done)
        await asyncio.sleep(0.002)  # for what the stream has to say
        stepper.engine.calls.dirty.update(accounts)
        await stepper._work()
        if (len(holder.tape), len(holder.done)) == told:
            return


def _with_kraken(stepper: Beside, price: Decimal) -> Any:
    async def go_on(bars: Sequence[Bars]) -> None:
        await Stepper._go_on(stepper, bars)
        stepper.server.move(SYMBOL, Bar.tick(price))

    return go_on


def subscriber(
    venue: str, ref: str, schedule: Schedule, instrument: Instrument, begin: datetime, capital: Decimal
) -> Subscription:
    """A tenant with one account there, which follows."""
    tenant = Tenant.objects.create(name=f"At {venue}", base_currency="USD")
    account = Account.objects.create(tenant=tenant, venue=venue, venue_ref=ref, name=venue, currency="USD")
    terms = Terms(capital=capital, risk_fraction=RISK)
    return subscribe(account, schedule, instrument, terms, begin, nets=True)


def instrument(venue: str, symbol: str, pair: AssetPair, rules: Rules) -> Instrument:
    shared = {"symbol": symbol, "base": "BTC", "quote": "USD", "kind": InstrumentKind.SPOT.value, "max_leverage": D(1)}
    steps = {"tick": rules.tick, "lot": rules.lot, "min_quantity": rules.minimum[0], "min_notional": rules.minimum[1]}
    found = Instrument.objects.create(venue=venue, pair=pair, **shared, **steps)
    found.refresh_from_db()
    return found


def traded(
    candles: Sequence[Candle], bench: type[KrakenBench], capital: Decimal
) -> tuple[list[Fill], list[Fill], dict[str, Counter[str]]]:
    """The fills of both subscribers, oldest first, and which rule made what differ."""
    begin = candles[0].close_time - MINUTE.length
    with across_tenants("tests"):
        pair = AssetPair.objects.create(code=SYMBOL)
        source = instrument(PAPER, "BTC-RECORDED", pair, ON_PAPER)
        paper = instrument(PAPER, SYMBOL, pair, ON_PAPER)
        kraken = instrument(KRAKEN, SYMBOL, pair, THERE)
        schedule = Schedule.objects.create(
            version=published("moving-average-crossover"), instrument=source, timeframe=MINUTE.code
        )
        here = subscriber(PAPER, "paper-1", schedule, paper, begin, capital)
        there = subscriber(KRAKEN, "kraken-1", schedule, kraken, begin, capital)
        PaperStore().open_account("paper-1", "USD", capital)
        stepper = Beside(begin, bench)
        stepper.server.house.open_account("kraken-1", b"secret of kraken-1", capital)
        loop = asyncio.new_event_loop()
        try:
            loop.run_until_complete(
                _on(connections[DEFAULT_DB_ALIAS], replayed(stepper, candles, source, paper, kraken))
            )
        finally:
            loop.close()
        sizing = Sizing(capital * RISK, TERMS.slippage)
        named = explained(here, there, (ON_PAPER, THERE), sizing, candles)
        fills = Fill.objects.select_related("order").order_by("time", "pk")
        both = [list(fills.filter(order__subscription=who)) for who in (here, there)]
        return both[0], both[1], named


@pytest.fixture(autouse=True)
def under_a_loop(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    yield
    wakes.clear()


def test_made_up_minutes_trade_alike_at_kraken_and_on_paper_until_one_is_too_small_there(tmp_path: Path) -> None:
    """With two cents at risk it is a little more than Kraken's least quantity once, and a little less the second time."""
    candles = read_recording(swings(tmp_path / "swings.csv", 96), MINUTE)
    paper, kraken, named = traded(candles, PatientBench, D(40))
    shape = [(fill.order.side, fill.order.leg, fill.time) for fill in paper]
    assert [(fill.order.side, fill.order.leg, fill.time) for fill in kraken] == shape[:2] and len(shape) == 4
    assert {number: dict(counts) for number, counts in named.items()} == {
        "entered_at": {"same": 1, "minimum": 1},
        "entry_price": {"tick": 1, "minimum": 1},
        "quantity": {"lot": 1, "minimum": 1},
        "entry_fee": {"tick": 1, "lot": 1, "fee": 1, "minimum": 1},
        "left_at": {"same": 1, "minimum": 1},
        "exit_price": {"tick": 1, "minimum": 1},
        "exit_fee": {"tick": 1, "lot": 1, "fee": 1, "minimum": 1},
    }, table(named)


@pytest.mark.soak
@pytest.mark.skipif(not BESIDE.is_file(), reason="the recorded candles are not beside the project")
@pytest.mark.parametrize("bench", [KrakenBench, PatientBench])
def test_a_recorded_day_trades_alike_at_kraken_and_on_paper(
    bench: type[KrakenBench], capsys: pytest.CaptureFixture[str]
) -> None:
    """Once a stop is reached earlier at one of the two: the market turned between what is the same level on both grids."""
    candles = read_recording(BESIDE, MINUTE)
    end = candles[0].close_time + timedelta(days=1)
    day = [candle for candle in candles if candle.close_time <= end]
    paper, kraken, named = traded(day, bench, D(20_000))
    with capsys.disabled():
        print(f"\n{len(day)} candles, {len(paper)} fills at each venue ({bench.__name__})\n{table(named)}")  # noqa: T201 - the figures
    assert len(paper) == len(kraken) > 20
    assert [(f.order.side, f.order.leg) for f in kraken] == [(f.order.side, f.order.leg) for f in paper]
    trips = len(paper) // 2
    assert named["entered_at"] == {"same": trips}
    assert named["left_at"]["same"] >= trips - 1 and set(named["left_at"]) <= {"same", "tick"}
