"""The page's side of live updates in a real browser: nothing flickers, jumps or takes the focus, and the page says what it knows."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.cast import Cast
from tests.live.pages import session_of
from tests.live.processes import Start, WebProcess
from tests.live.regions import say

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]

SECONDS = 1000  # playwright counts in milliseconds


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The system's Chromium. The driver's own loop runs in this thread, which Django would take for an asynchronous program."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("There is no Chromium here.")
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def web(chromium: Browser, start: Start) -> WebProcess:
    """One web process."""
    return start()


@pytest.fixture
def open_page(chromium: Browser, web: WebProcess, browsers: dict[str, Client]) -> Iterator[Any]:
    """Opens the test page as somebody; what the browser complains about fails the test."""
    contexts, complaints = [], list[str]()

    def opened(name: str = "theo", **options: Any) -> Page:
        context = chromium.new_context(**options)
        contexts.append(context)
        address = f"http://127.0.0.1:{web.port}"
        context.add_cookies([{"name": "sessionid", "value": session_of(browsers[name]), "url": address}])
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda line: complaints.append(line.text) if _is_complaint(line) else None)
        page.goto(f"{address}/test-page/")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def _is_complaint(line: Any) -> bool:
    """Errors and violations of the content security policy; a server that is away is no fault of the page."""
    return line.type == "error" and "CONNECTION" not in line.text and "WebSocket" not in line.text


def _live(page: Page) -> None:
    expect(page.locator("#link-state")).to_have_text("Live")
    assert page.get_attribute("body", "data-live") == "live"


def test_the_page_says_that_it_is_live_and_shows_what_is_pushed(open_page: Any, people: Cast) -> None:
    page = open_page()
    _live(page)
    say(people.acme.pk, "b=2,a=1")
    expect(page.locator("#test-rows tr")).to_have_count(2)
    expect(page.locator("#test-words")).to_have_text("b=2,a=1")


def test_without_javascript_the_page_says_that_it_is_not_live(open_page: Any) -> None:
    page = open_page(java_script_enabled=False)
    expect(page.locator("#link-state")).to_have_text("Not live")
    expect(page.locator("#test-words")).to_have_text("first")


def test_a_value_changes_in_place_and_the_focus_stays(open_page: Any, people: Cast) -> None:
    page = open_page()
    _live(page)
    say(people.acme.pk, "a=1,b=2")
    page.locator("#link-b").focus()
    page.evaluate("document.querySelector('#row-b').kept = 'the same row'")
    say(people.acme.pk, "a=5,b=6")
    expect(page.locator("#value-b")).to_have_text("6")
    assert page.evaluate("document.activeElement.id") == "link-b"
    assert page.evaluate("document.querySelector('#row-b').kept") == "the same row"


def test_rows_keep_their_order_while_somebody_is_among_them(open_page: Any, people: Cast) -> None:
    page = open_page()
    _live(page)
    say(people.acme.pk, "a=1,b=2")
    expect(page.locator("#test-rows tr")).to_have_count(2)
    page.locator("#value-b").hover()
    say(people.acme.pk, "c=9,b=7,a=8")
    expect(page.locator("#value-b")).to_have_text("7")
    assert _order(page) == ["row-a", "row-b", "row-c"]
    page.locator("h1").hover()
    expect(page.locator("#test-rows tr").first).to_have_id("row-c")
    assert _order(page) == ["row-c", "row-b", "row-a"]


def test_a_change_that_the_reader_did_not_cause_is_marked_and_one_they_may_have_caused_is_not(
    open_page: Any, people: Cast
) -> None:
    page = open_page()
    _live(page)
    say(people.acme.pk, "a=1")
    expect(page.locator("#value-a")).to_have_text("1")
    page.evaluate("""
        window.marked = [];
        new MutationObserver((changes) => changes.forEach(({target}) => {
            if (target.classList.contains("changed")) window.marked.push(target.id);
        })).observe(document.querySelector("#test-rows"), {subtree: true, attributes: true, attributeFilter: ["class"]});
    """)
    say(people.acme.pk, "a=2")
    expect(page.locator("#value-a")).to_have_text("2")
    assert "value-a" in page.evaluate("window.marked")
    expect(page.locator("#value-a")).not_to_have_class("changed")
    page.keyboard.press("Shift")
    page.evaluate("window.marked = []")
    say(people.acme.pk, "a=3")
    expect(page.locator("#value-a")).to_have_text("3")
    assert page.evaluate("window.marked") == []


def test_times_are_shown_in_the_readers_zone_and_stay_there(open_page: Any, people: Cast) -> None:
    people.theo.time_zone = "Asia/Kolkata"
    people.theo.save()
    page = open_page()
    _live(page)
    expect(page.locator("#moment")).to_have_text("5 Jan 2026, 17:30:00 GMT+5:30")
    for word in ("a=1", "a=2"):
        say(people.acme.pk, word)
        expect(page.locator("#value-a")).to_have_text(word[-1])
        expect(page.locator("#row-a time")).to_have_text("17:30:00 GMT+5:30")


def test_a_page_that_lost_its_link_says_so_and_catches_up_by_itself(
    open_page: Any, web: WebProcess, start: Start, people: Cast
) -> None:
    page = open_page()
    _live(page)
    web.stop(signal.SIGKILL)
    expect(page.locator("#link-state")).to_have_text("Not live")
    assert page.get_attribute("body", "data-live") == "lost"
    banner = page.locator("#live-banner")
    expect(banner).to_contain_text("Live updates lost at", timeout=5 * SECONDS)
    expect(banner.get_by_role("alert")).to_have_count(1)
    say(people.acme.pk, "a=4")
    start(web.port)
    _becomes_live(page)
    expect(page.locator("#value-a")).to_have_text("4")
    expect(banner).to_be_hidden()
    expect(page.locator("#announcer")).to_have_text("Live again.")


def test_the_reader_may_ask_for_the_next_attempt_at_once(open_page: Any, web: WebProcess, start: Start) -> None:
    page = open_page()
    _live(page)
    web.stop(signal.SIGKILL)
    button = page.get_by_role("button", name="Reconnect now")
    button.wait_for(timeout=5 * SECONDS)
    page.wait_for_timeout(6 * SECONDS)  # by now the pauses are long
    start(web.port)
    button.click()
    expect(page.locator("#link-state")).to_have_text("Live", timeout=2 * SECONDS)


def test_a_link_that_went_silent_is_given_up_within_ten_seconds(open_page: Any, web: WebProcess) -> None:
    page = open_page()
    _live(page)
    web.process.send_signal(signal.SIGSTOP)  # the connection stays open, and nothing comes
    try:
        expect(page.locator("#link-state")).to_have_text("Not live", timeout=10 * SECONDS)
    finally:
        web.process.send_signal(signal.SIGCONT)
    _becomes_live(page)


def test_without_a_network_the_page_knows_at_once_and_with_one_again_too(open_page: Any) -> None:
    page = open_page()
    _live(page)
    page.context.set_offline(True)
    expect(page.locator("#link-state")).to_have_text("Not live")
    page.context.set_offline(False)
    expect(page.locator("#link-state")).to_have_text("Live")


def test_logging_out_elsewhere_takes_the_page_to_the_log_in(
    open_page: Any, web: WebProcess, browsers: dict[str, Client]
) -> None:
    page = open_page()
    _live(page)
    web.log_out(browsers["theo"])
    page.wait_for_url("**/accounts/login/**", timeout=5 * SECONDS)


def test_toasts_go_by_themselves_unless_somebody_reads_them(open_page: Any) -> None:
    page = open_page()
    page.evaluate("document.body.dispatchEvent(new CustomEvent('toast', {bubbles: true, detail: {text: 'Paused.'}}))")
    toast = page.locator("#toasts .notice")
    expect(toast).to_contain_text("Paused.")
    toast.hover()
    page.wait_for_timeout(6 * SECONDS)
    expect(toast).to_have_count(1)
    page.locator("h1").hover()
    expect(toast).to_have_count(0, timeout=7 * SECONDS)


def _becomes_live(page: Page) -> None:
    expect(page.locator("#link-state")).to_have_text("Live", timeout=15 * SECONDS)


def _order(page: Page) -> list[str]:
    return [str(row.get_attribute("id")) for row in page.locator("#test-rows tr").all()]
