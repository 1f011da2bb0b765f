"""The page on which a workspace stops its trading: who may, what it says, and that it is nobody else's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from signalist.accounts.models import Account, AccountState
from signalist.risk.actions import NotReleased, Where, switch
from signalist.risk.selectors import thrown
from tests.cast import PASSWORD, Cast
from tests.flows.scene import LONG, entry
from tests.pages.acme import Acme, acme_trades

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def acme(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> Iterator[Acme]:
    with acme_trades(cast, monkeypatch) as world:
        monkeypatch.setattr("signalist.risk.pages.present", world.scene.clock.now)
        yield world


@pytest.fixture
def surely(acme: Acme) -> None:
    """Theo has just given his password again."""
    acme.post("/accounts/reauthenticate/", acme.cast.theo, password=PASSWORD)


def throw(acme: Acme, layer: str, key: object, state: str, **more: str) -> int:
    answer = acme.post(f"/stop/{layer}/{key}/", acme.cast.theo, state=state, **({"reason": "odd fills"} | more))
    return int(answer.status_code)


def test_a_trader_halts_the_workspace_and_resumes_it(acme: Acme, surely: None) -> None:
    desk = acme.follower()
    assert throw(acme, "tenant", acme.cast.acme.public_id, "HALTED") == 302
    page = acme.text("/stop/")
    assert "HALTED" in page and "odd fills, by theo." in page
    acme.scene.signal(entry(LONG, "39600", "40800"))
    assert acme.scene.execution(desk).rule == "kill_switch"
    assert throw(acme, "tenant", acme.cast.acme.public_id, "ACTIVE", reason="looked at it") == 302
    acme.scene.minute()
    acme.scene.signal(entry(LONG, "39600", "40800"))
    assert acme.scene.position(desk).is_open


def test_closing_what_is_open_is_an_option(acme: Acme, surely: None) -> None:
    desk = acme.follower()
    acme.scene.signal(entry(LONG, "39600", "40800"))
    throw(acme, "account", desk.account.public_id, "HALTED", beside="flatten")
    acme.scene.settle()
    acme.scene.minute()
    assert acme.scene.trade(desk).exit_type == "EMERGENCY"


def wants_password(acme: Acme, layer: str, key: object, state: str, **more: str) -> str:
    """Where Theo is sent to give his password, after which he comes back with what he typed."""
    answer = acme.post(f"/stop/{layer}/{key}/", acme.cast.theo, state=state, reason="looked at it", **more)
    assert answer.headers["Location"].startswith("/accounts/reauthenticate/?next=%2Fstop%2F")
    back = acme.post(answer.headers["Location"], acme.cast.theo, password=PASSWORD)
    assert back.headers["Location"].startswith("/stop/")
    return str(back.headers["Location"])


@pytest.mark.parametrize("layer", ["tenant", "account", "subscription"])
@pytest.mark.parametrize(("before", "after"), [("HALTED", "ACTIVE"), ("HALTED", "REDUCING"), ("REDUCING", "ACTIVE")])
def test_stopping_is_one_click_and_resuming_wants_the_password(acme: Acme, layer: str, before: str, after: str) -> None:
    desk = acme.follower()
    keys = {"tenant": acme.cast.acme.public_id, "account": desk.account.public_id, "subscription": desk.public_id}
    if before == "HALTED":
        throw(acme, layer, keys[layer], "REDUCING")
    throw(acme, layer, keys[layer], before)
    assert [one.state for one in thrown()] == [before], "without a password"
    back = wants_password(acme, layer, keys[layer], after)
    assert [one.state for one in thrown()] == [before], "nothing was done yet"
    assert 'value="looked at it"' in acme.html(back)
    throw(acme, layer, keys[layer], after)
    assert [one.state for one in thrown()] == [after] * (after != "ACTIVE")


def test_closing_what_is_open_wants_the_password(acme: Acme) -> None:
    desk = acme.follower()
    acme.scene.signal(entry(LONG, "39600", "40800"))
    back = wants_password(acme, "account", desk.account.public_id, "HALTED", beside="flatten")
    assert thrown() == [] and acme.scene.position(desk).is_open and not acme.scene.position(desk).is_closing
    assert '<option value="flatten" selected>' in acme.html(back)


@pytest.mark.parametrize("layer", ["tenant", "account", "subscription"])
def test_what_the_operator_stopped_is_not_the_workspaces_to_resume(acme: Acme, surely: None, layer: str) -> None:
    desk = acme.follower()
    keys = {"tenant": acme.cast.acme.public_id, "account": desk.account.public_id, "subscription": desk.public_id}
    wheres = {
        "tenant": Where.of_tenant(acme.cast.acme),
        "account": Where.of_account(desk.account),
        "subscription": Where.of_subscription(desk),
    }
    where, now = wheres[layer], acme.scene.clock.now()
    switch(where, AccountState.REDUCING, "fraud review", now, who="root", operator=True)
    page = acme.html("/stop/")
    assert "The operator of the platform has stopped this" in page and ">Resume</button>" not in page
    throw(acme, layer, keys[layer], "ACTIVE")
    assert "only the operator resumes it" in acme.text("/stop/")
    throw(acme, layer, keys[layer], "HALTED")
    throw(acme, layer, keys[layer], "REDUCING")
    assert [one.state for one in thrown()] == ["HALTED"], "stricter it may become, and stays the operator's"
    switch(where, AccountState.ACTIVE, "reviewed", now, who="root", operator=True)
    assert thrown() == []
    throw(acme, layer, keys[layer], "HALTED")
    throw(acme, layer, keys[layer], "ACTIVE")
    assert thrown() == [], "the workspace's own"


def test_what_an_outage_asks_about_makes_a_halt_no_looser(acme: Acme) -> None:
    desk = acme.follower()
    where, now = Where.of_subscription(desk), acme.scene.clock.now()
    switch(where, AccountState.HALTED, "by hand", now, who="Olivia")
    with pytest.raises(NotReleased):
        switch(where, AccountState.REDUCING, "3 candles were missed", now, who="Signalist", may_release=False)
    assert [(one.state, one.who) for one in thrown()] == [("HALTED", "Olivia")]


def test_without_a_reason_or_a_state_nothing_is_done(acme: Acme) -> None:
    desk = acme.follower()
    throw(acme, "account", desk.account.public_id, "HALTED", reason=" ")
    assert "Say why" in acme.html("/stop/")
    throw(acme, "account", desk.account.public_id, "SELL EVERYTHING")
    assert thrown() == []


def test_who_only_looks_sees_the_state_and_no_button(acme: Acme) -> None:
    desk = acme.follower()
    switch(Where.of_account(desk.account), AccountState.REDUCING, "a drill", acme.scene.clock.now(), who="Olivia")
    page = acme.html("/stop/", acme.cast.vera)
    assert "a drill (Olivia)" in page and '<button class="btn danger"' not in page
    assert (
        acme.post(f"/stop/account/{desk.account.public_id}/", acme.cast.vera, state="ACTIVE", reason="x").status_code
        == 403
    )


def test_what_is_not_the_workspaces_is_not_found(acme: Acme) -> None:
    desk = acme.follower()
    for layer, key in (
        ("account", desk.account.public_id),
        ("subscription", desk.public_id),
        ("tenant", acme.cast.acme.public_id),
        ("platform", acme.cast.globex.public_id),
    ):
        answer = acme.post(f"/stop/{layer}/{key}/", acme.cast.gus, state="HALTED", reason="mine")
        assert answer.status_code in (403, 404)
    assert thrown() == []
    assert Account.objects.get(pk=desk.account_id).state == "ACTIVE"
    assert "Desk" not in acme.html("/stop/", acme.cast.gus)


def test_what_the_platform_stopped_is_shown_and_is_not_the_workspaces_to_resume(acme: Acme) -> None:
    desk = acme.follower()
    switch(Where.platform(), AccountState.HALTED, "venue breach", acme.scene.clock.now(), who="root")
    assert "venue breach, by root. It is not this workspace’s to resume." in acme.text("/stop/")
    assert "Platform HALTED by root: venue breach" in acme.text(f"/subscriptions/{desk.public_id}/")


def test_the_dashboard_says_what_is_stopped_over_everything(acme: Acme) -> None:
    acme.follower()
    assert "odd fills" not in acme.text("/dashboard/")
    throw(acme, "tenant", acme.cast.acme.public_id, "REDUCING")
    assert "This workspace by" in acme.text("/dashboard/") and "odd fills" in acme.text("/dashboard/")
