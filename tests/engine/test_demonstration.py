"""`manage.py demo`: history, trades and log-ins at once; a second time only the log-ins; and from there the engine goes on by itself."""

from __future__ import annotations

import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher

from signalist.clock import utc_now
from signalist.engine.demo_cast import LOG_INS, OTHERS, PASSWORD
from tests.engine.processes import until
from tests.engine.up import PATIENCE, Up
from tests.flows.books import assert_books_balance
from tests.flows.commands import OwnDatabase, engine, manage

MINUTES = "24"
NEWEST = "SELECT MAX(close_time) FROM markets_candle WHERE timeframe = '10s'"


@pytest.fixture(scope="module")
def demo(module_database: OwnDatabase) -> OwnDatabase:
    """A database with some minutes of the demonstration."""
    said = manage(module_database, "demo", "--minutes", MINUTES)
    assert said.status == 0, said.err
    for log_in in LOG_INS:
        assert log_in.email in said.out
    assert PASSWORD in said.out
    return module_database


def one(database: OwnDatabase, statement: str) -> Any:
    """The one value that a SELECT finds."""
    ((value,),) = database.rows(statement)
    return value


def moment(value: Any) -> datetime:
    """A time as either database gives it to those who go past Django."""
    found = datetime.fromisoformat(value) if isinstance(value, str) else value
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def test_the_past_ends_now_and_has_no_gap(demo: OwnDatabase) -> None:
    counted = demo.rows("SELECT COUNT(*), MIN(close_time), MAX(close_time) FROM markets_candle WHERE timeframe = '10s'")
    ((count, first, last),) = counted
    assert (moment(last) - moment(first)) / timedelta(seconds=10) + 1 == count / 4
    assert count / 4 >= 6 * int(MINUTES)
    assert utc_now() - moment(last) < timedelta(seconds=60)


def test_people_can_log_in(demo: OwnDatabase) -> None:
    known = {
        email: (password, staff)
        for email, password, staff in demo.rows("SELECT email, password, is_staff FROM tenants_user")
    }
    for log_in in LOG_INS:
        password, staff = known[log_in.email]
        assert PBKDF2PasswordHasher().verify(PASSWORD, password)
        assert bool(staff) == log_in.is_staff
    assert all(
        password.startswith("!") for email, (password, _) in known.items() if email not in {p.email for p in LOG_INS}
    )
    assert one(demo, "SELECT COUNT(*) FROM account_emailaddress WHERE verified") == len(LOG_INS)


def test_a_dozen_workspaces_follow_strategies_on_all_instruments(demo: OwnDatabase) -> None:
    assert one(demo, "SELECT COUNT(DISTINCT tenant_id) FROM trading_subscription") == len(OTHERS) + 1
    assert one(demo, "SELECT COUNT(*) FROM strategies_strategy WHERE author_id IS NOT NULL AND description <> ''") == 4
    assert one(demo, "SELECT COUNT(DISTINCT instrument_id) FROM trading_subscription") == 4
    frames = {code for (code,) in demo.rows("SELECT DISTINCT timeframe FROM strategies_schedule")}
    assert frames == {"10s", "1m"}


def test_every_run_was_made_and_decisions_orders_and_fills_followed(demo: OwnDatabase) -> None:
    statuses = {status for (status,) in demo.rows("SELECT DISTINCT status FROM strategies_strategyrun")}
    assert statuses == {"SUCCESS", "NO_SIGNAL"}
    assert one(demo, "SELECT COUNT(*) FROM trading_execution WHERE status IN ('TAKEN', 'RESIZED')") > 10
    assert one(demo, "SELECT COUNT(*) FROM trading_fill") > 10
    assert_books_balance(demo)


def test_every_account_has_a_point_at_every_minute(demo: OwnDatabase) -> None:
    points = demo.rows("SELECT account_id, COUNT(*) FROM trading_equitypoint GROUP BY account_id")
    assert len(points) == len(OTHERS) + 1
    assert min(count for _, count in points) >= int(MINUTES)


def test_a_second_time_it_only_prints_the_log_ins(demo: OwnDatabase) -> None:
    before = _counts(demo)
    said = manage(demo, "demo")
    assert said.status == 0
    assert said.out.count("@signalist.example") == len(LOG_INS)
    assert said.err == ""
    assert _counts(demo) == before


def test_production_refuses_it(own_database: OwnDatabase) -> None:
    from signalist.environment import new_keyring, new_signing_secret

    secrets = {"SECRET_KEY": new_signing_secret(), "CREDENTIAL_KEYS": new_keyring(), "SIGNALIST_HOSTS": "example.com"}
    said = manage(own_database, "demo", SIGNALIST_ENV="production", **secrets)
    assert said.status == 2
    assert said.err.strip() == "The demonstration has log-ins that everybody knows; it is refused in production."
    assert one(own_database, "SELECT COUNT(*) FROM tenants_user") == 0


@pytest.mark.parametrize(
    "at", ["place.answers.committed:2", pytest.param("feed.candles.committed:31", marks=pytest.mark.soak)]
)
def test_a_load_that_was_killed_is_gone_on_with(own_database: OwnDatabase, at: str) -> None:
    assert manage(own_database, "demo", "--minutes", "12", SIGNALIST_FAILPOINT=at).was_killed
    said = manage(own_database, "demo", "--minutes", "12")
    assert said.status == 0, said.err
    ((count, first, last),) = own_database.rows(
        "SELECT COUNT(*), MIN(close_time), MAX(close_time) FROM markets_candle WHERE timeframe = '10s'"
    )
    assert (moment(last) - moment(first)) / timedelta(seconds=10) + 1 == count / 4
    assert_books_balance(own_database)


@pytest.mark.soak
def test_a_market_that_has_begun_without_the_demonstration_is_joined_by_it(own_database: OwnDatabase) -> None:
    with engine(own_database, "--market", "synthetic") as process:
        until(lambda: own_database.rows("SELECT 1 FROM markets_candle"), "a candle has closed", 60)
        refused = manage(own_database, "demo")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    assert (refused.status, refused.err.splitlines()[-1]) == (
        2,
        f"An engine already runs on this database (process {process.pid}); stop it first.",
    )
    said = manage(own_database, "demo", "--minutes", "12")
    assert said.status == 0, said.err
    assert one(own_database, "SELECT COUNT(DISTINCT tenant_id) FROM trading_subscription") == len(OTHERS) + 1
    assert manage(own_database, "demo").err == ""


def test_from_there_the_engine_goes_on_and_opens_the_accounts_that_people_ask_for(demo: OwnDatabase) -> None:
    stopped_at, runs = one(demo, NEWEST), one(demo, "SELECT COUNT(*) FROM strategies_strategyrun")
    asking = manage(demo, "shell", "-v0", "-c", ASK_FOR_AN_ACCOUNT)
    assert asking.status == 0, asking.err
    with engine(demo, "--market", "synthetic") as process:
        try:
            begun = time.monotonic()
            opened = "SELECT cash FROM accounts_paperaccount WHERE ref = 'newcomer'"
            until(lambda: demo.rows(opened), "the account is open", 15)
            until(lambda: one(demo, NEWEST) > stopped_at, "a live candle has closed", 15 - (time.monotonic() - begun))
            fresh = "SELECT COUNT(*) FROM strategies_strategyrun WHERE status IN ('SUCCESS', 'NO_SIGNAL')"
            until(lambda: one(demo, fresh) > runs, "strategies ran on a live candle", 25)
            until(
                lambda: demo.rows(
                    "SELECT b.total FROM trading_accountbalance b JOIN accounts_account a "
                    "ON a.id = b.account_id WHERE a.venue_ref = 'newcomer'"
                ),
                "its money is known",
                15,
            )
        finally:
            process.send_signal(signal.SIGTERM)
            status = process.wait(timeout=30)
    assert status == 0
    assert_books_balance(demo)


def test_the_whole_product_comes_up_on_it_and_tells_the_log_ins(demo: OwnDatabase, tmp_path: Path) -> None:
    before = one(demo, "SELECT COUNT(*) FROM trading_subscription")
    up = Up(demo, tmp_path / "told", "--demo")
    try:
        until(lambda: up.lines("Signalist is at"), "it is up", PATIENCE)
        until(lambda: all(up.lines(f"  {log_in.email}") for log_in in LOG_INS), "the log-ins are told", PATIENCE)
        up.process.send_signal(signal.SIGINT)
        assert up.process.wait(PATIENCE) == 0
        assert up.others() == set()
    finally:
        up.end()
    assert one(demo, "SELECT COUNT(*) FROM trading_subscription") == before


ASK_FOR_AN_ACCOUNT = """
from decimal import Decimal
from signalist.accounts.models import Account
from tenants.doors import across_tenants
from tenants.models import Tenant
with across_tenants("tests", one_transaction=True):
    tenant = Tenant.objects.create(name="Newcomer")
    Account.objects.create(
        tenant=tenant, name="Paper", venue="paper", venue_ref="newcomer", currency="USD", deposit=Decimal("1234.5")
    )
"""


def _counts(database: OwnDatabase) -> dict[str, int]:
    """How many rows the tables hold that a load fills."""
    tables = (
        "tenants_user tenants_tenant strategies_strategyversion strategies_strategyrun strategies_signal "
        "trading_subscription trading_execution trading_order trading_fill trading_trade trading_equitypoint "
        "events_event markets_candle accounts_papertape execution_engineprocess"
    )
    return {table: one(database, f"SELECT COUNT(*) FROM {table}") for table in tables.split()}
