"""Our side of the loopback venue's stream: one connection for all accounts of this process, opened anew whenever it falls silent."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any

import aiohttp

from signalist.clock import monotonic
from signalist.venues.errors import VenueError
from signalist.venues.loopback import parse
from signalist.venues.loopback.client import Client, Signer, written
from signalist.venues.loopback.mailboxes import Mailbox
from signalist.venues.loopback.protocol import BEAT_EVERY, JOIN, STREAM, signature
from signalist.venues.transport.budgets import Priority
from signalist.venues.transport.http import Call

SILENCE = 3 * BEAT_EVERY
AGAIN = 0.5
AT_ONCE = 500
LONGEST_LINE = 4 * 1024 * 1024


class Listening:
    """The stream, and the mailboxes of the accounts that listen to it."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._boxes: dict[str, Mailbox] = {}
        self._signers: dict[str, Signer] = {}
        self._wakes: dict[str, list[Callable[[], None]]] = {}
        self._returns: dict[str, list[Callable[[], None]]] = {}
        self._broken: set[str] = set()
        self._waiting: list[str] = []
        self._asked = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None
        self._session: aiohttp.ClientSession | None = None

    def box(self, ref: str) -> Mailbox:
        """The account's mailbox."""
        return self._boxes.setdefault(ref, Mailbox(ref))

    def join(self, signer: Signer, wake: Callable[[], None]) -> None:
        """Have `wake` called whenever the stream says something of the account, or may have missed something."""
        self._wakes.setdefault(signer.ref, []).append(wake)
        if signer.ref not in self._signers:
            self._signers[signer.ref] = signer
            self._waiting.append(signer.ref)
            self._asked.set()
        if self._reading is None:
            self._reading = asyncio.get_running_loop().create_task(self._read_for_ever())

    def returns(self, ref: str, say: Callable[[], None]) -> None:
        """Have `say` called whenever the account, on the stream before, is on it again; until nobody listens to it any more."""
        self._returns.setdefault(ref, []).append(say)

    def leave(self, ref: str, wake: Callable[[], None]) -> None:
        """Call `wake` no more. An account that nobody listens to any more is passed over, and joins anew if somebody does later."""
        self._wakes[ref].remove(wake)
        if not self._wakes[ref]:
            del self._wakes[ref], self._signers[ref]
            self._returns.pop(ref, None)
            self._broken.discard(ref)
            self.box(ref).lose()

    async def close(self) -> None:
        """Listen no more."""
        if self._reading is not None:
            self._reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reading
            self._reading = None
        if self._session is not None:
            await self._session.close()

    # --- The connection --------------------------------------------------------------------------

    async def _read_for_ever(self) -> None:
        while True:
            # Whatever ends a stream, what it may have said since is asked for, and another one is opened.
            with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError, VenueError):
                await self._read_one()
            self._lost()
            await asyncio.sleep(AGAIN)

    async def _read_one(self) -> None:
        """Read one stream to its end."""
        if self._session is None:
            self._session = aiohttp.ClientSession(read_bufsize=LONGEST_LINE)
        silence = aiohttp.ClientTimeout(total=None, sock_connect=SILENCE, sock_read=SILENCE)
        async with self._session.get(self._client.base + STREAM, timeout=silence) as response:
            name = json.loads(await response.content.readline())["stream"]
            self._waiting = list(self._signers)
            self._asked.set()
            joining = asyncio.create_task(self._join_all(name))
            try:
                left = b""
                async for part in response.content.iter_any():
                    *lines, left = (left + part).split(b"\n")
                    for line in lines:
                        if line:
                            self._heard(json.loads(line))
                    if joining.done():
                        joining.result()
            finally:
                joining.cancel()

    async def _join_all(self, name: str) -> None:
        """Add to the stream whoever waits, for as long as it lasts."""
        while True:
            await self._asked.wait()
            # Those that ask in the same turn of the loop are added together.
            await asyncio.sleep(0)
            self._asked.clear()
            waiting, self._waiting = self._waiting, []
            for start in range(0, len(waiting), AT_ONCE):
                await self._join(name, waiting[start : start + AT_ONCE])

    async def _join(self, name: str, refs: list[str]) -> None:
        accounts = []
        for ref in (ref for ref in refs if ref in self._signers):
            nonce = self._client.numbers.take(ref)
            accounts.append([ref, nonce, signature(self._signers[ref].secret, nonce, JOIN, name.encode())])
        body = written({"stream": name, "accounts": accounts})
        # NoAnswer and its kin end this stream too: who is not on it would never hear anything.
        call = Call("POST", JOIN, body, {"Content-Type": "application/json"}, Priority.READ)
        answer = await self._client.http.send(call)
        for ref in self._broken & answer.said["joined"].keys():
            self._broken.discard(ref)
            for say in self._returns.get(ref, ()):
                say()
        for ref, (length, money) in answer.said["joined"].items():
            if ref in self._signers and self.box(ref).joined(length, parse.balance(money), monotonic()):
                self._wake(ref)

    # --- What it says ----------------------------------------------------------------------------

    def _heard(self, said: dict[str, Any]) -> None:
        ref = said["ref"]
        if ref not in self._signers:
            return
        self.box(ref).take(said["from"], said["to"], said["rows"])
        self._wake(ref)

    def _lost(self) -> None:
        self._broken |= {ref for ref in self._wakes if self.box(ref).live}
        for box in self._boxes.values():
            box.lose()
        for ref in self._wakes:
            self._wake(ref)

    def _wake(self, ref: str) -> None:
        for wake in self._wakes.get(ref, ()):
            wake()
