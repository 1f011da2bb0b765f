"""Databases that commands have for themselves."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.conf import settings

from tests.flows.commands import Databases, OwnDatabase, manage
from tests.flows.scene import Scene, opened


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """The maker of databases, of the vendor that this test run is on."""
    maker = Databases(settings.DATABASES["default"], tmp_path_factory.mktemp("databases"))
    yield maker
    maker.drop()


@pytest.fixture(scope="session")
def migrated(databases: Databases) -> OwnDatabase:
    """A database with all tables and no rows, to be copied."""
    database = databases.empty()
    assert manage(database, "migrate", "--verbosity", "0").status == 0
    return database


@pytest.fixture
def own_database(databases: Databases, migrated: OwnDatabase) -> OwnDatabase:
    """A migrated database that a test has for itself."""
    return databases.copy(migrated)


@pytest.fixture
def scene(transactional_db: None) -> Iterator[Scene]:
    """The small world, with a market that fills whole orders at the price that is seen."""
    with opened() as world:
        yield world
