"""The ticket of an order by hand: previewed by the rules, reviewed, ordered once, with the password where it is large."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from pytest_django import Settings

from signalist.accounts.models import Account, AccountState
from signalist.risk.actions import Where, switch
from signalist.trading import tickets
from signalist.trading.discrepancies import Discrepancy
from signalist.trading.models import Execution, Instruction, InstructionKind, Order, Subscription
from tests.cast import PASSWORD, Cast
from tests.pages.acme import Acme, acme_trades

NEW = "/orders/new/"


@pytest.fixture
def acme(transactional_db: None, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> Iterator[Acme]:
    with acme_trades(cast, monkeypatch) as world:
        yield world


@pytest.fixture
def desk(acme: Acme) -> Account:
    return acme.account()


def form(acme: Acme, desk: Account, **changes: str) -> dict[str, str]:
    """One per cent of 100,000 to a stop 400 away: two and a half, worth 100,000."""
    filled_in = {
        "account": str(desk.public_id),
        "instrument": str(acme.scene.btc.pk),
        "direction": "LONG",
        "type": "MARKET",
        "sizing": "risk",
        "risk": "1",
        "stop": "39,600",
        "target": "40800",
        "leverage": "10",
        "key": str(uuid.uuid4()),
    }
    return {name: value for name, value in (filled_in | changes).items() if value}


def posted(acme: Acme, who: Any = None, **said: str) -> Any:
    return acme.post(NEW, who or acme.cast.theo, **said)


def words(answer: Any) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", answer.content.decode().partition("<main")[2]).split())


def ordered(acme: Acme, desk: Account, **changes: str) -> Instruction:
    said = form(acme, desk, **changes)
    answer = posted(acme, **said, confirmed="1")
    assert answer.status_code == 302, words(answer)
    return Instruction.objects.get(key=f"order:{said['key']}")


@pytest.fixture
def small(settings: Settings) -> None:
    """No order wants the password."""
    settings.STEP_UP_NOTIONAL = 10**9


def test_the_form_begins_with_one_of_the_accounts_and_nothing_wrong(acme: Acme, desk: Account) -> None:
    page = acme.text(NEW)
    assert "New order" in page and "Desk (USD)" in page and "BTC-PERP (BTC in USD)" in page
    assert "Size, margin, fees and loss at the stop appear here" in page and "needs a stop" not in page
    assert 'value="0.5"' in acme.html(NEW) and 'name="key" value="' in acme.html(NEW)


def test_the_preview_is_the_decision_that_follows(acme: Acme, desk: Account, small: None) -> None:
    shown = words(posted(acme, **form(acme, desk), review="1"))
    assert "2.50000 BTC" in shown and "Taken" in shown and "Is that meant?" in shown
    assert not Instruction.objects.exists(), "nothing is ordered by looking"
    given = ordered(acme, desk)
    acme.scene.settle()
    decided = Execution.objects.get(instruction=given)
    assert (str(decided.quantity), decided.status) == ("2.5000000000", "TAKEN")


RULED: list[tuple[dict[str, str], str]] = [
    ({"sizing": "share", "quantity": "100"}, "Resized"),
    ({"stop": "40100"}, "Stop on the wrong side"),
    ({"type": "LIMIT", "price": "10000", "stop": "9000", "target": ""}, "Limit far from the market"),
    ({"stop": "39600.05"}, "It must be a multiple of 0.1 USD"),
    ({"risk": "", "sizing": "risk"}, "Enter how much"),
    ({"type": "LIMIT"}, "Enter the limit"),
    ({"stop": "", "sizing": "share", "quantity": "1"}, "Nothing bounds what this position can lose"),
    ({"account": str(uuid.uuid4())}, "Select a valid choice"),
    ({"leverage": "50"}, "offers a leverage of 1 to 20"),
]


def test_the_preview_says_what_the_rules_say(acme: Acme, desk: Account, subtests: pytest.Subtests) -> None:
    for changes, said in RULED:
        with subtests.test(said):
            assert said in words(posted(acme, **form(acme, desk, **changes), preview="1"))
            assert not Instruction.objects.exists() and not Subscription.objects.exists()


def test_a_denied_order_is_not_offered(acme: Acme, desk: Account) -> None:
    page = words(posted(acme, **form(acme, desk, stop="40100"), review="1"))
    assert "Place the order" not in page and "would be denied" in page


@pytest.mark.parametrize("layer", ["platform", "tenant", "subscription"])
def test_the_preview_knows_the_kill_switch(acme: Acme, desk: Account, small: None, layer: str) -> None:
    book = tickets.book_of(desk, acme.scene.btc, acme.scene.clock.now())
    where = {
        "platform": Where.platform(),
        "tenant": Where.of_tenant(acme.cast.acme),
        "subscription": Where.of_subscription(book),
    }
    switch(where[layer], AccountState.REDUCING, "odd fills", acme.scene.clock.now(), who="Olivia")
    page = words(posted(acme, **form(acme, desk), review="1"))
    assert (
        f"Kill switch · {'workspace' if layer == 'tenant' else layer}" in page
        and "Exits only: odd fills, by Olivia." in page
    )
    assert "Place the order" not in page
    assert "so it was not given" in words(posted(acme, **form(acme, desk), confirmed="1"))
    assert not Instruction.objects.exists()


@pytest.mark.parametrize("in_the_market", [True, False])
def test_the_preview_knows_what_books_and_venue_do_not_agree_on(
    acme: Acme, desk: Account, small: None, in_the_market: bool
) -> None:
    now = acme.scene.clock.now()
    about = {"symbol": "BTC-PERP", "instrument": acme.scene.btc, "kind": "POSITION_LARGER"} if in_the_market else {}
    Discrepancy.objects.create(
        tenant=acme.cast.acme,
        account=desk,
        **({"kind": "BALANCE_GAP"} | about),
        subject="position" if in_the_market else "balance",
        ours=Decimal(0),
        theirs=Decimal(-1),
        first_seen_at=now,
        last_seen_at=now,
        looks=3,
    )
    page = words(posted(acme, **form(acme, desk), review="1"))
    assert "Books and venue differ" in page and "entries wait until it is explained" in page
    assert "Place the order" not in page


def test_an_order_is_given_once_and_its_page_tells_what_came_of_it(acme: Acme, desk: Account, small: None) -> None:
    said = form(acme, desk)
    first, second = posted(acme, **said, confirmed="1"), posted(acme, **said, confirmed="1")
    given = Instruction.objects.get()
    assert first.headers["Location"] == f"/commands/{given.public_id}/"
    assert second.status_code in (200, 302)
    assert given.by == acme.cast.theo
    page = acme.html(f"/commands/{given.public_id}/")
    assert "Under way" in page and 'hx-trigger="every 1s"' in page
    acme.scene.settle()
    page, text = acme.html(f"/commands/{given.public_id}/"), acme.text(f"/commands/{given.public_id}/")
    assert "every 1s" not in page
    assert "Done" in text and "Within every limit" in text and "FILLED" in text
    bought = Order.objects.get(leg="ENTRY")
    assert "By hand on Desk" in acme.text(f"/orders/{bought.client_order_id}/")
    assert "By hand" in acme.text("/positions/")
    assert "By hand" in acme.text(f"/positions/{bought.position_id}/")
    for address in ("/orders/", "/decisions/", "/dashboard/", "/subscriptions/", "/commands/"):
        assert acme.get(address, acme.cast.theo).status_code == 200, address


def test_a_position_by_hand_stands_on_every_page_after_it_was_closed(acme: Acme, desk: Account, small: None) -> None:
    ordered(acme, desk)
    acme.scene.settle()
    acme.scene.minute(low="39500", close="39500")
    assert "By hand" in acme.text("/trades/")
    assert acme.get("/dashboard/", acme.cast.theo).status_code == 200
    assert acme.get(f"/markets/{acme.scene.btc.pk}/", acme.cast.theo).status_code in (200, 404)


def test_what_is_typed_between_thousands_and_percents_is_understood(acme: Acme, desk: Account, small: None) -> None:
    given = ordered(acme, desk, stop="39,600.0", risk="0.5")
    assert (str(given.stop), str(given.risk_fraction)) == ("39600.0000000000", "0.0050000000")


# --- Large orders --------------------------------------------------------------------------------


def test_a_large_order_wants_the_password_and_comes_back_to_the_ticket(acme: Acme, desk: Account) -> None:
    said = form(acme, desk)
    assert "wants your password" in words(posted(acme, **said, review="1"))
    asked = posted(acme, **said, confirmed="1")
    assert asked.status_code == 302
    assert asked.headers["Location"].startswith("/accounts/reauthenticate/?next=%2Forders%2Fnew%2F")
    assert not Instruction.objects.exists()
    back = acme.post(asked.headers["Location"], acme.cast.theo, password=PASSWORD)
    assert back.status_code == 302 and back.headers["Location"].startswith(NEW)
    page = acme.html(back.headers["Location"])
    assert said["key"] in page and 'value="39,600"' in page
    assert posted(acme, **said, confirmed="1").status_code == 302
    assert Instruction.objects.get().key == f"order:{said['key']}"


def test_the_wrong_password_orders_nothing(acme: Acme, desk: Account) -> None:
    said = form(acme, desk)
    asked = posted(acme, **said, confirmed="1")
    assert acme.post(asked.headers["Location"], acme.cast.theo, password="guessed").status_code == 200
    assert posted(acme, **said, confirmed="1").headers["Location"].startswith("/accounts/reauthenticate/")
    assert not Instruction.objects.exists()


def test_what_is_large_is_measured_before_limits_make_it_smaller(acme: Acme, desk: Account, settings: Settings) -> None:
    settings.STEP_UP_NOTIONAL = 3_000_000
    huge = form(acme, desk, sizing="share", quantity="100")
    assert posted(acme, **huge, confirmed="1").headers["Location"].startswith("/accounts/reauthenticate/")
    assert posted(acme, **form(acme, desk), confirmed="1").headers["Location"].startswith("/commands/")


# --- Who -----------------------------------------------------------------------------------------


def test_a_reader_orders_nothing(acme: Acme, desk: Account) -> None:
    assert acme.get(NEW, acme.cast.vera).status_code == 403
    assert posted(acme, acme.cast.vera, **form(acme, desk), confirmed="1").status_code == 403
    assert "New order" not in acme.text("/orders/", acme.cast.vera)
    assert not Instruction.objects.exists()


def test_another_workspace_cannot_order_on_the_account(acme: Acme, desk: Account, small: None) -> None:
    answer = posted(acme, acme.cast.gus, **form(acme, desk), confirmed="1")
    assert "Select a valid choice" in answer.content.decode()
    assert posted(acme, None, **form(acme, desk)).status_code in (200, 302)
    assert not Instruction.objects.exists()


def test_a_command_is_its_workspaces_own(acme: Acme, desk: Account, small: None) -> None:
    given = ordered(acme, desk)
    acme.refused_to_others(f"/commands/{given.public_id}/")
    assert "Order by hand" in acme.text("/commands/", acme.cast.vera)
    assert "Order by hand" not in acme.text("/commands/", acme.cast.gus)


@pytest.mark.parametrize("kind", InstructionKind.values)
def test_every_kind_of_command_has_its_words(acme: Acme, desk: Account, kind: str) -> None:
    given = Instruction.objects.create(
        tenant=acme.cast.acme, account=desk, key="k", kind=kind, reason="why not", created_at=acme.scene.clock.now()
    )
    assert "why not" in acme.text("/commands/")
    assert acme.get(f"/commands/{given.public_id}/", acme.cast.theo).status_code == 200
