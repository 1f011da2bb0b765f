"""What people do on the pages, step by step."""

from __future__ import annotations

import secrets

from playwright.sync_api import Page, expect

from signalist.engine.demo_cast import DEMO, PASSWORD, STAFF

LONG_PASSWORD = "correct horse battery staple"


def sign_up(page: Page) -> str:
    """Open a workspace; the newcomer's address."""
    address = f"nell-{secrets.token_hex(4)}@example.com"
    page.goto("/")
    page.get_by_role("link", name="Start on paper").first.click()
    page.get_by_label("Email").fill(address)
    page.get_by_label("Password").fill(LONG_PASSWORD)
    page.get_by_role("button", name="Open the workspace").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Dashboard")
    return address


def log_in(page: Page, email: str = DEMO.email, password: str = PASSWORD) -> None:
    """Log in through the form."""
    page.goto("/accounts/login/")
    page.locator("[name=login]").fill(email)
    page.locator("[name=password]").fill(password)
    page.get_by_role("button", name="Log in", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Dashboard")


def log_in_as_staff(page: Page) -> None:
    """Log in as staff, and begin staff's powers."""
    log_in(page, STAFF.email)
    page.goto("/staff/powers/")
    page.locator("[name=password]").fill(PASSWORD)
    page.get_by_role("button", name="Go on").click()
    page.get_by_label("What for?").fill("a look around")
    page.get_by_role("button", name="Begin").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("People")


def subscribe(page: Page, strategy: str = "Metronome", capital: str = "10000") -> None:
    """From the marketplace to a confirmed subscription."""
    page.goto("/marketplace/")
    page.get_by_role("link", name=strategy, exact=True).first.click()
    page.get_by_role("link", name="Subscribe").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Subscribe to {strategy}")
    page.locator("[name=capital]").fill(capital)
    page.locator("[name=risk]").fill("1")
    page.locator("[name=consent]").check()
    page.get_by_role("button", name="Confirm the subscription").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(strategy)
