"""An engine that hangs or is frozen: how long it shows that it lives, and how long it holds rows."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from django.db import connection, connections, transaction

from signalist.db import connections as settings_of
from signalist.engine import database as database_module
from signalist.engine.database import Database, behind_the_door
from signalist.execution.engines import SILENT_AFTER


def test_a_unit_is_taken_to_hang_after_as_long_as_an_engine_may_be_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    database, now = Database(), 100.0
    monkeypatch.setattr(database_module, "monotonic", lambda: now)
    assert not database.is_stuck
    database._begun = now
    now += SILENT_AFTER.total_seconds()
    assert not database.is_stuck
    now += 0.1
    assert database.is_stuck


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Connections as an engine has them, but with less patience."""
    monkeypatch.setattr(settings_of, "STILL_FOR", 200)
    options = connections.settings["default"]["OPTIONS"]
    before = options["options"]
    settings_of.no_waiting_for_ever()
    yield
    options["options"] = before
    connection.close()


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("impatient")
def test_a_transaction_that_stands_still_is_lost_and_its_unit_repeated() -> None:
    tries = []

    def unit() -> tuple[str, str]:
        tries.append(1)
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SHOW lock_timeout")
            (patience,) = cursor.fetchone()
            if len(tries) == 1:
                time.sleep(0.6)  # frozen, as it were
            cursor.execute("SELECT 'whole'")
            return patience, cursor.fetchone()[0]

    assert behind_the_door(unit) == ("4s", "whole")
    assert len(tries) == 2
