"""Databases that commands have for themselves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from tests import templates
from tests.flows.commands import Databases, OwnDatabase, of_the_test_run
from tests.flows.loopback_stage import Nursery, Stage, Venue, staged
from tests.flows.market_time import FileClock
from tests.flows.scene import Scene, opened


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """The maker of databases, of the vendor that this test run is on."""
    maker = Databases(settings.DATABASES["default"], tmp_path_factory.mktemp("databases"))
    yield maker
    maker.drop()


@pytest.fixture(scope="session")
def migrated() -> OwnDatabase:
    """A database with all tables and no rows, to be copied."""
    return templates.migrated()


@pytest.fixture
def own_database(databases: Databases, migrated: OwnDatabase) -> OwnDatabase:
    """A migrated database that a test has for itself."""
    return databases.copy(migrated)


@pytest.fixture
def scene(transactional_db: None) -> Iterator[Scene]:
    """The small world, with a market that fills whole orders at the price that is seen."""
    with opened() as world:
        yield world


# --- Engines of their own processes at the loopback venue ----------------------------------------


@pytest.fixture(scope="session")
def loopback() -> Iterator[Venue]:
    """The loopback venue's process."""
    venue = Venue()
    yield venue
    venue.close()


@pytest.fixture(scope="session")
def market_time(tmp_path_factory: pytest.TempPathFactory) -> FileClock:
    """Market time of all engines on the stage."""
    return FileClock(tmp_path_factory.mktemp("clock") / "clock.json")


@pytest.fixture(scope="session")
def nursery(loopback: Venue, market_time: FileClock, django_db_setup: None) -> Iterator[Nursery]:
    """Engines on the database of the test run."""
    made = Nursery(of_the_test_run(connection), loopback.address, market_time.path)
    yield made
    made.close()


@pytest.fixture
def subscribers() -> int:
    """How many there are; a module may have another number."""
    return 4


@pytest.fixture
def stage(
    transactional_db: None,
    loopback: Venue,
    nursery: Nursery,
    market_time: FileClock,
    tmp_path: Path,
    subscribers: int,
) -> Iterator[Stage]:
    """Subscribers of a strategy that follows candles, at the loopback venue; no engine runs yet."""
    with staged(loopback, nursery, market_time, tmp_path, subscribers) as made:
        yield made
