"""How a session ends: its rows are deleted, and the event log says so, by which every web process closes the sockets that it let in."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import transaction
from django.utils.crypto import salted_hmac

from signalist.audit.writing import record
from signalist.clock import utc_now
from signalist.events.outbox import Fact, emit
from tenants.belonging import LoginSession
from tenants.doors import acting_for, current
from tenants.selectors import memberships_of

SESSION_ENDED = "session_ended"
SEEN = "seen"


def session_hash(session_key: str) -> str:
    """What stands for a session in the log and on pages, from which nobody learns its key."""
    return salted_hmac("signalist.live.session", session_key, algorithm="sha256").hexdigest()


def is_idle(session: Mapping[str, Any]) -> bool:
    """Whether nobody has asked for a page with this session for too long."""
    seen = session.get(SEEN) or {}
    return bool(seen) and utc_now().timestamp() - seen["at"] > settings.SESSION_IDLE_MINUTES * 60


def end_sessions(user_id: int, *, but: str | None = None, only: Collection[str] = (), why: str, by: int | None) -> int:
    """End the log-ins of a user: all, or `only` those with these digests, `but` the one with this key; how many that were.

    `why` in a word (`terminated`, `too_many`, `password_changed`, `suspended`), `by` the user who did it.
    """
    rows = LoginSession.objects.filter(user_id=user_id).exclude(session_key=but or "")
    keys = list((rows.filter(digest__in=only) if only else rows).values_list("session_key", flat=True))
    if not keys:
        return 0
    with transaction.atomic():
        Session.objects.filter(session_key__in=keys).delete()
        LoginSession.objects.filter(session_key__in=keys).delete()
        tenant_id = say_farewell(user_id, keys)
        if tenant_id is not None:
            with acting_for(tenant_id):
                record("session.ended", tenant_id=tenant_id, user_id=by, details={"why": why, "sessions": len(keys)})
    return len(keys)


def say_farewell(user_id: int, keys: Sequence[str]) -> int | None:
    """Write into the log that these sessions have ended; in whose part that stands. None: nobody's member, so no socket was opened."""
    tenant_id = _tenant_of(user_id)
    if tenant_id is not None:
        with acting_for(tenant_id), transaction.atomic():
            emit([Fact(SESSION_ENDED, tenant_id, utc_now(), {"session": session_hash(key)}) for key in keys])
    return tenant_id


def _tenant_of(user_id: int) -> int | None:
    """A tenant in whose part of the log the word may stand: every tail reads all of them."""
    door = current()
    if door is not None and door.tenant_id is not None:
        return door.tenant_id
    found = memberships_of(user_id)
    return found[0].tenant_id if found else None
