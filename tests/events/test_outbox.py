"""Writing events: in the transaction of the change they report, or not at all."""

from __future__ import annotations

from datetime import UTC, datetime

import psycopg
import pytest
from django.db import connection, transaction

from signalist.events.models import Event
from signalist.events.outbox import CHANNEL, Fact, emit
from tenants.doors import OutsideTenant, across_tenants, acting_for
from tests.cast import Cast

NOON = datetime(2022, 1, 1, 12, tzinfo=UTC)


def _fact(kind: str = "order_filled", tenant_id: int | None = None) -> Fact:
    return Fact(kind, tenant_id, NOON, {"order": 7, "quantity": "0.2"})


def _stored() -> list[tuple[str, int | None]]:
    with across_tenants("tests"):
        return list(Event.objects.order_by("pk").values_list("kind", "tenant_id"))


@pytest.mark.django_db(transaction=True)
def test_an_event_without_a_transaction_is_refused() -> None:
    with across_tenants("tests"), pytest.raises(RuntimeError, match="inside the transaction of the change"):
        emit([_fact()])
    assert _stored() == []


@pytest.mark.django_db(transaction=True)
def test_no_events_need_no_transaction() -> None:
    emit([])


@pytest.mark.django_db(transaction=True)
def test_an_event_is_gone_with_the_change_that_was_rolled_back() -> None:
    with across_tenants("tests", one_transaction=True):
        emit([_fact()])
        transaction.set_rollback(True)
    assert _stored() == []


@pytest.mark.django_db
def test_events_are_written_as_they_are_told(cast: Cast) -> None:
    with across_tenants("tests", one_transaction=True):
        emit([_fact("order_filled", cast.acme.pk), _fact("candle_closed")])
    assert _stored() == [("order_filled", cast.acme.pk), ("candle_closed", None)]
    with across_tenants("tests"):
        event = Event.objects.order_by("pk")[0]
    assert (event.version, event.payload, event.at) == (1, {"order": 7, "quantity": "0.2"}, NOON)


@pytest.mark.django_db
def test_events_are_tenant_data(cast: Cast) -> None:
    with pytest.raises(OutsideTenant):
        emit([_fact("order_filled", cast.acme.pk)])
    with acting_for(cast.acme.pk):
        emit([_fact("order_filled", cast.acme.pk)])
    assert _stored() == [("order_filled", cast.acme.pk)]


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_commit_notifies_once_however_many_events_it_has() -> None:
    connection.ensure_connection()
    parameters = connection.get_connection_params()
    address = {name: parameters[name] for name in ("dbname", "user", "password", "host", "port")}
    with psycopg.connect(**address, autocommit=True) as listener:
        listener.execute(f"LISTEN {CHANNEL}")
        with across_tenants("tests", one_transaction=True):
            emit([_fact(), _fact()])
            emit([_fact()])
            assert list(listener.notifies(timeout=0.2)) == [], "nothing has been committed yet"
        heard = list(listener.notifies(timeout=5, stop_after=1)) + list(listener.notifies(timeout=0.2))
    assert [(note.channel, note.payload) for note in heard] == [(CHANNEL, "")]
