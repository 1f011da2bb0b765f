"""`manage.py bench_fanout` as a command: small, for what it counts; the figures are for a quiet machine and many subscribers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from tests.flows.commands import Databases, OwnDatabase, manage

KEYS = {
    *"subscribers entry_p50_s entry_p99_s entry_last_s protected_last_s placed_last_s".split(),
    *"cpu_s rows queries duplicates unprotected bare_client_s".split(),
}


@pytest.fixture
def database(tmp_path: Path, django_db_setup: None) -> Iterator[OwnDatabase]:
    """An empty one, of the vendor that this test run is on."""
    databases = Databases(settings.DATABASES["default"], tmp_path)
    yield databases.empty()
    databases.drop()


@pytest.mark.soak
def test_every_subscriber_is_entered_and_protected_once(database: OwnDatabase) -> None:
    report = manage(
        database, "bench_fanout", "--subscribers", "20", "--latency-ms", "10", "--runs", "1", "--json"
    ).report
    assert report.keys() >= KEYS
    assert (report["subscribers"], report["duplicates"], report["unprotected"], report["missing"]) == (20, 0, 0, 0)
    assert 0 < report["entry_p50_s"] <= report["entry_p99_s"] <= report["entry_last_s"] < report["protected_last_s"]
    assert report["protected_last_s"] <= report["placed_last_s"] <= report["settled_s"]
    assert report["bare_client_s"] > 0.03
    # For each: a decision, three orders, three attempts, a fill, a position, a reservation, a day, and what is told of them.
    assert report["rows"] > 20 * 11
    for table in ("trading_order", "trading_orderattempt"):
        assert database.rows(f"SELECT COUNT(*) FROM {table}") == [(60,)]
    again = manage(database, "bench_fanout", "--subscribers", "1")
    assert again.status == 2, "an earlier run's accounts are somebody's accounts"
    assert "name an empty one in DATABASE_URL" in again.err


@pytest.mark.soak
def test_poisoned_subscribers_keep_nobody_from_being_served(database: OwnDatabase) -> None:
    options = ("--subscribers", "100", "--poison", "all", "--runs", "1", "--no-bare", "--json")
    report = manage(database, "bench_fanout", *options).report
    assert (report["duplicates"], report["unprotected"], report["missing"]) == (0, 0, 0)
    assert (report["poison"], len(report["poison_kinds"]), report["poisoned_missing"]) == (0.1, 5, 0)
    assert report["poison_ratio"] < 3  # one run on a machine that does other things; 1.5 is for medians of five


@pytest.mark.soak
@pytest.mark.postgresql
def test_engines_share_the_subscribers_and_serve_each_of_them_once(database: OwnDatabase) -> None:
    options = ("--subscribers", "20", "--engines", "2", "--latency-ms", "10", "--runs", "1", "--no-bare", "--json")
    report = manage(database, "bench_fanout", *options).report
    assert (report["engines"], report["duplicates"], report["unprotected"], report["missing"]) == (2, 0, 0, 0)
    owners = database.rows("SELECT COUNT(*), COUNT(DISTINCT engine) FROM trading_orderattempt")
    assert owners == [(60, 2)]
