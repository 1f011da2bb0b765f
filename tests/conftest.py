"""What every test stands on: nothing skips where that was forbidden, and PostgreSQL is met under a role that policies bind."""

from __future__ import annotations

import gc
import os
from collections.abc import Generator
from typing import TYPE_CHECKING

import psycopg
import pytest
import pytest_django
from django.conf import settings
from django.db import connections
from django.test import TransactionTestCase
from hypothesis import is_hypothesis_test

from signalist.engine import garbage
from tests import emptying, examples
from tests.security import redis_server

if TYPE_CHECKING:
    from tests.cast import Cast

examples.load_profile(whole=False)


NO_SKIPS = os.environ.get("SIGNALIST_NO_SKIPS") == "1"
# The one reason that is accepted all the same: recorded material which is no part of the project and may lie beside it or not.
BESIDE = "beside the project"


# What knows no database, or is about processes and files whatever the database, is tried once, with SQLite; with PostgreSQL only where
# a marker expression asks for it.
TRIED_ONCE = (
    "tests/accounts/test_leaving.py",
    "tests/audit/test_verify_command.py",
    "tests/backtests/",
    "tests/canary/",
    "tests/domain/",
    "tests/sandbox/",
    "tests/simulation/test_command.py",
    "tests/simulation/test_planted.py",
    "tests/house/test_contracts.py",
    "tests/house/test_environment.py",
    "tests/house/test_files.py",
    "tests/house/test_harness.py",
    "tests/house/test_logs.py",
    "tests/house/test_requirements.py",
    "tests/house/test_second_try.py",
    "tests/house/test_settings.py",
    "tests/house/test_style.py",
    "tests/engine/test_assets.py",
    "tests/engine/test_demonstration.py::test_a_load_that_was_killed",
    "tests/engine/test_demonstration.py::test_a_market_that_has_begun",
    "tests/engine/test_feeding.py",
    "tests/engine/test_supervisor.py",
    "tests/engine/test_up.py",
    "tests/flows/test_bad_input.py",
    "tests/flows/test_changed_orders.py",
    "tests/flows/test_clock_steps.py",
    "tests/flows/test_crashes.py::test_a_death_while_nothing",
    "tests/flows/test_dust.py",
    "tests/flows/test_markers.py",
    "tests/flows/test_replay.py::test_another_seed",
    "tests/flows/test_replay.py::test_the_same_input",
    "tests/flows/test_two_engines.py::test_a_second_engine_on_sqlite",
    "tests/flows/test_venue_messages.py",
    "tests/live/test_daphne.py::test_a_long_region",
    "tests/live/test_daphne.py::test_one_who_reads_nothing",
    "tests/markets/test_batch_prices.py",
    "tests/markets/test_candle_files.py",
    "tests/markets/test_indicators.py",
    "tests/markets/test_kraken_feed.py",
    "tests/markets/test_lines.py",
    "tests/markets/test_lying_feeds.py",
    "tests/markets/test_market_news.py",
    "tests/markets/test_order_books.py::test_a_book",
    "tests/markets/test_recordings.py",
    "tests/pages/test_numbers.py",
    "tests/people/test_headers.py",
    "tests/people/test_other_provider.py",
    "tests/people/test_second_factors.py",
    "tests/security/test_redis.py",
    "tests/strategies/test_breakouts_and_bands.py",
    "tests/strategies/test_confirmations.py",
    "tests/strategies/test_gate.py",
    "tests/strategies/test_library.py",
    "tests/trading/test_reasons.py",
    "tests/venues/test_errors.py",
    "tests/venues/test_http.py",
    "tests/venues/test_loopback",
    "tests/venues/test_rate_ledger.py",
    "tests/venues/test_transport_rules.py",
    "tests/accounts/test_kraken_connection.py",
    "tests/flows/test_kraken_replay.py",
    "tests/venues/test_kraken",
)


# Files whose few tests take long, most of them with processes: begun first, so that no worker is left alone with one at the end. The first
# of them want no database: where it has to be made, that takes as long as they do.
LONG = (
    "tests/strategies/test_library.py",
    "tests/sandbox/",
    "tests/house/test_contracts.py",
    "tests/venues/test_paper_battery.py",
    "tests/flows/test_crashes.py",
    "tests/engine/test_demonstration.py",
    "tests/engine/test_feeding.py",
    "tests/flows/test_two_engines.py",
    "tests/flows/test_replay.py",
    "tests/flows/test_bad_input.py",
    "tests/engine/test_up.py",
    "tests/live/test_daphne.py",
    "tests/simulation/",
    "tests/strategies/",
    "tests/isolation/",
    "tests/canary/",
    "tests/house/",
    "tests/people/",
)


# A test that commits is cleaned up in the house's own way.
TransactionTestCase._fixture_teardown = lambda case: emptying.empty()  # type: ignore[attr-defined]
# Django opens a connection anew for each of them; on PostgreSQL the server then reads tables and policies once more, which took a
# third of these tests.
TransactionTestCase._should_reload_connections = lambda case: not emptying.is_as_new()  # type: ignore[attr-defined]


@pytest.fixture(scope="session")
def django_db_keepdb() -> bool:
    """The database is there before Django looks for it."""
    return True


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """The tests of this process get a copy of the database that is migrated once for all."""
    from tests import templates

    templates.lay_test_database()


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: pytest_django.DjangoDbBlocker) -> Generator[None]:
    """The database of the test run, with what migrations have put there noted."""
    from tests import templates

    with django_db_blocker.unblock():
        emptying.remember_what_is_given()
    yield
    with django_db_blocker.unblock():
        connections.close_all()
        templates.remove_test_database()


def pytest_configure(config: pytest.Config) -> None:
    """Name the markers of tests that are for one database, and hash passwords fast: nobody attacks those of a test."""
    config.addinivalue_line("markers", "browser: in a real browser; left out unless asked for, as by `make browser`")
    config.addinivalue_line("markers", "redis: in a running Redis; left out where no redis-server can be started")
    config.addinivalue_line("markers", "postgresql: about PostgreSQL alone; not collected on SQLite")
    gc.set_threshold(*garbage.OFTEN)
    examples.load_profile(whole="soak" in config.option.markexpr)
    # A suite asks more in a minute than any person; the tests of the limits turn them on.
    settings.RATE_LIMITED, os.environ["SIGNALIST_RATE_LIMITS"] = False, "false"
    # Else every page asks for it, once in ten seconds, and counts of queries would depend on which test came first.
    settings.MARKET_NAME = "Synthetic market"
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    if not hasattr(config, "workerinput"):
        from tests import templates

        templates.begin(soon=bool(config.getoption("numprocesses", None)) and not config.option.collectonly)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave nothing behind: the workers have ended."""
    if not hasattr(config, "workerinput"):
        from tests import templates

        templates.end()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Refuse to begin as a role that row-level security does not bind: every test of a policy would pass for nothing."""
    database = settings.DATABASES["default"]
    if database["ENGINE"] != "django.db.backends.postgresql":
        return
    try:
        with psycopg.connect(
            dbname="postgres",
            user=database["USER"],
            password=database["PASSWORD"],
            host=database["HOST"],
            port=database["PORT"],
            connect_timeout=10,
        ) as connection:
            found = connection.execute(
                "SELECT rolname FROM pg_roles WHERE rolname IN (session_user, current_user) AND (rolsuper OR rolbypassrls)"
            ).fetchone()
    except psycopg.OperationalError as error:
        pytest.exit(f"PostgreSQL does not answer at DATABASE_URL: {str(error).strip()}", returncode=4)
    if found:
        pytest.exit(
            f"The tests may not run as {found[0]}: no policy binds a role with SUPERUSER or BYPASSRLS.", returncode=4
        )


def pytest_itemcollected(item: pytest.Item) -> None:
    """Where the long suites are asked for, whatever draws examples is one of them, with all of its examples."""
    if "soak" in item.config.option.markexpr and is_hypothesis_test(getattr(item, "obj", None)):
        item.add_marker("soak")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is about the other database, and the long suites unless a marker expression asks for something."""
    on_postgresql = settings.DATABASES["default"]["ENGINE"] == "django.db.backends.postgresql"
    left_out = [] if on_postgresql else ["postgresql"]
    if not config.option.markexpr:
        left_out += ["soak", "browser"]
    if not (NO_SKIPS or redis_server.is_here()):
        left_out.append("redis")
    leaving = [item for item in items if any(item.get_closest_marker(name) for name in left_out)]
    if on_postgresql and not config.option.markexpr:
        leaving += [item for item in items if item.nodeid.startswith(TRIED_ONCE)]
    if leaving:
        config.hook.pytest_deselected(items=leaving)
        left = set(leaving)
        items[:] = [item for item in items if item not in left]
    items.sort(key=lambda item: next((n for n, name in enumerate(LONG) if item.nodeid.startswith(name)), len(LONG)))


def pytest_collection_finish() -> None:
    """Thousands of tests and all that they import stay to the end: no look for cycles goes through them again, as in the engine."""
    garbage.look_seldom()


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    """Each test has rows of its own; what a process keeps of instruments and schedules is another test's."""
    from signalist.markets import adjusting, current_prices
    from signalist.markets.selectors import forget_instruments
    from signalist.strategies.selectors import forget_schedules

    adjusting.forget()
    current_prices.forget()
    forget_instruments()
    forget_schedules()


@pytest.fixture
def cast(db: None) -> Cast:
    """Acme with Olivia, Theo and Vera; Globex with Gus."""
    from tests.cast import standing_cast

    return standing_cast()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With SIGNALIST_NO_SKIPS=1 a skipped test has failed: nobody would notice what was never checked."""
    report = yield
    if NO_SKIPS and report.skipped and not hasattr(report, "wasxfail"):
        _refuse(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a whole module that skips itself."""
    report = yield
    if NO_SKIPS and report.skipped:
        _refuse(report)
    return report


def _refuse(report: pytest.TestReport | pytest.CollectReport) -> None:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if BESIDE in reason:
        return
    report.outcome = "failed"
    report.longrepr = f"Nothing may skip here (SIGNALIST_NO_SKIPS=1), but this did: {reason}"
