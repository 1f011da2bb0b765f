"""What the paper venue's tests share."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connections


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
