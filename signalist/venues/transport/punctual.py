"""Connections that look at the clock when they are at hand: the last moment before a request's bytes are written, or never.

A hook of the connector, because the client library's own tracing costs a tenth of each request.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiohttp

from signalist.clock import monotonic
from signalist.venues.transport import fence

if TYPE_CHECKING:
    from aiohttp.client_reqrep import ClientRequest
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace


@dataclass(slots=True)
class Writing:
    """A request on its way. `at`: the monotonic moment from which on bytes may have left; None before."""

    deadline: float | None
    at: float | None = None


class TooLate(Exception):
    """The deadline passed while the request waited for its connection."""


writing: ContextVar[Writing] = ContextVar("writing")
"""The request that this task is sending."""


class Punctual(aiohttp.TCPConnector):
    """Hands out no connection after the deadline of the request that wants it, nor behind a closed fence."""

    async def connect(  # the library's own signature
        self,
        req: ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109
    ) -> Connection:
        connection = await super().connect(req, traces, timeout)
        request, now = writing.get(), monotonic()
        if (request.deadline is not None and now > request.deadline) or fence.is_closed(now):
            connection.release()
            raise TooLate
        request.at = now
        fence.leaving()
        return connection
