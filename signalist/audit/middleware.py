"""Notes where each request comes from, and gives it the correlation id that its log lines, audit rows and answer carry."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import structlog
from django.http import HttpRequest, HttpResponse

from signalist.audit.origin import AGENT_LENGTH, Origin, client_address, coming_from, session_digest


class OriginMiddleware:
    """Sets the origin of everything that is recorded while the request is answered. The id is ours: a client's own is not trusted."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._next = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        origin = Origin(
            address=client_address(request),
            agent=request.headers.get("User-Agent", "")[:AGENT_LENGTH],
            correlation_id=str(uuid.uuid4()),  # with hyphens: what is long without them is taken for a key
            session=lambda: session_digest(getattr(getattr(request, "session", None), "session_key", None)),
        )
        with coming_from(origin), structlog.contextvars.bound_contextvars(correlation_id=origin.correlation_id):
            response = self._next(request)
        response.headers["X-Request-ID"] = origin.correlation_id
        return response
