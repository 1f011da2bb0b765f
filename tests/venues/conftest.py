"""What the paper venue's tests share."""

from __future__ import annotations

import pytest


@pytest.fixture
def database_under_a_loop(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let coroutines use the test's own connection: Django refuses that, because it would block a loop that has other things to do."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
