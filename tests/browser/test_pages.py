"""Every page in dark, light and on a phone: nothing overflows, nothing is refused by the policy, axe finds nothing serious."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Opens
from tests.browser.steps import log_in, sign_up

pytestmark = pytest.mark.browser

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}}
PUBLIC = ("/", "/accounts/login/", "/accounts/signup/", "/accounts/password/reset/", "/marketplace/")
LOOKS: dict[str, dict[str, Any]] = {
    "dark": {"color_scheme": "dark", "viewport": {"width": 1440, "height": 900}},
    "light": {"color_scheme": "light", "viewport": {"width": 1440, "height": 900}},
    "phone": {"color_scheme": "light", "viewport": {"width": 390, "height": 844}, "has_touch": True},
}
NO_PAGES = ("/admin/", "/static/", "/accounts/logout", "/audit/export/", "/downloads/")
KIND = re.compile(r"/(?:[0-9a-f]{8}-[0-9a-f-]{27}|\d+)/")


def _links(page: Page) -> Iterator[str]:
    """One page of every kind that a member can reach by links."""
    waiting, kinds = ["/dashboard/"], {"/dashboard/"}
    while waiting:
        path = waiting.pop(0)
        yield path
        for link in page.eval_on_selector_all(
            "a[href^='/']:not([download])", "links => links.map(link => link.getAttribute('href'))"
        ):
            plain = link.partition("#")[0].partition("?")[0]
            kind = KIND.sub("/*/", plain)
            if kind not in kinds and not plain.startswith(NO_PAGES):
                kinds.add(kind)
                waiting.append(plain)


def _faults(page: Page, look: str) -> list[str]:
    """What is wrong with the page that is open."""
    found = []
    width = page.evaluate("document.documentElement.scrollWidth")
    if width > LOOKS[look]["viewport"]["width"]:
        found.append(f"it is {width} px wide")
    if page.locator("h1").count() != 1:
        found.append(f"it has {page.locator('h1').count()} first headings")
    if page.evaluate("document.querySelectorAll('[style]:not(svg *)').length"):
        found.append("it has inline styles")
    page.evaluate(AXE)
    for violation in page.evaluate("rules => axe.run(document, rules)", RULES)["violations"]:
        if violation["impact"] in ("serious", "critical"):
            where = violation["nodes"][0]["html"][:160]
            found.append(f"axe: {violation['id']} ({len(violation['nodes'])} times), first at {where}")
    return found


@pytest.mark.parametrize("look", ["dark", *(pytest.param(look, marks=pytest.mark.soak) for look in ("light", "phone"))])
def test_pages_of_a_member(browse: Opens, look: str) -> None:
    page = browse(**LOOKS[look])
    log_in(page)
    faults, seen = {}, []
    for path in _links(page):
        page.goto(path)
        seen.append(path)
        if wrong := _faults(page, look):
            faults[path] = wrong
    assert faults == {}
    assert len(seen) >= 14, seen


@pytest.mark.parametrize("look", ["light", *(pytest.param(look, marks=pytest.mark.soak) for look in ("dark", "phone"))])
def test_pages_for_everybody(browse: Opens, look: str) -> None:
    page = browse(**LOOKS[look])
    faults = {}
    for path in PUBLIC:
        page.goto(path)
        if wrong := _faults(page, look):
            faults[path] = wrong
    assert faults == {}


def test_the_pages_of_a_newcomer_are_not_broken_by_being_empty(browse: Opens) -> None:
    page = browse(**LOOKS["phone"])
    sign_up(page)
    faults = {}
    for path in ("/dashboard/", "/positions/", "/orders/", "/trades/", "/decisions/", "/subscriptions/", "/markets/"):
        page.goto(path)
        if wrong := _faults(page, "phone"):
            faults[path] = wrong
    assert faults == {}


@pytest.mark.parametrize("width", [320, 2560])
def test_the_dashboard_fits_every_width(browse: Opens, width: int) -> None:
    page = browse(viewport={"width": width, "height": 900})
    log_in(page)
    for path in ("/dashboard/", "/positions/", "/marketplace/", "/decisions/"):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path


@pytest.mark.parametrize("system", ["dark", "light"])
def test_the_first_click_on_the_theme_switch_changes_what_is_seen(browse: Opens, system: Any) -> None:
    """Whatever the reader's system shows, and nothing has been chosen yet."""
    page = browse(color_scheme=system)
    page.goto("/marketplace/")
    seen = [_canvas(page)]
    for _ in range(2):
        (switch,) = [button for button in page.locator("button[name=theme]").all() if button.is_visible()]
        switch.click()
        page.wait_for_load_state()
        seen.append(_canvas(page))
    assert seen[0] != seen[1]
    assert seen[0] == seen[2]


def _canvas(page: Page) -> str:
    return str(page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))


def test_a_chart_is_in_the_reader_s_zone_and_names_it(browse: Opens) -> None:
    page = browse()
    sign_up(page)
    page.goto("/profile/")
    page.locator("[name=time_zone]").select_option("Asia/Kolkata")
    page.get_by_role("button", name="Save").click()
    page.goto("/markets/")
    page.locator("main tbody a").first.click()
    expect(page.locator("[data-zone]")).to_have_text("Asia/Kolkata")
    label = page.locator("#candles .x time").first
    shown = label.evaluate("time => [time.dateTime.slice(11, 16), time.textContent]")
    minutes = [int(clock[:2]) * 60 + int(clock[3:]) for clock in shown]
    assert (minutes[1] - minutes[0]) % 1440 == 330
