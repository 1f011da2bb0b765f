"""What a person does with the product, from the first page to the log-out."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Opens
from tests.browser.product import Product
from tests.browser.steps import log_in, sign_up, subscribe

pytestmark = pytest.mark.browser

# An order is sent after the next close of a 10-second candle, an exit after the one behind it.
BY_THE_NEXT_CLOSES = 45_000


def test_a_newcomer_subscribes_and_sees_the_order_arrive(browse: Opens) -> None:
    page = browse()
    sign_up(page)
    subscribe(page)
    page.goto("/positions/")
    expect(page.locator("#link-state")).to_contain_text("Live")
    # Nothing is reloaded from here on: what comes, comes through the socket.
    page.evaluate("window.stayed = true")
    expect(page.locator("#position-rows tr", has_text="NOVA/USD").first).to_be_visible(timeout=BY_THE_NEXT_CLOSES)
    expect(page.locator("#order-rows tr", has_text="Stop").first).to_be_visible(timeout=BY_THE_NEXT_CLOSES)
    assert page.evaluate("window.stayed")
    page.goto("/decisions/")
    expect(page.get_by_role("main")).to_contain_text("Taken")
    _pause_and_leave(page)


def _pause_and_leave(page: Page) -> None:
    page.goto("/subscriptions/")
    page.get_by_role("link", name="Metronome").first.click()
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("main")).to_contain_text("no entries")
    page.get_by_role("button", name="Log out").click()
    expect(page).to_have_url(re.compile(r"^http://[^/]+/$"))
    page.goto("/dashboard/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Log in")


def test_everything_works_without_a_script(browse: Opens) -> None:
    page = browse(java_script_enabled=False)
    sign_up(page)
    subscribe(page)
    page.goto("/marketplace/metronome/")
    for _ in range(9):
        page.goto("/positions/")
        if page.locator("#position-rows tr", has_text="NOVA/USD").count():
            break
        page.wait_for_timeout(5_000)
    expect(page.locator("#position-rows")).to_contain_text("NOVA/USD")
    _pause_and_leave(page)


def test_a_page_outlives_its_web_process(browse: Opens, product: Product) -> None:
    page = browse()
    log_in(page)
    page.goto("/dashboard/")
    expect(page.locator("#link-state")).to_contain_text("Live")
    product.stop_web()
    expect(page.locator("#live-banner")).to_contain_text("Live updates lost", timeout=30_000)
    assert page.get_attribute("body", "data-live") == "lost"
    product.start_web()
    expect(page.locator("#link-state")).to_contain_text("Live", timeout=60_000)
    expect(page.locator("#live-banner")).to_be_hidden()
    before = page.locator("#engine-status").inner_text()
    expect(page.locator("#engine-status")).not_to_have_text(before, timeout=60_000)


def test_logging_out_in_one_window_ends_the_live_page_in_the_other(browse: Opens) -> None:
    page = browse()
    log_in(page)
    page.goto("/dashboard/")
    expect(page.locator("#link-state")).to_contain_text("Live")
    other = page.context.new_page()
    other.goto("/profile/")
    other.get_by_role("button", name="Log out").click()
    page.bring_to_front()
    expect(page).to_have_url(re.compile(r"/accounts/login/\?next=/dashboard/"), timeout=10_000)


@pytest.mark.parametrize("keys", [["Tab", "Enter"]])
def test_the_first_key_offers_to_skip_to_the_content(browse: Opens, keys: list[str]) -> None:
    page = browse()
    log_in(page)
    page.goto("/dashboard/")
    for key in keys:
        page.keyboard.press(key)
    assert page.evaluate("document.activeElement.id") == "main"
