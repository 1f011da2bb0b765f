"""What a venue lists becomes instruments and stays true: rules, fees, states, what is new and what has gone, and who follows it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from signalist.clock import ReplayClock
from signalist.domain.instruments import InstrumentKind, InstrumentSpec, Trading
from signalist.engine import real_market
from signalist.engine.market_feeds import wanted_of
from signalist.markets import listings
from signalist.markets.listing_models import InstrumentChange, VenueListing
from signalist.markets.listing_work import ListingKeeper
from signalist.markets.models import Instrument
from signalist.markets.selectors import forget_instruments, instruments
from signalist.venues.kraken import protocol
from signalist.venues.kraken.client import Client
from signalist.venues.kraken.market import KrakenMarket
from signalist.venues.paper.matching_desk import Terms
from tenants.doors import across_tenants
from tests.markets.feed_world import NOON, at_once, story, until, world
from tests.venues.kraken_bench import BITCOIN, PAIR
from tests.venues.kraken_server.server import Server, serving

D = Decimal
BTC = InstrumentSpec(
    "kraken",
    "BTC/USD",
    "BTC",
    "USD",
    InstrumentKind.SPOT,
    D("0.1"),
    D("1E-8"),
    D("0.00005"),
    D("0.5"),
    D(1),
    D("0.004"),
    D("0.0025"),
)
LATER = NOON + timedelta(hours=1)


@pytest.fixture(autouse=True)
def door(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The tests' door, in the loop's own thread."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    forget_instruments()
    with across_tenants("tests"):
        yield
    forget_instruments()


def named(number: int) -> InstrumentSpec:
    return replace(BTC, symbol=f"N{number:03}/USD", base=f"N{number:03}")


def changes() -> list[tuple[str, str, str, str]]:
    rows = InstrumentChange.objects.select_related("instrument").order_by("pk")
    return [(row.instrument.symbol, row.name, row.before, row.after) for row in rows]


def row(symbol: str, venue: str = "kraken") -> Instrument:
    return Instrument.objects.get(venue=venue, symbol=symbol)


def test_what_is_listed_is_stored_changed_and_marked_as_gone_and_nothing_is_deleted() -> None:
    listed = [BTC, *map(named, range(9))]
    assert len(listings.keep_listing("kraken", listed, NOON).made) == 10
    assert (row("BTC/USD").spec(), row("BTC/USD").is_active, changes()) == (BTC, False, [])
    key = row("BTC/USD").pk
    assert instruments([key])[key].tick == D("0.1")

    halted = replace(BTC, tick=D("0.5"), taker_fee=D("0.002"), trading=Trading.CANCEL_ONLY)
    kept = listings.keep_listing("kraken", [halted, *listed[2:]], LATER)
    assert (kept.changed["BTC/USD"], kept.gone) == (["tick", "taker_fee", "trading"], ["N000/USD"])
    assert instruments([key])[key].tick == D("0.1"), "until this transaction is committed"
    assert changes() == [
        ("BTC/USD", "tick", "0.1", "0.5"),
        ("BTC/USD", "taker_fee", "0.004", "0.002"),
        ("BTC/USD", "trading", "online", "cancel_only"),
        ("N000/USD", "trading", "online", "delisted"),
    ]
    assert (row("BTC/USD").spec(), row("BTC/USD").trading_since) == (halted, LATER)
    assert (row("N000/USD").trading, row("N000/USD").trading_since) == ("delisted", LATER)
    same = listings.keep_listing("kraken", [halted, *listed[1:]], LATER)
    assert same.changed == {"N000/USD": ["trading"]}, "it is back, and nothing else is new"


def test_a_list_of_much_less_than_before_takes_nothing_for_gone_until_the_next_one_says_so_too() -> None:
    listings.keep_listing("kraken", map(named, range(10)), NOON)
    short = list(map(named, range(4)))
    first = listings.keep_listing("kraken", short, LATER)
    assert (first.gone, first.problem) == (
        [],
        VenueListing.objects.get().problem,
    ) and "names 4 markets" in first.problem
    second = listings.keep_listing("kraken", short, LATER)
    assert (len(second.gone), VenueListing.objects.get().problem) == (6, "")


def test_a_list_costs_the_same_statements_however_long_it_is_and_what_no_book_holds_is_left_out() -> None:
    counted = []
    for many in (3, 60):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            listings.keep_listing(f"venue-{many}", map(named, range(many)), NOON)
        counted.append(len(queries))
    assert counted[0] == counted[1]
    odd = [replace(named(1), tick=D("1E-11")), replace(named(2), symbol="N\0/USD"), replace(named(3), base="x" * 16)]
    assert listings.keep_listing("odd", [BTC, *odd], NOON).made == ["BTC/USD"]
    # One that is traded already is listed all the same: it goes on by the rules that we have, and by the venue's word on what may be done.
    finer = replace(BTC, tick=D("1E-11"), lot=D("0.1"))
    assert not listings.keep_listing("odd", [finer, *odd], LATER).changed
    kept = listings.keep_listing("odd", [replace(finer, trading=Trading.CANCEL_ONLY), *odd], LATER)
    assert (kept.changed, kept.gone) == ({"BTC/USD": ["trading"]}, [])
    assert (row("BTC/USD", "odd").tick, row("BTC/USD", "odd").lot) == (D("0.1"), D("1E-8"))


def test_who_follows_a_market_follows_its_steps_and_states_and_keeps_its_own_fees() -> None:
    paper = next(i for i in real_market.instruments() if i.symbol == "BTC/USD")
    listings.keep_listing("kraken", [replace(BTC, tick=D("0.5")), named(1)], NOON)
    paper.refresh_from_db()
    assert (paper.tick, paper.lot, paper.min_notional) == (D("0.5"), D("1E-8"), D("0.5"))
    assert (paper.taker_fee, paper.kind, paper.is_active) == (None, "PERPETUAL", True)
    assert "BTC/USD" in wanted_of("kraken").routes
    listings.keep_listing("kraken", [named(1), named(2)], LATER)
    paper.refresh_from_db()
    assert paper.trading == "delisted" and "BTC/USD" not in wanted_of("kraken").routes
    Instrument.objects.filter(pk=paper.pk).update(trading="online")  # one that begins to follow what has gone before
    assert listings.keep_listing("kraken", [named(1), named(2)], LATER).changed == {"BTC/USD": ["trading"]}


def test_a_market_is_offered_by_command_which_shows_what_has_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signalist.markets.management.commands.instruments.become_engine", lambda: None)
    listings.keep_listing("kraken", [BTC, named(1)], NOON)
    listings.keep_listing("kraken", [replace(BTC, lot=D("0.1"))], LATER)
    out = io.StringIO()
    call_command("instruments", "kraken", "--offer", "BTC/USD", "--ask", "--json", stdout=out)
    told = json.loads(out.getvalue())
    assert (told["offered"], told["states"], len(told["changes"])) == (["BTC/USD"], {"delisted": 1, "online": 1}, 2)
    pair = row("BTC/USD").pair
    assert pair is not None and pair.code == "BTC/USD" and listings.is_asked_for("kraken")
    for symbol in ("N001/USD", "NONE/USD"):
        with pytest.raises(SystemExit):
            call_command("instruments", "kraken", "--offer", symbol, stderr=out)
    call_command("instruments", "kraken", "--withdraw", "BTC/USD", stdout=out)
    assert not row("BTC/USD").is_active and "Offered here: none" in out.getvalue()


@story
async def test_who_asks_a_venue_that_lists_nothing_is_answered_once() -> None:
    async with world("BTC/USD"):
        listings.ask_for("loop", LATER - timedelta(hours=2))
        await until(lambda: VenueListing.objects.get().tried_at is not None, "it is asked")
        assert not listings.is_asked_for("loop") and VenueListing.objects.get().problem == "It names no markets."


@story
async def test_krakens_own_list_is_heard_as_it_is_now_and_a_venue_that_does_not_tell_is_said_so() -> None:
    clock, pairs = ReplayClock(NOON), {"XABCZUSD": dict(PAIR), "XXBTZUSD": BITCOIN}
    server = Server(pairs, Terms(), protocol.TIERS["starter"], clock.now)
    async with serving(server) as address:
        source = KrakenMarket(Client(clock, base=address), "")
        keeper = ListingKeeper(source, clock, at_once)
        await keeper.hear()
        assert (row("ABC/USD").taker_fee, row("ABC/USD").trading) == (D("0.001"), "online")
        pairs["XABCZUSD"]["status"] = "post_only"
        await keeper.hear()
        assert row("ABC/USD").trading == "post_only", "whatever was listed a moment ago"
        server.house.prices["ABC/USD"] = D(1000)
        server.market.traded("ABC/USD", D(1000))
        server.faults.add("error", "Ticker", text="EQuery:Unknown asset pair")
        assert set(await source.tickers(["ABC/USD"])) == {"ABC/USD"}, "one that was gone costs the others nothing"
        server.faults.add("error", "AssetPairs", text="EService:Unavailable")
        assert await keeper.hear() is None
        listing = VenueListing.objects.get()
        assert "EService:Unavailable" in listing.problem and listing.listed == 2
        await source.close()
