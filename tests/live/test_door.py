"""Who is let in to the socket: a logged-in member, from one of our own pages; everybody else is refused before anything is sent."""

from __future__ import annotations

from typing import Any

import pytest
from channels.testing import WebsocketCommunicator
from django.test import Client

from signalist.live import consumer
from signalist.live.hub import Hub
from tenants.doors import across_tenants
from tenants.models import Membership
from tests.cast import Cast, person
from tests.live.pages import HOST, Page, elsewhere, heard, logged_in

pytestmark = pytest.mark.django_db(transaction=True)


async def test_a_member_is_let_in_whatever_the_role(process: Hub, browsers: dict[str, Any]) -> None:
    for browser in browsers.values():
        page = Page(browser)
        assert await page.open()
        await page.until(heard("hello"))
        await page.leave()


async def test_nobody_without_a_log_in_is_let_in(process: Hub, browsers: dict[str, Any]) -> None:
    for browser in (None, Client(), _with_session("no-such-session")):
        if browser is not None and not browser.cookies:
            continue
        assert not await Page(browser, "test-words").open()
    assert process.sockets.everyone() == []


def _with_session(key: str) -> Client:
    browser = Client()
    browser.cookies["sessionid"] = key
    return browser


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        f"http://{HOST}.evil.example",
        "http://localhost:9999",  # another program on the same machine, to which cookies go as well
        "null",
        None,
    ],
)
async def test_no_page_from_elsewhere_is_let_in(process: Hub, browsers: dict[str, Any], origin: str | None) -> None:
    assert not await Page(browsers["theo"], "test-words", origin=origin).open()


async def test_an_origin_that_is_trusted_by_name_is_let_in(
    process: Hub, browsers: dict[str, Any], settings: Any
) -> None:
    settings.CSRF_TRUSTED_ORIGINS = ["http://localhost:9999"]
    page = Page(browsers["theo"], origin="http://localhost:9999")
    assert await page.open()
    await page.leave()


async def test_the_outsider_is_not_let_in_to_a_page_of_another_tenant(
    process: Hub, people: Cast, browsers: dict[str, Any]
) -> None:
    assert not await Page(browsers["gus"], "test-words", tenant=people.acme.public_id).open()
    assert not await Page(browsers["gus"], "test-words", tenant="no such tenant").open()
    page = Page(browsers["gus"], "test-words", tenant=people.globex.public_id)
    assert await page.open()
    await page.leave()


async def test_a_page_stays_with_the_tenant_that_it_is_about(
    process: Hub, people: Cast, browsers: dict[str, Any]
) -> None:
    """Someone in two workspaces who changes to the other one in a second tab: the first tab still shows the first."""
    await elsewhere(_joins, people.globex, people.theo)
    page = Page(browsers["theo"], "test-words", tenant=people.globex.public_id)
    assert await page.open()
    await page.until(lambda seen: "test-words" in seen.regions)
    assert [socket.seat.tenant_id for socket in process.sockets.everyone()] == [people.globex.pk]
    await page.leave()


async def test_nobody_is_let_in_who_may_not_log_in_any_more(
    process: Hub, people: Cast, browsers: dict[str, Any]
) -> None:
    await elsewhere(_changed, people.theo, is_active=False)
    assert not await Page(browsers["theo"], "test-words").open()


async def test_nobody_is_let_in_who_has_left_the_workspace(
    process: Hub, people: Cast, browsers: dict[str, Any]
) -> None:
    await elsewhere(_leaves, people.theo)
    assert not await Page(browsers["theo"], "test-words").open()


async def test_a_person_without_a_workspace_is_not_let_in(process: Hub, people: Cast) -> None:
    nobody = await elsewhere(lambda: logged_in(person("nobody")))
    assert not await Page(nobody, "test-words").open()


async def test_one_person_may_not_open_sockets_without_end(
    process: Hub, browsers: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "MOST_SOCKETS_EACH", 2)
    pages = [Page(browsers["theo"]) for _ in range(3)]
    assert [await page.open() for page in pages] == [True, True, False]
    await pages[0].leave()
    again = Page(browsers["theo"])
    assert await again.open()
    for page in (pages[1], again):
        await page.leave()


async def test_a_socket_that_is_closed_is_forgotten(process: Hub, browsers: dict[str, Any]) -> None:
    page = Page(browsers["theo"], "test-words")
    assert await page.open()
    assert len(process.sockets.everyone()) == 1
    await page.leave()
    assert process.sockets.everyone() == []
    assert not process.sockets.watching(f"tenant-{1}", "test-words")


async def test_there_is_one_socket_and_no_other(process: Hub, browsers: dict[str, Any]) -> None:
    from signalist.asgi import application

    origin = [(b"host", HOST.encode()), (b"origin", f"http://{HOST}".encode())]
    other = WebsocketCommunicator(application, "/ws/anything/", origin)
    accepted, _ = await other.connect()
    assert not accepted


def _changed(user: Any, **fields: Any) -> None:
    type(user).objects.filter(pk=user.pk).update(**fields)


def _leaves(user: Any) -> None:
    with across_tenants("tests"):
        Membership.objects.filter(user=user).update(is_active=False)


def _joins(tenant: Any, user: Any) -> None:
    with across_tenants("tests"):
        Membership.objects.create(tenant=tenant, user=user)
