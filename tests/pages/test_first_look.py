"""What a trader sees first: what is stopped, what differs and what was closed in an emergency, in one line where they look."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator

import pytest

from signalist.accounts.models import AccountState
from signalist.domain.orders import Side
from signalist.risk.actions import Where, switch
from signalist.trading.discrepancies import Discrepancy
from signalist.trading.models import Instruction, Subscription
from tests.cast import PASSWORD, Cast
from tests.flows.by_hand import looks, trades
from tests.flows.scene import LONG, entry
from tests.pages.acme import Acme, acme_trades

BUY = entry(LONG, "39600", "40800")


@pytest.fixture
def acme(transactional_db: None, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> Iterator[Acme]:
    with acme_trades(cast, monkeypatch) as world:
        monkeypatch.setattr("signalist.risk.pages.present", world.scene.clock.now)
        yield world


def differs(acme: Acme) -> Subscription:
    """A subscription whose position somebody closed at the venue."""
    desk = acme.follower()
    acme.scene.signal(BUY)
    trades(acme.scene, desk, Side.SELL, "2.5")
    looks(acme.scene)
    return desk


def books_of(desk: Subscription) -> str:
    return f"/books/{desk.account.public_id}/"


def test_a_difference_is_one_line_on_the_dashboard_and_leads_to_its_answer(acme: Acme) -> None:
    desk = differs(acme)
    said = (
        "Books and venue differ Closed at the venue, BTC-PERP on Desk: entries there are denied until it is explained."
    )
    page = acme.html("/dashboard/")
    assert said in acme.text("/dashboard/")
    assert f'href="{books_of(desk)}{Discrepancy.objects.get().public_id}/"' in page
    assert "may open positions" not in page


def test_a_difference_stands_on_the_subscription_that_it_holds_back(acme: Acme) -> None:
    desk = differs(acme)
    other = acme.follower("Other")
    assert "Books and venue differ" in acme.text(f"/subscriptions/{desk.public_id}/")
    assert "Books and venue differ" not in acme.text(f"/subscriptions/{other.public_id}/")


def test_another_workspace_hears_nothing_of_a_difference(acme: Acme) -> None:
    differs(acme)
    acme.follower("Elsewhere", tenant=acme.cast.globex)
    assert "differ" not in acme.text("/dashboard/", acme.cast.gus)


def test_a_thrown_switch_is_one_line_on_the_dashboard_the_subscription_and_the_account(acme: Acme) -> None:
    desk = acme.follower()
    switch(Where.of_tenant(acme.cast.acme), AccountState.HALTED, "odd fills", acme.scene.clock.now(), who="Olivia")
    assert "HALTED This workspace by Olivia: odd fills." in acme.text("/dashboard/")
    said = "Workspace HALTED by Olivia: odd fills. Nothing is sent but cancels and what protects."
    for address in (f"/subscriptions/{desk.public_id}/", books_of(desk)):
        assert acme.text(address).count(said) == 1


def test_an_account_that_reduces_is_told_once(acme: Acme) -> None:
    desk = acme.follower()
    switch(Where.of_account(desk.account), AccountState.REDUCING, "a drill", acme.scene.clock.now(), who="Olivia")
    said = "Account REDUCING: a drill (Olivia). No entries; exits, stops and targets go on."
    for address in (f"/subscriptions/{desk.public_id}/", books_of(desk)):
        words = acme.text(address).replace(" :", ":")
        assert words.count("REDUCING") == words.count(said) == 1


def test_a_switch_over_a_strategy_is_shown_to_those_who_follow_it(acme: Acme) -> None:
    desk = acme.follower()
    assert desk.strategy is not None
    switch(Where.of_strategy(desk.strategy), AccountState.HALTED, "bad version", acme.scene.clock.now(), who="root")
    page = acme.text("/stop/")
    assert "Strategy HALTED crossover" in page
    assert page.startswith('class="page"') and " ACTIVE " in page.partition("Strategy HALTED")[0]
    assert "bad version" not in acme.text("/stop/", acme.cast.gus).partition("What it means")[0]


def test_an_emergency_exit_stands_on_the_page_of_its_account(acme: Acme) -> None:
    desk = acme.follower()
    acme.scene.signal(BUY)
    assert "Emergency exits" not in acme.text(books_of(desk))
    acme.post("/accounts/reauthenticate/", acme.cast.theo, password=PASSWORD)
    acme.post(
        f"/stop/account/{desk.account.public_id}/", acme.cast.theo, state="HALTED", reason="odd fills", beside="flatten"
    )
    assert "On 1 account entries are withdrawn and positions closed now." in acme.text("/stop/")
    words = acme.text(books_of(desk)).partition("Emergency exits")[2]
    assert "odd fills" in words.lower() and "by theo" in words.lower()


def test_who_only_looks_is_offered_nothing_to_press(acme: Acme) -> None:
    desk = acme.follower()
    for address in ("/dashboard/", "/stop/", books_of(desk), f"/subscriptions/{desk.public_id}/"):
        page = acme.html(address, acme.cast.vera).partition("<main")[2]
        assert "Flatten" not in page and "Halt " not in page and ">Stop trading …" not in page
    assert "Flatten" in acme.html(books_of(desk)) and ">Stop trading …" in acme.html("/dashboard/")
    assert "Your role shows everything and changes nothing." in acme.text("/stop/", acme.cast.vera)


LISTS = "/dashboard/ /positions/ /orders/ /trades/ /stop/ /decisions/ /commands/ /execution/ /books/ /subscriptions/".split()


def test_every_list_is_in_the_navigation_and_marked_there(acme: Acme, subtests: pytest.Subtests) -> None:
    for address in LISTS:
        with subtests.test(address):
            side = acme.html(address).partition('<nav class="side"')[2].partition("</nav>")[0]
            assert re.findall(r'href="([^"]+)" aria-current="page"', side) == [address]


def test_who_would_close_under_a_halt_of_everything_is_told_that_it_waits(acme: Acme) -> None:
    desk = acme.follower()
    acme.scene.signal(BUY)
    pages = [
        f"/positions/{acme.scene.position(desk).pk}/",
        f"/close/account/{desk.account.public_id}/",
        f"/close/subscription/{desk.public_id}/",
    ]
    assert not any("waits until somebody resumes" in acme.text(address) for address in pages)
    switch(Where.of_tenant(acme.cast.acme), AccountState.HALTED, "odd fills", acme.scene.clock.now(), who="Olivia")
    for address in pages:
        assert "Closing by hand waits until somebody resumes." in acme.text(address)


def test_a_decision_on_a_command_leads_to_it(acme: Acme) -> None:
    desk = acme.follower()
    acme.scene.signal(BUY)
    acme.post(f"/close/account/{desk.account.public_id}/", acme.cast.theo, key=str(uuid.uuid4()), what="close")
    acme.scene.settle()
    acme.scene.minute()
    given = Instruction.objects.get()
    feed = acme.html("/dashboard/").partition('id="decision-feed"')[2].partition("</ol>")[0]
    assert f'href="/commands/{given.public_id}/"' in feed
