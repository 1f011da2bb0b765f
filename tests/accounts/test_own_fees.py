"""What an account itself pays at its venue: asked hourly, kept with it, counted in sizes and shown on its page."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from asgiref.sync import sync_to_async

from signalist.accounts.keyholding import Keys
from signalist.accounts.models import Account
from signalist.accounts.own_fees import own_fees, told_at, with_own_fees, write
from signalist.accounts.sessions import Sessions
from signalist.clock import ReplayClock
from signalist.engine import keywatch
from signalist.engine.keywatch import KeyWatch
from signalist.markets.selectors import forget_instruments
from signalist.venues.errors import NoAnswer
from signalist.venues.facts import FeeRates
from signalist.venues.kraken import parse
from signalist.venues.kraken.symbols import Pairs
from tenants.models import Credential, Validity
from tests.accounts.loopback import Loopback
from tests.accounts.test_keyholding import ENGINE, connected, venue
from tests.accounts.test_keywatch import ELSEWHERE, Desk, in_thread
from tests.cast import Cast
from tests.flows.scene import LONG, entry
from tests.markets.feed_world import instrument
from tests.pages.acme import Acme, acme_trades
from tests.venues.kraken_bench import LISTED, SPOT, KrakenBench, served
from tests.venues.kraken_vectors import beside, rest

__all__ = ["in_thread", "venue"]
D = Decimal
NOW = datetime(2024, 5, 6, 12, tzinfo=UTC)
OWN = FeeRates(D("0.0014"), D("0.0004"))


# --- What Kraken says ----------------------------------------------------------------------------


@pytest.fixture
async def bench() -> AsyncIterator[KrakenBench]:
    async with served() as bench:
        yield bench


async def test_kraken_is_asked_for_many_markets_at_once_and_told_percents_are_fractions(bench: KrakenBench) -> None:
    session: Any = bench.account()
    asked = len(bench.server.asked)
    told = await session.fees([SPOT.symbol, "BTC/USD", "NOT/LISTED"])
    rates = FeeRates(bench.taker_fee, bench.maker_fee)
    assert told == {SPOT.symbol: rates, "BTC/USD": rates}
    assert bench.server.asked[asked:].count("TradeVolume") == 1
    assert await session.fees(["NOT/LISTED"]) == {} and bench.server.asked.count("TradeVolume") == 1
    bench.server.faults.add("malformed", "TradeVolume")
    with pytest.raises(NoAnswer):
        await session.fees([SPOT.symbol])


@beside
def test_what_is_recorded_of_an_account_without_pairs_and_what_cannot_be_read_are_no_fees() -> None:
    known: Pairs = parse.pairs(parse.read(json.dumps(LISTED)))
    assert parse.fees(rest("trade_volume"), known) == {}
    odd = {"XABCZUSD": {"fee": "0.14"}, "XXBTZUSD": {"fee": None}, "XUNKNOWN": {"fee": "0.2"}}
    assert parse.fees({"fees": odd}, known) == {"ABC/USD": FeeRates(D("0.0014"), D("0.0014"))}


# --- Who asks, and when --------------------------------------------------------------------------


class FeeVenue:
    """Its accounts have a key that is well, and fees of their own."""

    capabilities = SimpleNamespace(answer_within=1.0)

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.told: Mapping[str, FeeRates] | Exception = {"BTC/USD": OWN, "ODD/USD": FeeRates(D(3), D(3))}

    def open(self, ref: str) -> Any:
        async def balance() -> None: ...

        async def fees(symbols: Collection[str]) -> Mapping[str, FeeRates]:
            self.asked.append(list(symbols))
            if isinstance(self.told, Exception):
                raise self.told
            return self.told

        return SimpleNamespace(balance=balance, fees=fees)


class Clocked(Desk):
    clock = ReplayClock(NOW)


@pytest.mark.django_db(transaction=True)
async def test_an_engine_asks_hourly_and_writes_only_of_accounts_that_it_holds(
    venue: Loopback, cast: Cast, in_thread: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    await sync_to_async(connected)(venue, cast)
    fees = FeeVenue()
    watch = KeyWatch(Keys(), Sessions({"loopback": fees}, paper=frozenset({"loopback"})), Clocked())  # type: ignore[arg-type,dict-item]

    def prepared() -> None:
        Account.objects.filter(venue="loopback").update(lease_owner=Desk.id)
        for symbol in ("BTC/USD", "BTC/EUR"):
            instrument(symbol, "loopback")
        type(instrument("OLD/USD", "loopback")).objects.filter(symbol="OLD/USD").update(is_active=False)

    async def asked_after() -> Account:
        watch._asked.clear()
        await watch.ask(watch._due())
        return await in_thread(lambda: Account.objects.get(venue="loopback"))

    await in_thread(prepared)
    await watch.look()
    account = await asked_after()
    assert fees.asked == [["BTC/USD"]], "the markets that are offered in the account's currency"
    assert [(row.symbol, row.rates) for row in own_fees(account)] == [("BTC/USD", OWN)], (
        "no fee is three hundred per cent"
    )
    assert told_at(account) == NOW
    await asked_after()
    assert len(fees.asked) == 1, "its key was asked about again, its fees were not"
    monkeypatch.setattr(keywatch, "FEES_EVERY", -1.0)
    fees.told = NoAnswer("not now")
    account = await asked_after()
    assert (len(fees.asked), own_fees(account)[0].rates) == (2, OWN), "what was told before stands"
    assert (await in_thread(Credential.objects.get)).validity == Validity.VALID
    assert await in_thread(lambda: write(account.pk, UUID(ENGINE), {"BTC/USD": OWN}, NOW))
    assert not await in_thread(lambda: write(account.pk, ELSEWHERE, {}, NOW)), "another engine's"


# --- What counts them ----------------------------------------------------------------------------


@pytest.fixture
def acme(transactional_db: None, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> Iterator[Acme]:
    with acme_trades(cast, monkeypatch) as world:
        yield world


def test_an_entry_is_sized_by_the_accounts_own_fee_where_it_is_known_and_the_page_shows_it(acme: Acme) -> None:
    scene, terms = acme.scene, {"capital": "1000", "notional": "1", "leverage": "1"}
    scene.btc.taker_fee = D("0.004")
    scene.btc.save()
    forget_instruments()
    known, unknown = (acme.follower(name, deposit="1000", **terms) for name in ("Own", "List"))
    page = "/connections/accounts/"
    assert "Fees it pays there" not in acme.text(page)
    rates = {"BTC-PERP": ["0.0014", "0.0004"]}
    Account.objects.filter(pk=known.account_id).update(own_fees={"at": NOW.isoformat(), "rates": rates})
    scene.signal(entry(LONG, "39600", "40800"))
    for who, fee in ((known, "0.0014"), (unknown, "0.004")):
        decided = scene.execution(who)
        assert decided.price is not None
        paid_for = D(1000) / (decided.price * (1 + D(fee)))
        assert decided.quantity == paid_for // scene.btc.lot * scene.btc.lot, "what it can pay for, with its fee"
    other = Account(venue="kraken", own_fees={"rates": rates})
    assert with_own_fees(other, scene.btc.spec()).taker_fee == D("0.004"), "at another venue they say nothing"
    assert acme.text(page).count("BTC-PERP 0.14%, 0.04% where it rested first") == 1
