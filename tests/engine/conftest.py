"""Databases that commands have for themselves, and the small world, as in the stories of `tests/flows`."""

from __future__ import annotations

import pytest

from tests.flows.commands import Databases, OwnDatabase, manage
from tests.flows.conftest import databases, own_database, scene

__all__ = ["databases", "own_database", "scene"]


@pytest.fixture(scope="session")
def migrated(databases: Databases) -> OwnDatabase:
    """A database with all tables and no rows, to be copied; no page has to be sound for that."""
    database = databases.empty()
    assert manage(database, "migrate", "--verbosity", "0", "--skip-checks").status == 0
    return database


@pytest.fixture(scope="module")
def module_database(databases: Databases, migrated: OwnDatabase) -> OwnDatabase:
    """A migrated database that the tests of one file share."""
    return databases.copy(migrated)
