"""When a socket ends: with its session, wherever that ends, and with the membership that let it in."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from pytest_django import Settings

from signalist.clock import utc_now
from signalist.events.models import Event
from signalist.live.access import session_hash
from signalist.live.hub import Hub
from signalist.live.pace import Pace
from signalist.live.sockets import SESSION_OVER, TOO_SLOW
from tenants.doors import across_tenants
from tenants.models import Membership, User
from tests.cast import Cast
from tests.live.conftest import QUICK
from tests.live.pages import Page, elsewhere, logged_in, session_of, shows
from tests.live.regions import say

pytestmark = pytest.mark.django_db(transaction=True)

SECOND = 1.0


def ended(page: Page) -> bool:
    """For `until`: the server has closed the socket, because its session is over."""
    return page.closed_with == SESSION_OVER


@pytest.fixture
def pace() -> Pace:
    """Who may stay is asked often."""
    return replace(QUICK, check=0.2)


class TestLoggingOut:
    """The word in the log alone does it: nobody is asked whether they may stay for a minute."""

    @pytest.fixture
    def pace(self) -> Pace:
        return QUICK

    async def test_it_closes_the_session_s_sockets_within_a_second(
        self, process: Hub, people: Cast, browsers: dict[str, Any]
    ) -> None:
        other_browser = await elsewhere(logged_in, people.theo)
        first, second, other = Page(browsers["theo"], "test-words"), Page(browsers["theo"]), Page(other_browser)
        for page in (first, second, other):
            assert await page.open()
        await first.stays(lambda page: True, seconds=0.2)  # newcomers are looked at once more
        await elsewhere(browsers["theo"].logout)
        await first.until(ended, SECOND)
        await second.until(ended, SECOND)
        assert await other.stays(lambda page: page.closed_with is None), "another log-in of the same person goes on"
        await other.leave()


async def test_what_stands_in_the_log_about_a_session_is_not_its_key(people: Cast, browsers: dict[str, Any]) -> None:
    key = session_of(browsers["theo"])
    await elsewhere(browsers["theo"].logout)
    (event,) = await elsewhere(_farewells)
    assert event.tenant_id == people.acme.pk
    assert event.payload == {"session": session_hash(key)}
    assert key not in str(event.payload)


async def test_logging_out_without_a_workspace_or_a_log_in_writes_nothing(people: Cast) -> None:
    nobody = await elsewhere(lambda: logged_in(User.objects.create_user("nobody@example.com", "x")))
    await elsewhere(nobody.logout)
    await elsewhere(Client().logout)
    assert await elsewhere(_farewells) == []


async def test_nothing_more_is_sent_once_the_session_is_over(
    process: Hub, people: Cast, browsers: dict[str, Any]
) -> None:
    page = Page(browsers["theo"], "test-words")
    assert await page.open()
    await page.until(shows("test-words", ""))
    await elsewhere(browsers["theo"].logout)
    await elsewhere(say, people.acme.pk, "secret")
    await page.until(ended)
    assert all("secret" not in look for look in page.looks[:1])
    assert process.sockets.everyone() == []


async def test_a_session_that_vanishes_without_a_word_is_noticed(process: Hub, browsers: dict[str, Any]) -> None:
    page = Page(browsers["theo"])
    assert await page.open()
    await elsewhere(lambda: Session.objects.filter(session_key=session_of(browsers["theo"])).delete())
    await page.until(ended)


async def test_a_session_that_expires_is_noticed(process: Hub, browsers: dict[str, Any]) -> None:
    page = Page(browsers["theo"])
    assert await page.open()
    key = session_of(browsers["theo"])
    await elsewhere(lambda: Session.objects.filter(session_key=key).update(expire_date=utc_now()))
    await page.until(ended)


async def test_a_session_that_nobody_uses_for_too_long_is_noticed(
    process: Hub, browsers: dict[str, Any], settings: Settings
) -> None:
    """The socket's own beats are no use by anybody."""
    page = Page(browsers["theo"])
    assert await page.open()
    settings.SESSION_IDLE_MINUTES = 0
    await page.until(ended)


async def test_a_new_password_ends_the_sockets_of_old_sessions(
    process: Hub, people: Cast, browsers: dict[str, Any]
) -> None:
    page = Page(browsers["theo"])
    assert await page.open()
    await elsewhere(_new_password, people.theo)
    await page.until(ended)


async def test_someone_who_is_deactivated_is_shown_out(process: Hub, people: Cast, browsers: dict[str, Any]) -> None:
    theirs, another = Page(browsers["theo"]), Page(browsers["vera"])
    assert await theirs.open() and await another.open()
    await elsewhere(lambda: User.objects.filter(pk=people.theo.pk).update(is_active=False))
    await theirs.until(ended)
    assert await another.stays(lambda page: page.closed_with is None)
    await another.leave()


@pytest.mark.parametrize("how", ["removed", "suspended"])
async def test_someone_who_leaves_the_workspace_is_shown_out(
    process: Hub, people: Cast, browsers: dict[str, Any], how: str
) -> None:
    page = Page(browsers["theo"])
    assert await page.open()
    await elsewhere(_leave, people.theo.pk, how)
    await page.until(ended)


async def test_those_who_may_stay_stay(process: Hub, browsers: dict[str, Any]) -> None:
    pages = [Page(browser) for browser in browsers.values()]
    for page in pages:
        assert await page.open()
    for page in pages:
        assert await page.stays(lambda each: each.closed_with is None, seconds=0.3)
        await page.leave()


class TestBusyDoors:
    """A database that keeps those who come waiting must not cut off those who are in, and lets nobody stay."""

    @pytest.fixture
    async def waiting(self, process: Hub) -> AsyncIterator[asyncio.Task[None]]:
        """A newcomer who is being asked for a long time."""
        task = asyncio.create_task(process.door.run(time.sleep, 1.5))
        yield task
        await task

    async def test_pages_are_told_that_all_is_well_while_newcomers_wait(
        self, process: Hub, acme: Page, waiting: asyncio.Task[None]
    ) -> None:
        assert await _beats(acme, 5)
        assert not waiting.done()

    async def test_they_are_told_while_it_is_asked_who_may_stay(self, process: Hub, acme: Page) -> None:
        asking = asyncio.create_task(process._checks.run(time.sleep, 1.5))
        assert await _beats(acme, 5)
        assert not asking.done()
        await asking

    async def test_who_must_leave_leaves_while_newcomers_wait(
        self, process: Hub, acme: Page, browsers: dict[str, Any], waiting: asyncio.Task[None]
    ) -> None:
        await elsewhere(lambda: Session.objects.filter(session_key=session_of(browsers["theo"])).delete())
        await acme.until(ended)
        assert not waiting.done()


class TestSilence:
    """A page that says nothing is gone: asleep, or on another network."""

    @pytest.fixture
    def pace(self) -> Pace:
        return replace(QUICK, silent=0.4)

    async def test_a_page_that_answers_no_beat_is_closed(self, process: Hub, browsers: dict[str, Any]) -> None:
        page = Page(browsers["theo"])
        assert await page.open()
        await page.until(lambda seen: seen.closed_with == TOO_SLOW)

    async def test_a_page_that_answers_stays(self, process: Hub, browsers: dict[str, Any]) -> None:
        page = Page(browsers["theo"])
        assert await page.open()
        for _ in range(5):
            await page.says(live="beat")
            assert await page.stays(lambda seen: seen.closed_with is None, seconds=0.2)
        await page.leave()

    def test_both_sides_notice_within_ten_seconds(self) -> None:
        pace = Pace()
        assert pace.silent + pace.turn <= 9.5
        assert pace.silent >= 2 * pace.beat + pace.turn, "a beat that is late or lost must not close anything"


async def _beats(page: Page, count: int) -> bool:
    """Whether so many beats come, each in time."""
    for _ in range(count):
        before = len(page.words)
        await page.until(lambda seen, before=before: len(seen.words) > before, SECOND)  # type: ignore[misc]
    return True


def _farewells() -> list[Event]:
    with across_tenants("tests"):
        return list(Event.objects.filter(kind="session_ended"))


def _new_password(user: User) -> None:
    user.set_password("another password for tests")
    user.save()


def _leave(user_id: int, how: str) -> None:
    with across_tenants("tests"):
        found = Membership.objects.filter(user_id=user_id)
        found.delete() if how == "removed" else found.update(is_active=False)
