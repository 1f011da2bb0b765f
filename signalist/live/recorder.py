"""Puts on record which client listens to what: a row when its socket opens, one write when it asks for something else, one when it ends.

Nobody at a socket waits for it, and nothing that is sent is counted. What a client changes within `PAUSE` seconds is written once. A write
that fails is logged and left: the record is for people, and no socket depends on it.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Callable, Collection, Mapping
from typing import Any

from django.db.models import F
from django.http import HttpRequest

from signalist.audit.origin import AGENT_LENGTH, client_address, session_digest
from signalist.clock import utc_now
from signalist.live.sockets import Socket
from signalist.live.threads import Threads
from signalist.logs import logger
from signalist.markets.stream_models import StreamSession
from tenants.doors import acting_for

log = logger(__name__)

PAUSE = 2.0
_CLIENT = re.compile(r"[A-Za-z0-9_-]{1,40}")


class Recorder:
    """The records of one web process, written in its own thread in the order in which things happened."""

    def __init__(self) -> None:
        self._threads = Threads("live-record", 1)
        self._keys: dict[Socket, uuid.UUID] = {}
        self._wanted: dict[Socket, dict[str, Any]] = {}
        self._timers: dict[Socket, asyncio.TimerHandle] = {}
        self._writing: set[asyncio.Task[None]] = set()

    def opened(self, socket: Socket, scope: Mapping[str, Any], client: str, instruments: Collection[int]) -> None:
        """A client has connected, and listens to this."""
        seat, key = socket.seat, uuid.uuid4()
        self._keys[socket] = key
        wanted = self._wanted[socket] = _wanted(socket.regions, instruments)
        row = StreamSession(
            public_id=key,
            tenant_id=seat.tenant_id,
            user_id=seat.user_id,
            client=client if _CLIENT.fullmatch(client) else key.hex,
            login=session_digest(seat.session_key),
            opened_at=utc_now(),
            **wanted,
            **_whence(scope),
        )
        self._write(seat.tenant_id, row.save)

    def changed(self, socket: Socket, regions: Collection[str], instruments: Collection[int]) -> None:
        """The client listens to this now; written where that is something else than before."""
        wanted = _wanted(regions, instruments)
        if socket not in self._keys or wanted == self._wanted[socket]:
            return
        self._wanted[socket] = wanted
        if socket not in self._timers:
            self._timers[socket] = asyncio.get_running_loop().call_later(PAUSE, self._put, socket)

    def ended(self, socket: Socket) -> None:
        """The socket is closed, by us where it names a code."""
        if socket not in self._keys:
            return
        if (timer := self._timers.get(socket)) is not None:
            timer.cancel()
            self._put(socket)
        self._wanted.pop(socket)
        code = socket.closing.result() if socket.closing.done() and not socket.closing.cancelled() else None
        self._update(socket, ended_at=utc_now(), ended_with=code)
        self._keys.pop(socket)

    async def stop(self) -> None:
        """Write what is left."""
        for socket in list(self._timers):
            self._timers[socket].cancel()
            self._put(socket)
        await asyncio.gather(*self._writing, return_exceptions=True)
        await asyncio.to_thread(self._threads.close)

    def _put(self, socket: Socket) -> None:
        self._timers.pop(socket, None)
        self._update(socket, changes=F("changes") + 1, changed_at=utc_now(), **self._wanted[socket])

    def _update(self, socket: Socket, **values: Any) -> None:
        key = self._keys[socket]
        self._write(socket.seat.tenant_id, lambda: StreamSession.objects.filter(public_id=key).update(**values))

    def _write(self, tenant_id: int, work: Callable[[], object]) -> None:
        task = asyncio.get_running_loop().create_task(self._written(tenant_id, work))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _written(self, tenant_id: int, work: Callable[[], object]) -> None:
        def whole() -> None:
            with acting_for(tenant_id):
                work()

        try:
            await self._threads.run(whole)
        except Exception as error:  # noqa: BLE001 whatever it was, the client is served all the same
            log.warning("stream_not_recorded", error=f"{type(error).__name__}: {error}")


def _wanted(regions: Collection[str], instruments: Collection[int]) -> dict[str, Any]:
    return {"regions": sorted({name[:40] for name in regions}), "instruments": sorted(set(instruments))}


def _whence(scope: Mapping[str, Any]) -> dict[str, str]:
    """The client's address and program. Of its other headers nothing is kept: they carry its log-in."""
    found = {name: value.decode("latin-1") for name, value in scope.get("headers", ())}
    request = HttpRequest()
    request.META = {
        "REMOTE_ADDR": (scope.get("client") or ("",))[0],
        "HTTP_X_FORWARDED_FOR": found.get(b"x-forwarded-for", ""),
    }
    return {"address": client_address(request), "agent": found.get(b"user-agent", "")[:AGENT_LENGTH]}
