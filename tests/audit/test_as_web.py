"""The log under the role that the web process takes on: it appends, reads its own tenant's part, and chains nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import ProgrammingError, connection, transaction
from django.test import Client
from pytest_django import Settings

from signalist.audit.writing import record
from tenants.doors import across_tenants, acting_for
from tenants.models import User
from tests.cast import PASSWORD, Cast

pytestmark = [pytest.mark.django_db, pytest.mark.postgresql]

_INSERT = (
    "INSERT INTO audit_entry (tenant_id, at, action, target, result, details, session, correlation_id, origin)"
    " VALUES ({}, now(), 'forged', '', 'done', '{{}}', '', '', '{{}}')"
)


@pytest.fixture
def as_web(cast: Cast) -> Iterator[None]:
    """From here on every statement runs as the web's role."""
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE signalist_web")
        yield
        cursor.execute("RESET ROLE")


def test_log_ins_are_recorded_limited_and_read(cast: Cast, as_web: None, settings: Settings) -> None:
    settings.RATE_LIMITED = True
    client = Client(REMOTE_ADDR="203.0.113.7")
    for who, password in (("olivia", "not this one"), ("nobody", "not this one"), ("olivia", PASSWORD)):
        client.post("/accounts/login/", {"login": f"{who}@example.com", "password": password})
    page = client.get("/audit/").content.decode()
    assert page.count("login.failed") == 1  # that of nobody is staff's
    assert "login.done" in page
    assert client.get("/audit/export/").status_code == 200
    assert "203.0.113.7" in client.get("/security/log-ins/").content.decode()


def test_it_writes_for_nobody_else_and_chains_nothing(cast: Cast, as_web: None) -> None:
    with acting_for(cast.acme.pk), connection.cursor() as cursor:
        record("order.given", tenant_id=cast.acme.pk, user_id=cast.theo.pk)
        for statement, why in (
            (_INSERT.format(cast.globex.pk), "row-level security"),
            (
                "INSERT INTO audit_link (number, entry_id, previous, hash, linked_at) VALUES (1, 1, '', '', now())",
                "permission",
            ),
            ("UPDATE audit_entry SET result = 'done'", "permission"),
            ("DELETE FROM audit_entry", "permission"),
            ("UPDATE audit_head SET number = 1", "permission"),
        ):
            with pytest.raises(ProgrammingError, match=why), transaction.atomic():
                cursor.execute(statement)
    with across_tenants("curiosity"), pytest.raises(ProgrammingError, match="row-level security"), transaction.atomic():
        record("order.given", tenant_id=cast.globex.pk, user_id=cast.gus.pk)


def test_staff_reads_all_of_it_and_ends_incidents(cast: Cast) -> None:
    staff = User.objects.create_superuser("staff@example.com", PASSWORD)
    record("login.done", tenant_id=cast.globex.pk, user_id=cast.gus.pk, target="of Globex")
    client = Client()
    client.force_login(staff)
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    client.post("/staff/powers/", {"reason": "a look at the log"})
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE signalist_web")
        assert "of Globex" in client.get("/admin/audit/entry/").content.decode()
        with across_tenants("staff"):
            cursor.execute("SELECT id FROM audit_entry WHERE target = 'of Globex'")
            (pk,) = cursor.fetchone()
        file = client.post("/admin/audit/entry/", {"action": "export", "_selected_action": [str(pk)]})
        assert "of Globex" in file.content.decode()
        cursor.execute("RESET ROLE")
