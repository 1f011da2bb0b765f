"""Pushes: a region is sent when it looks different, to everybody who shows it and may see it, and to nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from signalist.live import regions
from signalist.live.hub import Hub
from signalist.live.regions import Region
from signalist.markets.models import Instrument, LatestPrice
from tests.cast import Cast
from tests.live.pages import Page, elsewhere, heard, shows
from tests.live.regions import NOON, say, tell_all

pytestmark = pytest.mark.django_db(transaction=True)


async def test_a_page_is_sent_its_regions_when_it_connects(
    process: Hub, people: Cast, browsers: dict[str, Any]
) -> None:
    await elsewhere(say, people.acme.pk, "one")
    page = Page(browsers["vera"], "test-words", "nobody-knows-this-one")
    assert await page.open()
    await page.until(shows("test-words", "one"))
    assert list(page.regions) == ["test-words"]
    await page.leave()


async def test_what_happens_is_pushed_within_a_moment(acme: Page, people: Cast) -> None:
    await elsewhere(say, people.acme.pk, "one")
    await acme.until(shows("test-words", "one"))
    await elsewhere(say, people.acme.pk, "two")
    await acme.until(shows("test-words", "one two"))


async def test_two_tenants_never_see_each_others_fragments(
    process: Hub, people: Cast, browsers: dict[str, Any], acme: Page
) -> None:
    globex = Page(browsers["gus"], "test-words")
    assert await globex.open()
    await globex.until(shows("test-words", ""))
    await elsewhere(say, people.acme.pk, "ours")
    await acme.until(shows("test-words", "ours"))
    await elsewhere(say, people.globex.pk, "theirs")
    await globex.until(shows("test-words", "theirs"))
    assert await acme.stays(shows("test-words", "ours"))
    assert all("theirs" not in look for look in acme.looks)
    assert all("ours" not in look for look in globex.looks)
    await globex.leave()


async def test_a_region_that_looks_the_same_is_not_sent_again(acme: Page, people: Cast) -> None:
    await elsewhere(say, people.acme.pk, "")
    assert await acme.stays(lambda page: len(page.looks) == 1)


async def test_a_region_is_rendered_once_for_all_members(
    process: Hub, people: Cast, browsers: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered = list[int]()
    render = regions.render
    monkeypatch.setattr(regions, "render", lambda tenant, wanted: rendered.append(tenant) or render(tenant, wanted))
    pages = [Page(browsers[name], "test-words") for name in ("olivia", "theo", "vera") for _ in range(3)]
    for page in pages:
        assert await page.open()
    await elsewhere(say, people.acme.pk, "one")
    for page in pages:
        await page.until(shows("test-words", "one"))
    assert len(rendered) <= 2, "once when the first one came, once when the word was said"
    for page in pages:
        await page.leave()


async def test_what_happens_fast_is_sent_at_a_bounded_pace(acme: Page, people: Cast, pace: Any) -> None:
    for n in range(30):
        await elsewhere(say, people.acme.pk, f"{n}")
    began = asyncio.get_running_loop().time()
    await acme.until(lambda page: (page.shows("test-words") or "").endswith(" 29"))
    assert len(acme.looks) < 30 or asyncio.get_running_loop().time() - began > 30 * pace.region


async def test_what_happens_to_nobody_reaches_the_common_regions_of_all(process: Hub, browsers: dict[str, Any]) -> None:
    pages = [Page(browsers[name], "test-news", "test-words") for name in ("theo", "gus")]
    for page in pages:
        assert await page.open()
        await page.until(shows("test-news", "0"))
    await elsewhere(tell_all)
    for page in pages:
        await page.until(shows("test-news", "1"))
        assert page.shows("test-words") == ""
        await page.leave()


async def test_prices_are_followed_while_a_page_shows_them(process: Hub, browsers: dict[str, Any]) -> None:
    page = Page(browsers["theo"], "test-prices")
    assert await page.open()
    await page.until(shows("test-prices", ""))
    await elsewhere(_price, "1.50")
    await page.until(lambda seen: "1.5" in seen.regions["test-prices"])
    assert page.regions["test-prices"].startswith("<tbody"), (
        "rows outside a table survive the parser only as the first element"
    )
    await elsewhere(_price, "1.75")
    await page.until(lambda seen: "1.75" in seen.regions["test-prices"])
    assert process.wants_prices()
    await page.leave()
    await asyncio.sleep(0)
    assert not process.wants_prices()


async def test_a_page_that_nobody_looks_at_is_sent_nothing_until_somebody_does(acme: Page, people: Cast) -> None:
    await acme.says(live="hide")
    await asyncio.sleep(0.05)
    await elsewhere(say, people.acme.pk, "one")
    assert await acme.stays(lambda page: len(page.looks) == 1)
    await acme.says(live="show", regions=["test-words"])
    await acme.until(shows("test-words", "one"))


async def test_a_page_may_show_other_regions_later(acme: Page, people: Cast) -> None:
    await acme.says(live="show", regions=["test-news"])
    await acme.until(shows("test-news", "0"))
    await elsewhere(say, people.acme.pk, "one")
    await elsewhere(tell_all)
    await acme.until(shows("test-news", "1"))
    assert acme.shows("test-words") == ""
    await acme.says(live="show", regions=["test-news", "test-words"])
    await acme.until(shows("test-words", "one"))


@pytest.fixture
def broken(words: None) -> Iterator[list[bool]]:
    """A region that cannot be rendered while the list says so."""
    fails = [True]

    def context(tenant_id: int) -> dict[str, Any]:
        if fails[0]:
            raise ValueError("planted")
        return {"words": ["mended"]}

    regions.register(Region("test-broken", context, kinds=frozenset({"word_said"})))
    yield fails
    regions.forget("test-broken")


async def test_a_region_that_fails_stops_no_other_and_is_tried_again(
    process: Hub, people: Cast, browsers: dict[str, Any], broken: list[bool], settings: Any, tmp_path: Any
) -> None:
    (tmp_path / "regions").mkdir()
    (tmp_path / "regions" / "test-broken.html").write_text('<p id="test-broken">{{ words|join:" " }}</p>')
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [*settings.TEMPLATES[0]["DIRS"], tmp_path]}]
    page = Page(browsers["theo"], "test-broken", "test-words")
    assert await page.open()
    await page.until(shows("test-words", ""))
    await elsewhere(say, people.acme.pk, "one")
    await page.until(shows("test-words", "one"))
    assert "test-broken" not in page.regions
    broken[0] = False
    await page.until(shows("test-broken", "mended"))
    await page.leave()


async def test_every_page_hears_beats_and_how_far_it_was_brought(acme: Page, people: Cast) -> None:
    await acme.until(heard("hello"))
    await acme.until(lambda page: page.cursor)
    before = acme.cursor
    await elsewhere(say, people.acme.pk, "one")
    await acme.until(lambda page: page.cursor != before)
    assert acme.shows("test-words") == "one", "the place moves on only behind what was sent"


async def test_nonsense_from_a_page_is_overheard(acme: Page, people: Cast) -> None:
    await acme._wire.send_to(text_data="not json")
    await acme._wire.send_to(bytes_data=b"\x00\x01")
    await acme.says(live="show", regions={"a": 1})
    await acme.says(live="show", regions=["test-words", 5, None])
    await elsewhere(say, people.acme.pk, "one")
    await acme.until(shows("test-words", "one"))


def _price(price: str) -> None:
    instrument, _ = Instrument.objects.get_or_create(symbol="TEST", defaults=_some_instrument())
    LatestPrice.objects.update_or_create(instrument=instrument, defaults={"price": Decimal(price), "at": NOON})


def _some_instrument() -> dict[str, Any]:
    sizes = dict.fromkeys(("tick", "lot", "min_quantity", "min_notional"), Decimal("0.01"))
    return {"venue": "paper", "base": "TEST", "quote": "USD", "kind": "SPOT", **sizes}
