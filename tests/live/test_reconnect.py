"""A page that was away: it is sent what it missed, nothing where nothing happened, and is told to load anew after too long."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from signalist.events.models import Event
from signalist.live.hub import Hub
from tenants.doors import across_tenants
from tests.cast import Cast
from tests.live.pages import Page, elsewhere, heard, shows
from tests.live.regions import say

pytestmark = pytest.mark.django_db(transaction=True)


async def _away(page: Page) -> str:
    """The page loses its link; returns how far it was brought."""
    await page.until(lambda seen: seen.cursor)
    await page.leave()
    return page.cursor


async def test_what_happened_while_it_was_away_is_sent(
    acme: Page, process: Hub, people: Cast, browsers: dict[str, Any]
) -> None:
    await elsewhere(say, people.acme.pk, "before")
    await acme.until(shows("test-words", "before"))
    place = await _away(acme)
    await elsewhere(say, people.acme.pk, "between")
    again = Page(browsers["theo"], "test-words", after=place)
    assert await again.open()
    await again.until(shows("test-words", "before between"))
    await elsewhere(say, people.acme.pk, "behind")
    await again.until(shows("test-words", "before between behind"))
    await again.leave()


async def test_nothing_is_sent_where_nothing_happened(
    acme: Page, process: Hub, people: Cast, browsers: dict[str, Any]
) -> None:
    await elsewhere(say, people.acme.pk, "before")
    await acme.until(shows("test-words", "before"))
    await acme.until(lambda seen: seen.cursor == _newest(process))
    place = await _away(acme)
    await elsewhere(say, people.globex.pk, "not ours")
    await asyncio.sleep(0.1)
    again = Page(browsers["theo"], "test-words", after=place)
    assert await again.open()
    await again.until(heard("beat"))
    assert again.looks == []
    await elsewhere(say, people.acme.pk, "behind")
    await again.until(shows("test-words", "before behind"))
    await again.leave()


async def test_a_page_that_does_not_say_how_far_it_was_brought_is_sent_everything(
    acme: Page, process: Hub, people: Cast, browsers: dict[str, Any]
) -> None:
    await elsewhere(say, people.acme.pk, "one", "two")
    await elsewhere(_forget_all_but_the_newest)
    await process.tail.look_at_the_end()
    for after in ("", "0-0", "nonsense", "1-2-3", "-1-5", "9" * 50):
        page = Page(browsers["theo"], "test-words", after=after)
        assert await page.open()
        await page.until(lambda seen: "test-words" in seen.regions)
        await page.leave()


async def test_what_was_withheld_from_a_page_that_nobody_looked_at_is_sent_when_it_returns(
    acme: Page, process: Hub, people: Cast, browsers: dict[str, Any]
) -> None:
    """A hidden page hears beats, and they must not tell it that it knows what it was not sent."""
    await acme.until(lambda seen: seen.cursor)
    await acme.says(live="hide")
    await asyncio.sleep(0.05)
    await elsewhere(say, people.acme.pk, "one")
    await acme.stays(lambda page: True, seconds=0.5)
    place = await _away(acme)
    again = Page(browsers["theo"], "test-words", after=place)
    assert await again.open()
    await again.until(shows("test-words", "one"))
    await again.leave()


async def test_a_page_that_knows_more_than_this_process_is_shown_nothing_older(
    acme: Page, process: Hub, people: Cast, browsers: dict[str, Any]
) -> None:
    """It comes from another web process, whose tail is ahead: what is kept here as the newest look is not the newest."""
    process.tail._listener.events_happened = lambda happened: None  # type: ignore[method-assign]
    await elsewhere(say, people.acme.pk, "one")
    process.tail.position = process.tail.began
    again = Page(browsers["theo"], "test-words", after=f"{10**12}-{10**9}")
    assert await again.open()
    await again.until(shows("test-words", "one"))
    assert len(again.looks) == 1
    await again.leave()


async def test_a_page_is_told_to_load_anew_when_the_log_does_not_reach_back_so_far(
    process: Hub, people: Cast, browsers: dict[str, Any]
) -> None:
    await elsewhere(say, people.acme.pk, "one", "two", "three")
    first = Page(browsers["theo"], "test-words")
    assert await first.open()
    await first.until(lambda seen: seen.cursor not in ("", "0-0"))
    place = await _away(first)
    await elsewhere(say, people.acme.pk, "four", "five")
    await elsewhere(_forget_all_but_the_newest)
    await process.tail.look_at_the_end()
    again = Page(browsers["theo"], "test-words", after=place)
    assert await again.open()
    await again.until(heard("reload"))
    assert again.looks == []
    await again.leave()


def _newest(process: Hub) -> str:
    return f"{process.tail.position.xid}-{process.tail.position.id}"


def _forget_all_but_the_newest() -> None:
    with across_tenants("tests"):
        newest = Event.objects.order_by("-id").values_list("id", flat=True)[0]
        Event.objects.filter(id__lt=newest).delete()
