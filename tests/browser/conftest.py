"""The running product, and browsers to look at it with."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests import templates
from tests.browser.product import Product, chromium_path
from tests.flows.commands import Databases

NO_CHROMIUM = "There is no Chromium here: install the package chromium to have the journeys run."
# A web process that is ended on purpose refuses connections; nothing else may be complained about.
EXPECTED = re.compile(r"ERR_CONNECTION_REFUSED|WebSocket connection to|ERR_INCOMPLETE_CHUNKED|ERR_EMPTY_RESPONSE")


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """The product with its demonstration, started once for all journeys."""
    if chromium_path() is None:
        pytest.skip(NO_CHROMIUM)
    folder = tmp_path_factory.mktemp("product")
    databases = Databases(settings.DATABASES["default"], folder)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    running = Product(databases.copy(templates.migrated()), folder, port)
    yield running
    running.end()
    databases.drop()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The system's Chromium. For a module: while it is there, a loop runs in this thread, and asynchronous tests could not."""
    path = chromium_path()
    if path is None:
        pytest.skip(NO_CHROMIUM)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


Opens = Callable[..., Page]


@pytest.fixture
def browse(chromium: Browser, product: Product) -> Iterator[Opens]:
    """Opens a page in a browser of its own; what the browser complains about (policy, errors) fails the test."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def opened(**options: Any) -> Page:
        context = chromium.new_context(base_url=product.address, **options)
        context.set_default_timeout(20_000)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda line: _note(line, complaints))
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def _note(line: Any, complaints: list[str]) -> None:
    if line.type in ("error", "warning") and not EXPECTED.search(line.text):
        complaints.append(f"{line.type}: {line.text} ({line.location.get('url', '')})")
