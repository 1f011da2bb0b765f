"""Databases that commands have for themselves, and the small world, as in the stories of `tests/flows`."""

from __future__ import annotations

import pytest

from tests.flows.commands import Databases, OwnDatabase
from tests.flows.conftest import databases, migrated, own_database, scene

__all__ = ["databases", "migrated", "own_database", "scene"]


@pytest.fixture(scope="module")
def module_database(databases: Databases, migrated: OwnDatabase) -> OwnDatabase:
    """A migrated database that the tests of one file share."""
    return databases.copy(migrated)
