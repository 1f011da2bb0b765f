"""The log's pages: what is done at the doors stands there, administrators see everybody's lines, others their own, Gus none."""

from __future__ import annotations

import csv
import io

import pytest
from django.test import Client

from signalist.audit.models import Entry
from signalist.audit.writing import erase, record
from signalist.clock import utc_now
from signalist.security.models import Incident
from tenants.doors import across_tenants, acting_for
from tenants.models import User
from tests.cast import PASSWORD, Cast
from tests.pages.counting import asks

pytestmark = pytest.mark.django_db


def _as(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def _actions() -> list[str]:
    with across_tenants("tests"):
        return list(Entry.objects.order_by("pk").values_list("action", flat=True))


def test_coming_going_and_being_refused_is_recorded(cast: Cast) -> None:
    client = Client(REMOTE_ADDR="203.0.113.7", HTTP_USER_AGENT="Mozilla/5.0 (X11; Linux) Firefox/140.0")
    client.post("/accounts/login/", {"login": "vera@example.com", "password": "not this one"})
    client.post("/accounts/login/", {"login": "nobody@example.com", "password": "not this one"})
    answer = client.post("/accounts/login/", {"login": "vera@example.com", "password": PASSWORD})
    assert answer.headers["X-Request-ID"]
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    refused = client.post("/orders/new/", {})
    assert refused.status_code == 403
    client.post("/accounts/logout/")
    assert _actions() == [
        "login.failed", "login.failed", "login.done", "session.stepped_up", "access.refused", "login.ended",
    ]  # fmt: skip
    with across_tenants("tests"):
        known, unknown, done, _, denied, _ = Entry.objects.order_by("pk")
    assert (known.tenant_id, unknown.tenant_id, unknown.subject) == (cast.acme.pk, None, None)
    assert "nobody@example.com" not in unknown.details + unknown.target
    assert done.correlation_id == answer.headers["X-Request-ID"]
    assert done.session == denied.session != ""
    assert (denied.target, denied.result, denied.tenant_id) == ("orders.give", "refused", cast.acme.pk)
    page = _as(cast.olivia).get("/audit/?result=refused").content.decode()
    assert "access.refused" in page and "203.0.113.7" in page
    assert "login.done" not in page


def test_administrators_see_everybodys_lines_others_their_own_and_gus_none(cast: Cast) -> None:
    with acting_for(cast.acme.pk):
        record("order.given", tenant_id=cast.acme.pk, user_id=cast.theo.pk, target="an order of Theo")
        record("order.given", tenant_id=cast.acme.pk, user_id=cast.vera.pk, target="=HYPERLINK(1)")
    olivia = _as(cast.olivia)
    page = olivia.get("/audit/").content.decode()
    assert "an order of Theo" in page and "=HYPERLINK(1)" in page
    assert "an order of Theo" not in _as(cast.vera).get("/audit/").content.decode()
    of_theo = olivia.get(f"/audit/?person={cast.theo.pk}").content.decode()
    assert "an order of Theo" in of_theo and "HYPERLINK" not in of_theo
    # A filter is no way round it.
    assert "an order of Theo" not in _as(cast.vera).get(f"/audit/?person={cast.theo.pk}").content.decode()
    assert "an order" not in _as(cast.gus).get("/audit/").content.decode()
    assert Client().get("/audit/").status_code == 302

    file = olivia.get("/audit/export/?period=")
    rows = list(csv.DictReader(io.StringIO(file.content.decode())))
    assert [(row["who"], row["target"]) for row in rows] == [("vera", "'=HYPERLINK(1)"), ("theo", "an order of Theo")]
    assert "audit.exported" in _actions()
    erase(cast.theo.pk)
    assert "an erased person" in olivia.get("/audit/").content.decode()


def test_a_page_asks_as_much_for_many_lines_as_for_one(cast: Cast) -> None:
    olivia = _as(cast.olivia)

    def write(lines: int) -> None:
        with acting_for(cast.acme.pk):
            for _ in range(lines):
                record("order.given", tenant_id=cast.acme.pk, user_id=cast.theo.pk)

    write(1)
    olivia.get("/audit/")
    with asks(9):
        olivia.get("/audit/")
    write(20)
    with asks(9):
        olivia.get("/audit/")


def test_staff_reads_and_exports_the_whole_log_and_ends_incidents(cast: Cast) -> None:
    record("login.failed", tenant_id=None, user_id=None, target="a failure of nobody", result="failed")
    with acting_for(cast.globex.pk):
        record("order.given", tenant_id=cast.globex.pk, user_id=cast.gus.pk, target="an order of Gus")
    staff = User.objects.create_superuser("staff@example.com", PASSWORD)
    incident = Incident.objects.create(
        user=cast.theo, kind="SUSPICIOUS_LOGIN", severity="HIGH", response="TRADING_DISABLED", at=utc_now()
    )
    client = _as(staff)
    page = client.get("/admin/audit/entry/").content.decode()
    assert "a failure of nobody" in page and "an order of Gus" in page
    assert "an order of Gus" not in client.get("/admin/audit/entry/?area=login").content.decode()
    with across_tenants("tests"):
        ids = [str(pk) for pk in Entry.objects.values_list("pk", flat=True)]
        (one,) = Entry.objects.filter(target="an order of Gus")
    file = client.post("/admin/audit/entry/", {"action": "export", "_selected_action": ids})
    assert len(file.content.decode().splitlines()) == 3
    assert client.get(f"/admin/audit/entry/{one.pk}/change/").status_code == 200
    client.post("/admin/security/incident/", {"action": "end", "_selected_action": [str(incident.pk)]})
    incident.refresh_from_db()
    assert (incident.resolved_by, incident.resolution) == (staff, "resolved by staff")
    assert client.get("/admin/security/securityevent/").status_code == 200
