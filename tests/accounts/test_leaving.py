"""A session that breaks, or says nothing, while it is closed keeps nobody from the accounts of others."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
import structlog

from signalist.accounts.sessions import Sessions

DESK = SimpleNamespace(venue="odd", venue_ref="desk-1")


class Odd:
    """A venue whose sessions end as they are told to."""

    def __init__(self, ends: str) -> None:
        self.ends, self.opened = ends, 0

    def open(self, ref: str) -> Any:
        self.opened += 1
        return self

    async def close(self) -> None:
        if self.ends == "breaks":
            raise ZeroDivisionError("of a library's own")
        await asyncio.sleep(3600)


@pytest.mark.parametrize("ends", ["breaks", "hangs"])
async def test_leaving_and_dropping_a_session_that_does_not_close_raise_nothing(
    ends: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signalist.accounts.sessions.CLOSE_WITHIN", 0.01)
    venue = Odd(ends)
    sessions = Sessions({"odd": venue}, paper=frozenset({"odd"}))  # type: ignore[dict-item]
    with structlog.testing.capture_logs() as logged:
        sessions.of(DESK)
        await sessions.leave(DESK)
        sessions.of(DESK)
        sessions.drop(DESK)
        await asyncio.wait(sessions._closing, timeout=5)
        await sessions.leave(DESK)
    assert [entry["event"] for entry in logged] == ["session_not_closed"] * 2
    assert venue.opened == 2
