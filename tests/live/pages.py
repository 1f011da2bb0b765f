"""A page's socket as a browser opens it, without a browser or a server: the whole application behind the socket is the real one."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar
from urllib.parse import urlencode

from channels.testing import WebsocketCommunicator
from django.conf import settings
from django.db import connections
from django.test import Client

from tenants.models import User

P = ParamSpec("P")
R = TypeVar("R")

HOST = "localhost:8000"
PATIENCE = 5.0


def logged_in(user: User) -> Client:
    """A browser with the user's log-in."""
    browser = Client(headers={"host": HOST})
    browser.force_login(user)
    return browser


def session_of(browser: Client) -> str:
    """The key of its session."""
    return str(browser.cookies[settings.SESSION_COOKIE_NAME].value)


async def elsewhere(work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run work on the database as another process would: in a thread, on a connection that is closed behind it."""

    def whole() -> R:
        try:
            return work(*args, **kwargs)
        finally:
            connections.close_all()

    return await asyncio.to_thread(whole)


async def eventually(met: Callable[[], Any], seconds: float = 5.0) -> None:
    """Wait until `met`; fails after `seconds`."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not met():
        assert asyncio.get_running_loop().time() < deadline, f"not met in {seconds} s"
        await asyncio.sleep(0.01)


class Page:
    """One socket. `regions` holds the newest look at each region by the element's id, `looks` all that came, in order."""

    def __init__(
        self, browser: Client | None, *regions: str, origin: str | None = f"http://{HOST}", **query: Any
    ) -> None:
        asked = urlencode({"regions": ",".join(regions), **query})
        headers = [(b"host", HOST.encode())]
        if origin is not None:
            headers.append((b"origin", origin.encode()))
        if browser is not None:
            headers.append((b"cookie", f"{settings.SESSION_COOKIE_NAME}={session_of(browser)}".encode()))
        from signalist.asgi import application

        self._wire = WebsocketCommunicator(application, f"/live/?{asked}", headers)
        self.regions: dict[str, str] = {}
        self.looks: list[str] = []
        self.words: list[dict[str, Any]] = []
        self.cursor = ""
        self.closed_with: int | None = None

    async def open(self) -> bool:
        """Whether it was let in."""
        accepted, code = await self._wire.connect(timeout=PATIENCE)
        if not accepted:
            self.closed_with = code
        return accepted

    async def until(self, met: Callable[[Page], Any], seconds: float = PATIENCE) -> None:
        """Take what comes until `met`; fails after `seconds`."""
        deadline = time.monotonic() + seconds
        while not met(self):
            left = deadline - time.monotonic()
            assert left > 0, f"not met in {seconds} s; regions {self.regions}, words {self.words}, {self.closed_with}"
            await self._take(left)

    async def stays(self, met: Callable[[Page], Any], seconds: float = 0.4) -> bool:
        """Whether `met` holds all the time for so many seconds."""
        deadline = time.monotonic() + seconds
        while met(self) and time.monotonic() < deadline:
            await self._take(max(deadline - time.monotonic(), 0.01))
        return bool(met(self))

    async def says(self, **word: Any) -> None:
        """Tell the server a word."""
        await self._wire.send_to(text_data=json.dumps(word))

    async def leave(self) -> None:
        """The page is closed."""
        if self.closed_with is None:
            await self._wire.disconnect(timeout=PATIENCE)

    def shows(self, region: str) -> str | None:
        """The text of a region's one element."""
        html = self.regions.get(region)
        return None if html is None else html.partition(">")[2].rpartition("<")[0]

    async def _take(self, seconds: float) -> None:
        # Not through the communicator, whose time-out ends the application.
        try:
            message = await asyncio.wait_for(self._wire.output_queue.get(), seconds)
        except TimeoutError:
            return
        if message["type"] == "websocket.close":
            self.closed_with = message["code"]
            await self._wire.send_input({"type": "websocket.disconnect", "code": message["code"]})
        elif message["text"].startswith("{"):
            word = json.loads(message["text"])
            self.words.append(word)
            self.cursor = word.get("cursor", self.cursor)
        else:
            name = message["text"].partition('id="')[2].partition('"')[0]
            self.regions[name] = message["text"]
            self.looks.append(message["text"])


def shows(region: str, text: str) -> Callable[[Page], bool]:
    """For `until`: the region shows this text."""
    return lambda page: page.shows(region) == text


def heard(kind: str) -> Callable[[Page], bool]:
    """For `until`: this word came."""
    return lambda page: any(word["live"] == kind for word in page.words)
