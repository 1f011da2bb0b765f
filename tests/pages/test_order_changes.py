"""Taking back and changing an order, and closing many, by page: asked twice, done once, only by who may."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from pytest_django import Settings

from signalist.domain.orders import OrderType
from signalist.domain.signals import Direction
from signalist.trading.models import Instruction, Order, Position, Subscription
from signalist.trading.tickets import Ticket, give
from tests.cast import Cast
from tests.flows.scene import LONG, entry
from tests.pages.acme import Acme, acme_trades
from tests.pages.counting import asks

D = Decimal
# The person, session and membership; the accounts, their subscriptions and positions with what names and marks those, and their orders.
CLOSE_MANY = 15
BUY = entry(LONG, "39600", "40800")


@pytest.fixture
def acme(transactional_db: None, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> Iterator[Acme]:
    with acme_trades(cast, monkeypatch) as world:
        yield world


@pytest.fixture
def limit(acme: Acme, settings: Settings) -> Order:
    """A limit order by hand that rests; no change of it wants the password."""
    settings.STEP_UP_NOTIONAL = 10**9
    wanted = Ticket(acme.scene.btc, Direction.LONG, OrderType.LIMIT, D(2), None, D(39_800), D(39_000), None, D(10))
    give(acme.account(), wanted, "k", acme.scene.clock.now(), acme.cast.theo, nets=True)
    acme.scene.settle()
    return Order.objects.get(leg="ENTRY")


def address(order: Order, what: str = "") -> str:
    return f"/orders/{order.client_order_id}/{what}"


def key(page: str) -> str:
    found = re.search(r'name="key" value="([^"]+)"', page)
    assert found
    return found[1]


def newest() -> Instruction:
    return Instruction.objects.latest("pk")


def test_an_order_is_taken_back_from_its_page(acme: Acme, limit: Order) -> None:
    pressed = key(acme.html(address(limit)))
    for _ in range(2):
        answer = acme.post(address(limit, "cancel/"), acme.cast.theo, key=pressed)
        assert answer.headers["Location"] == f"/commands/{newest().public_id}/"
    assert Instruction.objects.filter(kind="CANCEL").count() == 1
    assert "Under way" in acme.text(f"/commands/{newest().public_id}/")
    acme.scene.settle()
    words = acme.text(f"/commands/{newest().public_id}/")
    assert "Done" in words and "CANCELLED" in words and "0.00000 BTC filled, 2.00000 not." in words
    assert "Change it" not in acme.text(address(limit))


def test_an_entry_gets_another_price(acme: Acme, limit: Order) -> None:
    page = acme.html(address(limit, "modify/"))
    assert 'value="39800"' in page and 'value="2"' in page
    answer = acme.post(address(limit, "modify/"), acme.cast.theo, key=key(page), price="39,850", quantity="2")
    acme.scene.settle()
    words = acme.text(answer.headers["Location"])
    assert "Done" in words and "Wanted: 2.00000 BTC at 39,850.0 USD." in words
    assert [(o.status, str(o.price)) for o in Order.objects.order_by("pk")] == [
        ("CANCELLED", "39800.0000000000"),
        ("WORKING", "39850.0000000000"),
    ]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"price": "39850.05"}, "It must be a multiple of 0.1 USD"),
        ({"quantity": "-1"}, "Enter a number above zero"),
        ({"price": "38000"}, "the stop 39000.0000000000 of a long must lie below"),
        ({"price": "39800", "quantity": "2"}, "That is what the order is already"),
    ],
)
def test_a_change_that_makes_no_sense_says_so_on_the_form(
    acme: Acme, limit: Order, said: dict[str, str], words: str
) -> None:
    answer = acme.post(address(limit, "modify/"), acme.cast.theo, key=str(uuid.uuid4()), **said)
    assert words in answer.content.decode()
    assert not Instruction.objects.filter(kind="AMEND").exists()


def test_a_stop_is_moved_with_a_warning_and_never_taken_away(acme: Acme) -> None:
    desk = acme.follower()
    acme.scene.signal(BUY)
    stop = acme.scene.order(desk, "STOP")
    page = acme.html(address(stop))
    assert "Move the stop" in page and "/cancel/" not in page
    page = acme.html(address(stop, "modify/"))
    assert "no stop stands at the venue" in page
    acme.post(address(stop, "modify/"), acme.cast.theo, key=key(page), trigger="39700")
    acme.scene.settle()
    assert acme.scene.position(desk).stop == D(39_700)
    assert acme.scene.resting(desk)["STOP"] == D("2.5")
    refused = acme.post(address(acme.scene.order(desk, "STOP"), "cancel/"), acme.cast.theo, key=str(uuid.uuid4()))
    assert "A stop is not taken away" in acme.text(refused.headers["Location"])


def test_a_position_gets_the_stop_that_it_has_not(acme: Acme) -> None:
    wanted = Ticket(acme.scene.btc, Direction.LONG, OrderType.MARKET, D(2), leverage=D(10))
    give(acme.account(), wanted, "k", acme.scene.clock.now(), acme.cast.theo, nets=True)
    acme.scene.settle()
    held = Position.objects.get()
    assert acme.scene.unprotected()
    where = f"/positions/{held.pk}/stop/"
    assert where in acme.html(f"/positions/{held.pk}/")
    page = acme.html(where)
    said = acme.post(where, acme.cast.theo, key=key(page), trigger="40100")
    assert "It would close the position at once" in said.content.decode()
    for _ in range(2):
        acme.post(where, acme.cast.theo, key=key(page), trigger="39,500")
    acme.scene.settle()
    assert not acme.scene.unprotected()
    assert Instruction.objects.filter(kind="AMEND").count() == 1
    again = acme.post(where, acme.cast.theo, key=str(uuid.uuid4()), trigger="39400")
    assert "It has a stop already" in again.content.decode()
    assert "it stands with the position" in acme.text(f"/commands/{newest().public_id}/")
    for who, status in ((acme.cast.vera, 403), (acme.cast.gus, 404)):
        assert acme.post(where, who, key=str(uuid.uuid4()), trigger="39400").status_code == status
    assert acme.get(f"/positions/{held.pk}/nonsense/", acme.cast.theo).status_code == 404


def test_a_stop_is_not_measured_by_an_old_price(acme: Acme) -> None:
    desk = acme.follower()
    acme.scene.signal(BUY)
    where, before = address(acme.scene.order(desk, "STOP"), "modify/"), acme.scene.position(desk).stop
    acme.scene.later(91)
    said = acme.post(where, acme.cast.theo, key=str(uuid.uuid4()), trigger="39700")
    assert "There is no fresh price of BTC-PERP" in said.content.decode()
    assert acme.scene.position(desk).stop == before
    acme.scene.price("40000")
    acme.post(where, acme.cast.theo, key=str(uuid.uuid4()), trigger="39700")
    assert acme.scene.position(desk).stop == D(39_700)


def test_a_form_without_its_key_does_nothing(acme: Acme, limit: Order) -> None:
    acme.post(address(limit, "cancel/"), acme.cast.theo, key="no uuid")
    assert "nothing was done" in acme.text(address(limit))
    assert not Instruction.objects.filter(kind="CANCEL").exists()


def test_a_reader_changes_nothing_and_an_outsider_finds_nothing(acme: Acme, limit: Order) -> None:
    assert "Change it" not in acme.text(address(limit), acme.cast.vera)
    for what in ("cancel/", "modify/"):
        for who, status in ((acme.cast.vera, 403), (acme.cast.gus, 404), (None, 302)):
            assert acme.post(address(limit, what), who, key=str(uuid.uuid4())).status_code == status, (what, who)
    assert acme.get(address(limit, "cancel/"), acme.cast.theo).status_code == 405
    assert Instruction.objects.count() == 1


# --- Closing many --------------------------------------------------------------------------------


def confirmed(acme: Acme, where: str, who: Any = None, **said: str) -> Any:
    page = acme.html(where)
    return acme.post(where.partition("?")[0], who or acme.cast.theo, key=key(page), **said)


def test_all_of_an_account_is_closed_after_it_was_shown(acme: Acme) -> None:
    desk = acme.follower()
    acme.scene.signal(BUY)
    where = f"/close/account/{desk.account.public_id}/"
    assert "Close all" in acme.text("/close/")
    words = acme.text(where)
    assert (
        "Long 2.50000 BTC" in words and "Close 1 position at market" in words and "Nothing has been done yet" in words
    )
    answer = confirmed(acme, where, what="close")
    acme.scene.settle()
    assert not Position.objects.filter(is_open=True).exists()
    assert "Done" in acme.text(answer.headers["Location"])
    assert Subscription.objects.get().status == "ACTIVE"


def test_an_account_is_flattened_and_its_subscriptions_are_paused(acme: Acme, limit: Order) -> None:
    acme.follower("Other")
    where = f"/close/account/{limit.account.public_id}/?what=flatten"
    words = acme.text(where)
    assert "Flatten the account" in words and "Entry, buy 2.00000 BTC" in words
    confirmed(acme, where, what="flatten")
    acme.scene.settle()
    assert Order.objects.get(leg="ENTRY").status == "CANCELLED"
    other = Subscription.objects.get(strategy__isnull=False)
    assert other.status == "ACTIVE", "another account's"


def test_only_what_a_subscription_holds_is_closed(acme: Acme) -> None:
    one, two = acme.follower("One"), acme.follower("Two")
    acme.scene.signal(BUY)
    confirmed(acme, f"/close/subscription/{one.public_id}/")
    acme.scene.settle()
    assert [p.subscription_id for p in Position.objects.filter(is_open=True)] == [two.pk]


def test_closing_many_is_not_for_readers_nor_for_others(acme: Acme) -> None:
    desk = acme.follower()
    acme.scene.signal(BUY)
    for where in (f"/close/account/{desk.account.public_id}/", f"/close/subscription/{desk.public_id}/"):
        for who, status in ((acme.cast.vera, 403), (acme.cast.gus, 404), (None, 302)):
            assert acme.get(where, who).status_code == status
            assert acme.post(where, who, key=str(uuid.uuid4())).status_code == status
        acme.post(where, acme.cast.theo, key="")
    assert not Instruction.objects.exists()


def test_the_pages_ask_the_same_however_much_there_is(acme: Acme) -> None:
    acme.follower()
    acme.scene.signal(BUY)
    acme.html("/close/")
    with asks(CLOSE_MANY):
        acme.html("/close/")
    for name in ("A", "B", "C"):
        acme.follower(name)
    acme.scene.minute()
    acme.scene.signal(BUY)
    assert Position.objects.filter(is_open=True).count() == 4
    with asks(CLOSE_MANY):
        acme.html("/close/")
