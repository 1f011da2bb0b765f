"""What wants the password once more: a large order however it comes about, and releasing what was stopped."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from pytest_django import Settings

from signalist.accounts.models import Account
from signalist.domain.orders import OrderType
from signalist.domain.signals import Direction
from signalist.markets.models import Instrument
from signalist.trading.approval import large_above
from signalist.trading.models import Execution, Instruction, Order, Position
from signalist.trading.tickets import Ticket, give
from tests.cast import PASSWORD, Cast
from tests.pages.acme import Acme, acme_trades, plain

D = Decimal
NEW = "/orders/new/"
ASKED = "/accounts/reauthenticate/"


@pytest.fixture
def acme(transactional_db: None, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> Iterator[Acme]:
    with acme_trades(cast, monkeypatch) as world:
        yield world


@pytest.fixture
def desk(acme: Acme, settings: Settings) -> Account:
    settings.STEP_UP_NOTIONAL = 25_000
    return acme.account()


def posted(acme: Acme, address: str, **said: str) -> Any:
    return acme.post(address, acme.cast.theo, **said)


def wants_password(answer: Any) -> bool:
    return bool(answer.status_code == 302 and answer.headers["Location"].startswith(ASKED))


def with_password(acme: Acme, answer: Any) -> str:
    """Theo gives his password on the page that asks for it; the address that he comes back to."""
    back = posted(acme, answer.headers["Location"], password=PASSWORD)
    assert back.status_code == 302
    return str(back.headers["Location"])


def form(acme: Acme, desk: Account, **changes: str) -> dict[str, str]:
    """One per cent of 100,000 to the stop, at market."""
    filled_in = {
        "account": str(desk.public_id),
        "instrument": str(acme.scene.btc.pk),
        "direction": "LONG",
        "type": "MARKET",
        "sizing": "risk",
        "risk": "1",
        "stop": "39,600",
        "leverage": "20",
        "key": str(uuid.uuid4()),
    }
    return {name: value for name, value in (filled_in | changes).items() if value}


def resting(acme: Acme, desk: Account, quantity: str = "0.01") -> tuple[Order, str]:
    """A limit order by hand that rests, and the address at which it is changed."""
    wanted = Ticket(
        acme.scene.btc, Direction.LONG, OrderType.LIMIT, D(quantity), None, D(39_800), D(39_000), None, D(10)
    )
    give(desk, wanted, "k", acme.scene.clock.now(), acme.cast.theo, nets=True)
    acme.scene.settle()
    row = Order.objects.get(leg="ENTRY")
    return row, f"/orders/{row.client_order_id}/modify/"


# --- Changing an order ---------------------------------------------------------------------------


def test_a_small_order_is_not_made_large_without_the_password(acme: Acme, desk: Account) -> None:
    _, address = resting(acme, desk)
    said = {"key": str(uuid.uuid4()), "quantity": "10", "price": "39800"}
    asked = posted(acme, address, **said)
    assert wants_password(asked)
    acme.scene.settle()
    assert not Instruction.objects.filter(kind="AMEND").exists()
    back = with_password(acme, asked)
    assert back.startswith(address)
    assert 'value="10"' in acme.html(back) and said["key"] in acme.html(back)
    assert posted(acme, address, **said).headers["Location"].startswith("/commands/")
    acme.scene.settle()
    assert Order.objects.get(leg="ENTRY", status="WORKING").quantity == 10


def test_a_large_order_is_made_smaller_without_the_password(acme: Acme, desk: Account) -> None:
    _, address = resting(acme, desk, "2")
    answer = posted(acme, address, key=str(uuid.uuid4()), quantity="1", price="39800")
    assert answer.headers["Location"].startswith("/commands/")
    acme.scene.settle()
    assert Order.objects.get(leg="ENTRY", status="WORKING").quantity == 1


def test_a_large_order_at_another_price_wants_it(acme: Acme, desk: Account) -> None:
    _, address = resting(acme, desk, "2")
    assert wants_password(posted(acme, address, key=str(uuid.uuid4()), price="39900"))


def test_a_small_change_wants_none_and_is_bound_by_the_threshold(acme: Acme, desk: Account) -> None:
    _, address = resting(acme, desk)
    assert posted(acme, address, key=str(uuid.uuid4()), quantity="0.02").headers["Location"].startswith("/commands/")
    assert Instruction.objects.get(kind="AMEND").approved_notional == 25_000


# --- Of what is paid in another currency ---------------------------------------------------------


@pytest.fixture
def ether(acme: Acme, desk: Account) -> dict[str, str]:
    """A ticket for ether worth 1.5 bitcoin, on an account that is held in bitcoin; no rate is known yet."""
    market = acme.scene.instrument("ETH-BTC", "0.05", pair=None, quote="BTC", tick="0.00001")
    account = acme.account("Coins", currency="BTC", deposit="10")
    said = {"account": str(account.public_id), "instrument": str(market.pk), "sizing": "share", "risk": "", "stop": ""}
    return form(acme, desk, **said, quantity="30")


@pytest.mark.parametrize(("dollars", "asks"), [("20000", True), ("15000", False)])
def test_what_is_large_is_measured_in_the_currency_of_the_threshold(
    acme: Acme, ether: dict[str, str], dollars: str, asks: bool
) -> None:
    acme.scene.rate("BTC", "USD", dollars)
    reviewed = plain(posted(acme, NEW, **ether, review="1").content.decode())
    assert ("Worth more than 25,000.00 USD: it wants your password" in reviewed) is asks
    answer = posted(acme, NEW, **ether, confirmed="1")
    assert (wants_password(answer), answer.headers["Location"].startswith("/commands/")) == (asks, not asks)


def test_what_is_small_in_dollars_is_large_in_no_other_currency(acme: Acme, ether: dict[str, str]) -> None:
    acme.scene.rate("USD", "BTC", "83")  # as if it were rupees
    assert posted(acme, NEW, **(ether | {"quantity": "60"}), confirmed="1").headers["Location"].startswith("/commands/")
    assert Instruction.objects.get().approved_notional == 83 * 25_000


def test_the_decision_keeps_to_the_threshold_of_the_page_in_its_own_currency(acme: Acme, ether: dict[str, str]) -> None:
    acme.scene.rate("BTC", "USD", "15000")
    small = ether | {"quantity": "33"}  # 1.65 bitcoin
    assert posted(acme, NEW, **small, confirmed="1").headers["Location"].startswith("/commands/")
    assert Instruction.objects.get().approved_notional == D("1.6666666667")
    acme.scene.price("0.0508", Instrument.objects.get(symbol="ETH-BTC"))
    acme.scene.settle()
    assert Execution.objects.get().rule == "not_approved"


def test_of_what_no_rate_tells_the_worth_any_size_wants_the_password(acme: Acme, ether: dict[str, str]) -> None:
    tiny = ether | {"quantity": "21"}
    reviewed = plain(posted(acme, NEW, **tiny, review="1").content.decode())
    assert "No rate tells what BTC is worth in USD: it wants your password" in reviewed
    asked = posted(acme, NEW, **tiny, confirmed="1")
    assert wants_password(asked)
    with_password(acme, asked)
    assert posted(acme, NEW, **tiny, confirmed="1").headers["Location"].startswith("/commands/")
    acme.scene.settle()
    assert Order.objects.get(leg="ENTRY").status == "FILLED"


@pytest.mark.parametrize(
    ("named", "paid", "above"), [("USD", "USDT", D(25_000)), ("USDC", "USD", D(25_000)), ("USD", "EUR", None)]
)
def test_a_coin_that_stands_for_a_dollar_is_one_where_no_rate_is_told(
    acme: Acme, settings: Settings, named: str, paid: str, above: Decimal | None
) -> None:
    settings.STEP_UP_CURRENCY = named
    assert large_above(paid, acme.scene.clock.now()) == above
    acme.scene.rate("USD", "USDT", "1.01")
    assert large_above("USDT", acme.scene.clock.now()) == (D("25250") if named == "USD" else D(25_000))


def test_a_change_of_what_no_rate_tells_the_worth_wants_it_where_it_gets_larger(
    acme: Acme, desk: Account, settings: Settings
) -> None:
    _, address = resting(acme, desk)
    settings.STEP_UP_CURRENCY = "EUR"
    assert wants_password(posted(acme, address, key=str(uuid.uuid4()), quantity="0.011"))
    answer = posted(acme, address, key=str(uuid.uuid4()), quantity="0.009")
    assert answer.headers["Location"].startswith("/commands/")


# --- What was denied, and what has grown ---------------------------------------------------------


def test_what_the_rules_deny_is_not_given_in_the_hope_of_another_price(acme: Acme, desk: Account) -> None:
    answer = posted(acme, NEW, **form(acme, desk, stop="40,050"), confirmed="1")
    assert answer.status_code == 200
    assert "The rules deny this order now, so it was not given." in plain(answer.content.decode())
    acme.scene.price("40060")
    acme.scene.settle()
    assert not Instruction.objects.exists() and not Position.objects.exists()


def test_what_grows_past_the_threshold_before_it_is_decided_is_denied(acme: Acme, desk: Account) -> None:
    said = form(acme, desk, risk="0.1", stop="39,800")
    assert posted(acme, NEW, **said, confirmed="1").headers["Location"].startswith("/commands/"), "0.5, worth 20,000"
    acme.scene.price("39810")
    acme.scene.settle()
    decided = Execution.objects.get()
    assert (decided.status, decided.rule) == ("DENIED", "not_approved")
    assert not Order.objects.exists()
    page = acme.text(f"/commands/{Instruction.objects.get().public_id}/")
    assert "Larger than was agreed to" in page
    assert "10.00000 BTC at 39,810.0 are worth 398,100.00 USD; up to 25,000.00 USD was agreed to." in page


@pytest.mark.parametrize(("price", "status"), [("39980", "TAKEN"), ("39700", "DENIED")])
def test_what_the_password_was_given_for_may_grow_by_a_tenth(
    acme: Acme, desk: Account, price: str, status: str
) -> None:
    said = form(acme, desk)
    with_password(acme, posted(acme, NEW, **said, confirmed="1"))
    assert posted(acme, NEW, **said, confirmed="1").headers["Location"].startswith("/commands/")
    acme.scene.price(price)
    acme.scene.settle()
    assert Execution.objects.get().status == status


# --- The same form again -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "other",
    [
        {"quantity": "0.2"},
        {"direction": "SHORT", "stop": ""},
        {"price": "39700"},
        {"leverage": "5"},
        {"account": "Other"},
    ],
)
def test_a_form_that_was_used_orders_nothing_else(acme: Acme, desk: Account, other: dict[str, str]) -> None:
    said = form(acme, desk, type="LIMIT", price="39800", sizing="share", risk="", quantity="0.1", stop="")
    if "account" in other:
        other = {"account": str(acme.account(other["account"]).public_id)}
    assert posted(acme, NEW, **said, confirmed="1").status_code == 302
    again = posted(acme, NEW, **(said | {k: v for k, v in other.items() if v}), confirmed="1")
    assert again.status_code == 200
    assert "This form was used already, for something else." in plain(again.content.decode())
    assert Instruction.objects.count() == 1


def test_the_same_form_again_comes_to_the_same_command_however_the_market_stands(acme: Acme, desk: Account) -> None:
    said = form(acme, desk, risk="0.1")
    first = posted(acme, NEW, **said, confirmed="1").headers["Location"]
    acme.scene.settle()
    assert Position.objects.filter(is_open=True).exists(), "another one by hand would be refused"
    assert posted(acme, NEW, **said, confirmed="1").headers["Location"] == first


def test_a_change_whose_form_was_used_changes_nothing_else(acme: Acme, desk: Account) -> None:
    _, address = resting(acme, desk)
    key = str(uuid.uuid4())
    for _ in range(2):
        assert posted(acme, address, key=key, quantity="0.02").headers["Location"].startswith("/commands/")
    again = posted(acme, address, key=key, quantity="0.03")
    assert again.status_code == 200 and "This form was used already" in plain(again.content.decode())
    assert Instruction.objects.filter(kind="AMEND").count() == 1


def test_a_close_whose_form_was_used_for_another_account_says_so(acme: Acme, desk: Account) -> None:
    other, key = acme.account("Other"), str(uuid.uuid4())
    for what in ("close", "flatten"):
        assert posted(acme, f"/close/account/{desk.public_id}/", key=key, what=what).status_code == 302
        answer = posted(acme, f"/close/account/{other.public_id}/", key=key, what=what)
        assert answer.status_code == 200 and "This form was used already" in plain(answer.content.decode())
    assert Instruction.objects.count() == 2
