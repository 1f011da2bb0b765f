"""The small world, as in the stories of `tests/flows`, and databases that commands have for themselves."""

from __future__ import annotations

from tests.flows.conftest import databases, migrated, own_database, scene

__all__ = ["databases", "migrated", "own_database", "scene"]
