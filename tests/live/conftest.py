"""A web process's live side at a quick pace, and regions to watch."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connections

from signalist.live import regions
from signalist.live.hub import Hub, use
from signalist.live.pace import Pace
from tests.cast import Cast
from tests.live.pages import Page, logged_in
from tests.live.processes import QUICK as QUICK_PROCESS
from tests.live.processes import Start, WebProcess
from tests.live.regions import NEWS, PRICES, TEMPLATES, WORDS

QUICK = Pace(
    region=0.05,
    poll=0.02,
    doubt=0.2,
    prices=0.05,
    turn=0.05,
    beat=0.1,
    silent=60,
    behind=1,
    check=60,
    again=0.05,
    retry=0.2,
)


@pytest.fixture
def words(settings: Any) -> Iterator[None]:
    """The regions of the tests, and their templates."""
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [*settings.TEMPLATES[0]["DIRS"], TEMPLATES]}]
    for region in (WORDS, NEWS, PRICES):
        regions.register(region)
    yield
    for region in (WORDS, NEWS, PRICES):
        regions.forget(region.name)


@pytest.fixture
def pace() -> Pace:
    """How fast the process goes; a module may say otherwise."""
    return QUICK


@pytest.fixture
async def process(transactional_db: None, words: None, pace: Pace) -> AsyncIterator[Hub]:
    """The live side of this process."""
    hub = use(Hub(pace))
    yield hub
    await hub.stop()
    await sync_to_async(connections.close_all)()


@pytest.fixture
def people(transactional_db: None) -> Cast:
    """The standing cast, committed."""
    from tests.cast import standing_cast

    return standing_cast()


@pytest.fixture
def browsers(people: Cast) -> dict[str, Any]:
    """Everybody's log-in, by name."""
    return {name: logged_in(getattr(people, name)) for name in ("olivia", "theo", "vera", "gus")}


@pytest.fixture
async def acme(process: Hub, browsers: dict[str, Any]) -> AsyncIterator[Page]:
    """Theo looks at what was said to Acme."""
    page = Page(browsers["theo"], "test-words")
    assert await page.open()
    await page.until(lambda seen: "test-words" in seen.regions)
    yield page
    await page.leave()


@pytest.fixture
def start(people: Cast, tmp_path: Path) -> Iterator[Start]:
    """Starts web processes; they end with the test."""
    started: list[WebProcess] = []

    def one(port: int = 0, **pace: float) -> WebProcess:
        started.append(WebProcess({**QUICK_PROCESS, **pace}, tmp_path / f"web-{len(started)}.log", port))
        return started[-1]

    yield one
    for process in started:
        process.stop(signal.SIGKILL)
