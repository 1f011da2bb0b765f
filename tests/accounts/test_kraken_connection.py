"""A key of Kraken's: what is asked for, tried and refused before anything is stored; and that live accounts are offered to nobody."""

from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import replace as replace_fields
from decimal import Decimal

import pytest
from pytest_django import Settings

from signalist.accounts.connectors import connectors
from signalist.accounts.models import Account
from signalist.accounts.probe import NotAccepted, Probed, probe
from signalist.clock import SystemClock
from signalist.domain.orders import OrderType, Side
from signalist.risk.connections import Elsewhere, connect, orders_of, replace, revoke
from signalist.venues.base import Balance
from signalist.venues.kraken.venue import KrakenVenue
from signalist.venues.transport.supplies import of_this_process
from tenants.doors import acting_for
from tenants.models import Credential
from tenants.vault import unsealed
from tests.cast import Cast
from tests.pages import ledger
from tests.venues import paper_bench
from tests.venues.battery import request
from tests.venues.kraken_bench import LISTED, ROOMY
from tests.venues.kraken_server.house import ALL
from tests.venues.kraken_server.server import Server, serving

D = Decimal
SECRET = base64.b64encode(b"correct-horse-battery-staple").decode()
KEY = {"api_key": "key-1", "api_secret": SECRET, "currency": "usd"}


@dataclass(frozen=True)
class Running:
    """The venue on a thread of the test's own process; `server` is touched while nobody asks it."""

    server: Server
    address: str


@contextmanager
def running() -> Iterator[Running]:
    """Serves while the block lasts."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = Server(LISTED, paper_bench.TERMS, ROOMY, SystemClock().now)
    context = serving(server)
    try:
        address = asyncio.run_coroutine_threadsafe(context.__aenter__(), loop).result(10)
        yield Running(server, address)
        asyncio.run_coroutine_threadsafe(context.__aexit__(None, None, None), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@pytest.fixture
def kraken(settings: Settings) -> Iterator[Running]:
    with running() as found:
        settings.KRAKEN_URL = found.address
        found.server.house.prices["ABC/USD"] = Decimal(1000)
        found.server.house.open_account("key-1", b"correct-horse-battery-staple", Decimal(5000))
        yield found


def test_a_key_is_accepted_with_its_rights_and_balance_or_refused_with_what_to_do(kraken: Running) -> None:
    connector, holder = connectors()["kraken"], kraken.server.house.holders["key-1"]
    assert connector.is_play_money, "a server on this machine"
    assert all(word in connector.how for word in ("query funds", "WebSocket interface", "may withdraw is refused"))
    probed = probe(connector, KEY)
    assert (probed.ref, probed.balance.currency, probed.balance.total) == ("key-1", "USD", 5000)
    assert probed.rights is not None
    assert probed.rights.rights == {"read", "trade"}
    for rights, words in (
        (ALL | {"withdraw"}, "may withdraw money"),
        (ALL - {"cancel"}, "may not trade"),
        (ALL - {"funds"}, "may not read"),
        (frozenset(), "may not read and trade"),
    ):
        holder.rights = rights
        with pytest.raises(NotAccepted, match=words):
            probe(connector, KEY)
    holder.rights = ALL
    for change, words in (
        ({"api_secret": base64.b64encode(b"wrong").decode()}, "Invalid signature"),
        ({"api_secret": "no base64!"}, "base64"),
        ({"api_key": "key-2"}, "Invalid key"),
        ({"currency": "$"}, "short name"),
        ({"currency": "UDS"}, "No market at Kraken is paid in UDS"),
    ):
        with pytest.raises(NotAccepted, match=words):
            probe(connector, KEY | change)
    assert holder.orders() == {}, "nothing was placed"


def test_live_accounts_are_offered_only_where_they_are_allowed(settings: Settings) -> None:
    assert settings.KRAKEN_URL == "https://api.kraken.com"
    assert "kraken" not in connectors()
    settings.LIVE_ACCOUNTS_ALLOWED = True
    assert not connectors()["kraken"].is_play_money


@pytest.mark.django_db
def test_an_account_with_play_money_is_never_moved_to_where_real_money_is(
    kraken: Running, cast: Cast, settings: Settings
) -> None:
    probed = probe(connectors()["kraken"], KEY)
    with acting_for(cast.acme.pk):
        key, held = connect(cast.acme.pk, "kraken", "Main", KEY, probed, cast.olivia)
        settings.KRAKEN_URL, settings.LIVE_ACCOUNTS_ALLOWED = "https://api.kraken.com", True
        with pytest.raises(Elsewhere, match="where play money is traded"):
            replace(key, KEY, probed, cast.olivia)
        revoke(key, "moved", cast.olivia)
        with pytest.raises(Elsewhere, match="where play money is traded"):
            connect(cast.acme.pk, "kraken", "Main again", KEY, probed, cast.olivia)
        _, real = connect(cast.acme.pk, "kraken", "Real", KEY, replace_fields(probed, ref="key-9"), cast.olivia)
        assert not real.is_paper and Account.objects.get(pk=held.pk).is_paper


OTHER = {"api_key": "key-2", "api_secret": base64.b64encode(b"another").decode(), "currency": "usd"}


def traded(kraken: Running, holder: Account) -> None:
    """The account has had an order, which the venue knows under the first key."""
    market = ledger.instrument("ABC/USD", venue="kraken")
    order = ledger.stop_order(ledger.position(ledger.follows(holder, ledger.schedule(market))))

    async def place() -> str:
        venue = connectors()["kraken"].venue_with(lambda _: KEY, of_this_process("kraken", SystemClock()))
        assert isinstance(venue, KrakenVenue)
        try:
            terms = {"price": Decimal(900), "symbol": "ABC/USD", "client_order_id": order.client_order_id}
            ack = await venue.open("key-1").place(request(Side.BUY, "1", OrderType.LIMIT, **terms))
            return ack.venue_order_id
        finally:
            await venue.close()

    order.venue_order_id = asyncio.run(place())
    order.save(update_fields=["venue_order_id"])


@pytest.mark.django_db
def test_another_key_is_the_same_accounts_where_the_venue_knows_its_orders_under_it(
    kraken: Running, cast: Cast
) -> None:
    house, connector = kraken.server.house, connectors()["kraken"]
    house.holders["key-2"] = replace_fields(house.holders["key-1"], secret=b"another", nonce=0)
    house.open_account("key-3", b"another", Decimal(70))
    stranger = OTHER | {"api_key": "key-3"}
    with acting_for(cast.acme.pk):
        first, held = connect(cast.acme.pk, "kraken", "Main", KEY, probe(connector, KEY), cast.olivia)
        assert held.is_play_money and held.is_paper, "for ever, whatever the settings name later"
        traded(kraken, held)
        names = orders_of("kraken")
        assert list(names) == [held.pk]

        with pytest.raises(Elsewhere, match="for another account than Main"):
            replace(first, stranger, probe(connector, stranger, names), cast.olivia)
        euros = OTHER | {"currency": "EUR"}
        with pytest.raises(Elsewhere, match="counted in USD, and this key was tried for EUR"):
            replace(
                first,
                euros,
                Probed("key-2", Balance("EUR", D(1), D(1)), None, False, frozenset({held.pk})),
                cast.olivia,
            )
        with pytest.raises(Elsewhere, match="connected already, with the key 'Main'"):
            connect(cast.acme.pk, "kraken", "Twice", OTHER, probe(connector, OTHER, names), cast.olivia)

        replace(first, OTHER, probe(connector, OTHER, names), cast.olivia)
        with unsealed(Credential.objects.get(pk=first.pk)) as secrets:
            assert secrets["api_key"] == "key-2"

        # After a leak: the key is gone, and the next one opens the account that has the positions, not an empty one.
        revoke(first, "leaked", cast.olivia)
        house.holders["key-4"] = replace_fields(house.holders["key-1"], secret=b"another", nonce=0)
        fourth = OTHER | {"api_key": "key-4"}
        second, again = connect(cast.acme.pk, "kraken", "New", fourth, probe(connector, fourth, names), cast.olivia)
        assert (again.pk, again.credential_id, again.venue_ref) == (held.pk, second.pk, "key-1")
        assert Account.objects.filter(venue="kraken").count() == 1


@pytest.mark.django_db
def test_an_account_that_never_had_an_order_takes_any_key_of_its_currency(kraken: Running, cast: Cast) -> None:
    connector, house = connectors()["kraken"], kraken.server.house
    house.holders["key-2"] = replace_fields(house.holders["key-1"], secret=b"another", nonce=0)
    with acting_for(cast.acme.pk):
        first, _ = connect(cast.acme.pk, "kraken", "Main", KEY, probe(connector, KEY), cast.olivia)
        replace(first, OTHER, probe(connector, OTHER, orders_of("kraken")), cast.olivia)
        with unsealed(Credential.objects.get(pk=first.pk)) as secrets:
            assert secrets["api_key"] == "key-2"
