"""Closing a position by hand: one command however often the button is pressed, and only for those who may trade."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator

import pytest

from signalist.accounts.models import Account, AccountState
from signalist.trading.models import Execution, Instruction, Position, Trade
from tests.cast import Cast
from tests.flows.scene import LONG, entry
from tests.pages.acme import Acme, acme_trades, row

BUY = entry(LONG, "39600", "40800")


@pytest.fixture
def acme(transactional_db: None, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> Iterator[Acme]:
    with acme_trades(cast, monkeypatch) as world:
        yield world


def address(position: Position) -> str:
    return f"/positions/{position.pk}/"


def pressed(acme: Acme, position: Position) -> str:
    """Theo opens the position and presses the button; the key that its form held."""
    key = re.search(r'name="key" value="([^"]+)"', acme.html(address(position)))
    assert key
    answer = acme.post(f"{address(position)}close/", acme.cast.theo, key=key[1])
    assert (answer.status_code, answer.headers["Location"]) == (302, address(position))
    return key[1]


def test_a_trader_closes_a_position_at_market(acme: Acme) -> None:
    desk = acme.follower()
    acme.scene.signal(BUY)
    held = acme.scene.position(desk)
    assert "Close 2.50000 BTC at market" in acme.text(address(held))
    pressed(acme, held)
    words = acme.text(address(held))
    assert "Closing BTC-PERP at market." in words
    assert "The command is given." in words
    assert "Close 2.50000" not in words
    asks_again = 'hx-trigger="every 2s"'
    assert asks_again in acme.html(address(held)), "the page looks again by itself until it is done"
    assert "Closing" in row(acme.html("/positions/"), f"p-{held.pk}")
    acme.scene.settle()
    trade = Trade.objects.get(position=held)
    assert trade.exit_type == "MANUAL"
    given = Instruction.objects.get()
    assert (given.by, given.kind, given.reason) == (acme.cast.theo, "CLOSE", "closed by hand")
    assert "Ended by By hand" in acme.text(address(held))
    assert asks_again not in acme.html(address(held))
    assert "Nothing is open" in acme.text("/positions/")


def test_a_second_click_is_the_same_command(acme: Acme) -> None:
    desk = acme.follower()
    acme.scene.signal(BUY)
    held = acme.scene.position(desk)
    key = pressed(acme, held)
    acme.post(f"{address(held)}close/", acme.cast.theo, key=key)
    assert Instruction.objects.count() == 1
    assert Execution.objects.filter(instruction__isnull=False).count() == 1


@pytest.mark.parametrize("key", ["", "no uuid", "x" * 300])
def test_a_form_that_is_not_complete_does_nothing(acme: Acme, key: str) -> None:
    desk = acme.follower()
    acme.scene.signal(BUY)
    held = acme.scene.position(desk)
    acme.post(f"{address(held)}close/", acme.cast.theo, key=key)
    assert "nothing was done" in acme.text(address(held))
    assert not Instruction.objects.exists()


def test_a_position_that_is_closed_is_not_closed_again(acme: Acme) -> None:
    desk = acme.follower()
    acme.scene.signal(BUY)
    held = acme.scene.position(desk)
    acme.scene.minute(low="39500", close="39500")
    acme.post(f"{address(held)}close/", acme.cast.theo, key=str(uuid.uuid4()))
    words = acme.text(address(held))
    assert "This position is closed already." in words
    assert "Ended by Stop" in words
    assert not Instruction.objects.exists()


def test_an_account_that_is_halted_says_that_it_takes_no_exit(acme: Acme) -> None:
    desk = acme.follower()
    acme.scene.signal(BUY)
    Account.objects.filter(pk=desk.account_id).update(state=AccountState.HALTED, state_reason="books differ")
    words = acme.text(address(acme.scene.position(desk)))
    assert "Trading is HALTED (account: books differ)." in words
    assert "Close 2.50000" not in words


def test_a_read_only_member_sees_everything_and_closes_nothing(acme: Acme) -> None:
    desk = acme.follower()
    acme.scene.signal(BUY)
    held, vera = acme.scene.position(desk), acme.cast.vera
    assert "Stop at venue" in row(acme.html("/positions/", vera), f"p-{held.pk}")
    page = acme.html(address(held), vera)
    assert "/close/" not in page
    assert "Your role shows everything and changes nothing." in page
    assert acme.post(f"{address(held)}close/", vera, key=str(uuid.uuid4())).status_code == 403
    assert not Instruction.objects.exists()


def test_a_link_does_not_close(acme: Acme) -> None:
    desk = acme.follower()
    acme.scene.signal(BUY)
    assert acme.get(f"{address(acme.scene.position(desk))}close/", acme.cast.theo).status_code == 405


def test_another_workspace_closes_nothing(acme: Acme) -> None:
    desk = acme.follower()
    acme.scene.signal(BUY)
    held = acme.scene.position(desk)
    assert acme.post(f"{address(held)}close/", acme.cast.gus, key=str(uuid.uuid4())).status_code == 404
    assert acme.post(f"{address(held)}close/", None, key=str(uuid.uuid4())).status_code == 302
    assert not Instruction.objects.exists()
