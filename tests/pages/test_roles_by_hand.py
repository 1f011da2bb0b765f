"""Orders by hand under the role that the web process takes on: what the pages need, policies and grants let them do."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

import pytest
from django.db import connection

from signalist.domain.orders import OrderType
from signalist.domain.signals import Direction
from signalist.execution.actions import close_all, flatten
from signalist.trading.models import Instruction, Order
from signalist.trading.order_actions import Change, cancel_order, modify_order
from signalist.trading.tickets import Ticket, give
from tenants.doors import viewing
from tests.cast import Cast
from tests.pages.acme import Acme, acme_trades

pytestmark = pytest.mark.postgresql
D = Decimal


@pytest.fixture
def acme(transactional_db: None, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> Iterator[Acme]:
    with acme_trades(cast, monkeypatch) as world:
        yield world


@contextmanager
def as_web(acme: Acme) -> Iterator[None]:
    """Acme's door under the web's role."""
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE signalist_web")
        try:
            with viewing(acme.cast.acme.pk):
                yield
        finally:
            cursor.execute("RESET ROLE")


def test_a_ticket_a_change_a_cancel_and_a_flattening(acme: Acme) -> None:
    account, now = acme.account(), acme.scene.clock.now()
    wanted = Ticket(acme.scene.btc, Direction.LONG, OrderType.LIMIT, D(2), None, D(39_800), D(39_000), None, D(10))
    with as_web(acme):
        give(account, wanted, "k", now, acme.cast.theo, nets=True)
    acme.scene.settle()
    resting = Order.objects.get(leg="ENTRY")
    with as_web(acme):
        modify_order(resting, Change(price=D(39_850)), "m", now, acme.cast.theo, amends=True)
    acme.scene.settle()
    with as_web(acme):
        cancel_order(Order.objects.get(leg="ENTRY", status="WORKING"), "c", now, acme.cast.theo)
        close_all(account, "a", "all", now, acme.cast.theo)
        flatten(account, "f", "flat", now, acme.cast.theo, pausing=True)
    acme.scene.settle()
    assert set(Order.objects.values_list("status", flat=True)) == {"CANCELLED"}
    assert Instruction.objects.count() == 5


def test_the_pages_are_shown_and_used_under_it(acme: Acme) -> None:
    account = acme.account()
    said = {
        "account": str(account.public_id),
        "instrument": str(acme.scene.btc.pk),
        "direction": "LONG",
        "type": "MARKET",
        "sizing": "share",
        "quantity": "0.1",
        "stop": "39600",
        "leverage": "10",
        "key": str(uuid.uuid4()),
        "confirmed": "1",
    }
    theo = acme.cast.theo
    acme.get("/orders/new/", theo)  # logs in
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE signalist_web")
        try:
            answer = acme.post("/orders/new/", theo, **said)
            pages = [answer.headers["Location"], "/commands/", "/execution/", "/close/", "/positions/"]
            assert [acme.get(page, theo).status_code for page in pages] == [200] * 5
        finally:
            cursor.execute("RESET ROLE")
