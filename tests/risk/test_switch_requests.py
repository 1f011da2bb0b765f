"""Staff stop everybody from the administration: they ask, an engine carries it out. That way nobody is resumed. The house is kept, too."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import ProgrammingError, connection, transaction
from django.test import Client

from signalist.accounts.models import AccountState
from signalist.domain.orders import Side
from signalist.execution.actions import kill
from signalist.execution.switch_requests import NOT_STRICTER, carry_out
from signalist.risk.actions import Where, switch
from signalist.risk.models import SharedSwitch, SharedSwitchChange, SwitchRequest
from signalist.risk.selectors import changes
from signalist.venues.base import FillReport
from tenants.doors import across_tenants
from tenants.models import User
from tenants.roles import ENGINE, WEB
from tests.cast import PASSWORD
from tests.flows.scene import LONG, Scene, entry

ADD = "/admin/risk/switchrequest/add/"
BUY = entry(LONG, "39600", "40800")


@pytest.fixture
def root(client: Client, db: None) -> Client:
    client.force_login(User.objects.create_superuser("root@example.com", PASSWORD))
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    client.post("/staff/powers/", {"reason": "a venue breach"})
    return client


def asks(root: Client, state: str, **more: str) -> Any:
    return root.post(ADD, {"layer": "PLATFORM", "state": state, "reason": "a venue breach"} | more)


def test_staff_stop_everybody_at_once_and_only_the_operator_resumes(scene: Scene, root: Client) -> None:
    scene.minute()
    theo = scene.subscriber()
    assert asks(root, "HALTED").status_code == 302
    assert not SharedSwitch.objects.exists(), "a page sets nothing itself"
    scene.poll()
    scene.signal(BUY)
    assert scene.execution(theo).rule == "kill_switch"
    kept = SharedSwitchChange.objects.get()
    assert (kept.state, kept.reason, kept.who) == ("HALTED", "a venue breach", "root@example.com")
    shown = asks(root, "ACTIVE", reason="it is closed").content.decode()
    assert "manage.py kill" in shown and SwitchRequest.objects.count() == 1
    # As `manage.py kill` does, which takes on the engine's role for the whole process.
    kill(Where.platform(), AccountState.ACTIVE, "it is closed", scene.clock.now(), who="the operator", operator=True)
    scene.minute()
    scene.signal(BUY)
    assert scene.position(theo).is_open


def test_a_request_that_a_page_has_written_releases_nothing_however_old_or_new(scene: Scene, root: Client) -> None:
    by, now = User.objects.get(email="root@example.com"), scene.clock.now()
    switch(Where.platform(), AccountState.HALTED, "a breach", now, who="the operator", operator=True)
    for hours, state in ((5, "ACTIVE"), (0, "ACTIVE"), (0, "REDUCING"), (0, "HALTED")):
        at = now - timedelta(hours=hours)
        SwitchRequest.objects.create(layer="PLATFORM", state=state, reason="all is well", by=by, at=at)
    strategy = scene.crossover.version.strategy
    SwitchRequest.objects.create(layer="STRATEGY", strategy=strategy, state="REDUCING", reason="losses", by=by, at=now)
    assert scene.stage(carry_out) == 5
    assert list(SwitchRequest.objects.order_by("pk").values_list("problem", flat=True)) == [NOT_STRICTER] * 4 + [""]
    stands = {(row.layer, row.state, row.reason) for row in SharedSwitch.objects.all()}
    assert stands == {("PLATFORM", "HALTED", "a breach"), ("STRATEGY", "REDUCING", "losses")}


def test_a_request_that_makes_no_sense_does_nothing_and_says_why(scene: Scene, root: Client) -> None:
    assert "Name the strategy" in asks(root, "HALTED", layer="STRATEGY").content.decode()
    assert asks(root, "HALTED", layer="STRATEGY", strategy=str(scene.crossover.version.strategy_id)).status_code == 302
    User.objects.update(is_staff=False)
    scene.poll()
    request = SwitchRequest.objects.get()
    assert (request.done_at is not None, request.problem) == (True, "Whoever asked is no staff any more.")
    assert not SharedSwitch.objects.exists()
    assert asks(root, "HALTED").status_code in (302, 403)
    assert SwitchRequest.objects.count() == 1


@pytest.mark.postgresql
@pytest.mark.django_db
def test_the_webs_role_asks_and_cannot_say_that_it_was_done(root: Client) -> None:
    assert asks(root, "HALTED").status_code == 302
    with connection.cursor() as cursor, across_tenants("staff"):
        cursor.execute(f"SET ROLE {WEB}")
        cursor.execute("SELECT count(*) FROM risk_switchrequest")
        assert cursor.fetchone() == (1,)
        with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
            cursor.execute("UPDATE risk_switchrequest SET state = 'ACTIVE'")
        with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
            cursor.execute("DELETE FROM risk_switchrequest")
        cursor.execute(f"SET ROLE {ENGINE}")
        cursor.execute("UPDATE risk_switchrequest SET problem = 'none'")
        cursor.execute("RESET ROLE")


def test_what_the_house_halts_is_kept_like_what_people_throw(scene: Scene) -> None:
    scene.minute()
    theo = scene.subscriber()
    scene.signal(BUY)
    stop, now = scene.order(theo, "STOP").client_order_id, scene.clock.now()
    wrong = FillReport("1", stop, Side.SELL, "BTC-PERP", Decimal(1), Decimal(1), Decimal("0.00000000001"), "USD", now)
    scene.venue.insisted[theo.account.venue_ref] = [wrong]
    for _ in range(3):
        scene.poll()
    (kept,) = changes()
    assert (kept.layer, kept.before, kept.state, kept.who) == ("ACCOUNT", "ACTIVE", "HALTED", "the house")
    assert "decimals" in kept.reason
