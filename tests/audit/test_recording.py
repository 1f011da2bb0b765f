"""What is recorded: by whom, from where, in whose part of the log; and that nobody rewrites it."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import RequestFactory, override_settings

from signalist.audit import triggers
from signalist.audit.models import Entry, Subject
from signalist.audit.origin import Origin, client_address, coming_from
from signalist.audit.sealing import opened
from signalist.audit.writing import erase, record
from tenants.doors import OutsideTenant, across_tenants, acting_for
from tests.cast import Cast


def test_an_entry_says_who_did_what_from_where_and_names_nobody(cast: Cast) -> None:
    origin = Origin("203.0.113.7", "Mozilla/5.0", "abc123", lambda: "5e5510")
    with coming_from(origin), acting_for(cast.acme.pk):
        record(
            "order.given",
            tenant_id=cast.acme.pk,
            user_id=cast.theo.pk,
            target="order 1",
            details={"quantity": Decimal("0.20"), "side": "BUY"},
        )
        entry = Entry.objects.get()
    assert (entry.action, entry.target, entry.result, entry.session, entry.correlation_id) == (
        "order.given", "order 1", "done", "5e5510", "abc123",
    )  # fmt: skip
    assert json.loads(entry.details) == {"quantity": "0.20", "side": "BUY"}
    subject = Subject.objects.get(user_id=cast.theo.pk)
    assert entry.subject == subject.pseudonym
    assert "203.0.113.7" not in entry.origin
    assert opened(entry.origin, bytes(subject.key), str(subject.pseudonym)) == {
        "address": "203.0.113.7",
        "agent": "Mozilla/5.0",
    }
    # Erased, the person is nobody to us any more; the entry is as it was.
    assert erase(cast.theo.pk)
    with acting_for(cast.acme.pk):
        assert Entry.objects.values().get() == {f.attname: getattr(entry, f.attname) for f in Entry._meta.fields}
    assert not Subject.objects.exists()


def test_an_entry_stands_in_its_own_tenants_part_and_rolls_back_with_its_change(cast: Cast) -> None:
    record("login.failed", tenant_id=None, user_id=None, result="failed")  # no door is open
    record("login.done", tenant_id=cast.globex.pk, user_id=cast.gus.pk)
    with acting_for(cast.acme.pk):
        record("login.failed", tenant_id=None, user_id=None)
        record("switch.thrown", tenant_id=cast.acme.pk, user_id=cast.olivia.pk)
        with pytest.raises(OutsideTenant):
            record("switch.thrown", tenant_id=cast.globex.pk, user_id=cast.gus.pk)
        with transaction.atomic():
            record("order.given", tenant_id=cast.acme.pk, user_id=cast.theo.pk)
            transaction.set_rollback(True)
        assert list(Entry.objects.values_list("action", flat=True)) == ["switch.thrown"]
    with acting_for(cast.globex.pk):
        assert list(Entry.objects.values_list("action", flat=True)) == ["login.done"]
    with across_tenants("tests"):
        assert Entry.objects.count() == 4


@pytest.mark.parametrize("table", triggers.LEDGERS)
def test_nobody_rewrites_the_log(cast: Cast, table: str) -> None:
    record("login.done", tenant_id=None, user_id=cast.theo.pk)
    with across_tenants("tests"), connection.cursor() as cursor:
        if table == "audit_link":
            cursor.execute(
                "INSERT INTO audit_link (number, entry_id, previous, hash, linked_at) VALUES (1, 1, '', '', '2026-01-01')"
            )
        triggers.assert_armed()
        for statement in (f"UPDATE {table} SET id = id + 1", f"DELETE FROM {table}"):
            with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
                cursor.execute(statement)
        cursor.execute(
            f"DROP TRIGGER {table}_no_delete" + (f" ON {table}" if connection.vendor == "postgresql" else "")
        )
        with pytest.raises(triggers.Disarmed, match=f"{table}_no_delete missing; run"):
            triggers.assert_armed()


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        (0, "198.51.100.1", "192.0.2.1"),  # nobody is trusted: what it says is the client's own invention
        (1, "198.51.100.1, 203.0.113.9", "203.0.113.9"),
        (2, "198.51.100.1, 203.0.113.9", "198.51.100.1"),
        (1, "", "192.0.2.1"),
        (1, "::ffff:203.0.113.9", "203.0.113.9"),
        (1, "<script>", ""),
    ],
)
def test_the_address_is_the_one_that_a_trusted_proxy_saw(proxies: int, forwarded: str, address: str) -> None:
    request = RequestFactory().get("/", REMOTE_ADDR="192.0.2.1", headers={"X-Forwarded-For": forwarded})
    with override_settings(ALLAUTH_TRUSTED_PROXY_COUNT=proxies):
        assert client_address(request) == address
