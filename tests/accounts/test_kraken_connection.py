"""A key of Kraken's: what is asked for, tried and refused before anything is stored; and that live accounts are offered to nobody."""

from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal

import pytest
from pytest_django import Settings

from signalist.accounts.connectors import connectors
from signalist.accounts.probe import NotAccepted, probe
from signalist.clock import SystemClock
from tests.venues import paper_bench
from tests.venues.kraken_bench import LISTED, ROOMY
from tests.venues.kraken_server.house import ALL
from tests.venues.kraken_server.server import Server, serving

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
