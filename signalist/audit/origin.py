"""Where a change comes from: the address, the program and the session of the request that is being answered.

A context variable, set by `signalist.audit.middleware`; outside a request it is empty, and what is recorded there has no address.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest

AGENT_LENGTH = 300


def _no_session() -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Origin:
    """`session` is asked when something is recorded, because a log-in changes the session's key on the way."""

    address: str = ""
    agent: str = ""
    correlation_id: str = ""
    session: Callable[[], str] = _no_session


NOWHERE = Origin()
_origin: ContextVar[Origin] = ContextVar("origin", default=NOWHERE)


def current() -> Origin:
    """Where the present work comes from; an empty origin outside requests."""
    return _origin.get()


@contextmanager
def coming_from(origin: Origin) -> Iterator[None]:
    """Everything recorded inside comes from `origin`."""
    token = _origin.set(origin)
    try:
        yield
    finally:
        _origin.reset(token)


def client_address(request: HttpRequest) -> str:
    """The address that a request comes from, in its shortest spelling; "" where there is none.

    Each of the proxies that we trust (`ALLAUTH_TRUSTED_PROXY_COUNT`) has added the address that it saw to X-Forwarded-For, so the
    client's is that many from the end; what stands before it anybody may have written.
    """
    proxies: int = settings.ALLAUTH_TRUSTED_PROXY_COUNT
    said = str(request.META.get("REMOTE_ADDR") or "")
    if proxies:
        hops = [hop.strip() for hop in str(request.META.get("HTTP_X_FORWARDED_FOR", "")).split(",") if hop.strip()]
        said = hops[-proxies] if len(hops) >= proxies else said
    try:
        address = ipaddress.ip_address(said)
    except ValueError:
        return ""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def session_digest(key: str | None) -> str:
    """What stands for a session in the log: it tells sessions apart and opens none."""
    return hashlib.sha256(key.encode()).hexdigest()[:16] if key else ""
