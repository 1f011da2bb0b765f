"""What the paper venue's tests share."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connections

from tests.venues.cards import lacking

pytest.register_assert_rewrite("tests.venues.battery", "tests.venues.wire_battery", "tests.venues.nameless_battery")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A test of the battery that needs what its venue does not have is not dealt; the table names it with the reason."""
    gone = [item for item in items if lacking(item) is not None]
    if gone:
        config.hook.pytest_deselected(items=gone)
        items[:] = [item for item in items if item not in gone]


@pytest.fixture
def own_connection(db: None) -> Any:
    """The connection whose transaction the test's end takes back."""
    return connections["default"]


@pytest.fixture
async def database_under_a_loop(own_connection: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the test's coroutines use the test's own connection.

    Django refuses queries under a loop, because they would block what else it has to do; here there is nothing else. And it
    keeps connections by context, of which a loop has its own.
    """
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    connections["default"] = own_connection
