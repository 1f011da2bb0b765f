"""The regions that pages really show: each can be rendered for a member, and waits for what really happens."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from signalist.live import regions
from signalist.live.regions import Region, known, register, render
from tests.cast import Cast

ROOT = Path(__file__).resolve().parents[2]


def _real() -> list[Region]:
    """What the entry point of web processes registers."""
    import signalist.asgi  # noqa: F401 it does so when it is imported

    return [region for region in regions.everything() if not region.name.startswith("test-")]


class Elements(HTMLParser):
    """The names of all elements, and the attributes of those on top."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.top: list[dict[str, str | None]] = []
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if not self._open:
            self.top.append(dict(attrs))
        self.names.append(tag)
        if tag not in ("br", "img", "input", "hr", "wbr"):
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self._open.remove(tag)


def test_all_regions_of_the_pages_are_pushed() -> None:
    assert {region.name for region in _real()} >= {
        "key-figures",
        "today",
        "position-rows",
        "position-totals",
        "decision-feed",
        "order-rows",
        "engine-status",
        "kill-state",
    }


@pytest.mark.parametrize("region", _real(), ids=lambda region: region.name)
def test_a_region_is_whole_for_a_tenant_that_has_nothing_yet(cast: Cast, region: Region) -> None:
    found = render(None if region.common else cast.acme.pk, [region])
    assert region.name in found, "it could not be rendered"
    page = Elements()
    page.feed(found[region.name])
    assert not {"form", "button", "input", "select", "textarea", "script", "style"} & set(page.names), (
        "what is pushed is the same for every member, and holds nothing that can be lost"
    )
    assert "csrfmiddlewaretoken" not in found[region.name]
    for element in page.top:
        assert element.get("id"), "the page finds an element by its id"
        assert element.get("hx-swap-oob") == "true"


def test_regions_wait_for_what_is_really_told() -> None:
    told = "\n".join(path.read_text() for path in (ROOT / "signalist").rglob("*.py") if path.name != "asgi.py")
    for region in _real():
        for kind in region.kinds:
            assert re.search(rf'"{kind}"', told), f"{region.name} waits for {kind}, which nobody tells"


def test_a_region_that_nothing_changes_would_be_no_region() -> None:
    for region in _real():
        assert region.kinds or region.prices or region.every, region.name


def test_a_name_is_taken_once() -> None:
    taken = _real()[0]
    with pytest.raises(ValueError, match="There is a region"):
        register(taken)


def test_unknown_names_are_left_out_and_known_ones_come_once() -> None:
    name = _real()[0].name
    assert [region.name for region in known([name, "nobody-knows-this-one", name])] == [name]
