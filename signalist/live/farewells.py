"""Says in the event log that a session has ended, so that every web process closes the sockets that it let in."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.http import HttpRequest

from signalist.clock import utc_now
from signalist.events.outbox import Fact, emit
from signalist.live.access import session_hash
from tenants.doors import acting_for, current
from tenants.models import User
from tenants.selectors import memberships_of

SESSION_ENDED = "session_ended"


def session_ends(sender: object, request: HttpRequest | None, user: User | None, **kwargs: Any) -> None:
    """Receiver of `user_logged_out`, which comes while the session still has its key."""
    session = getattr(request, "session", None)
    key = getattr(session, "session_key", None)
    if not key or user is None:
        return
    tenant_id = _tenant_of(user)
    if tenant_id is None:
        return  # nobody's member, so no socket was opened
    with acting_for(tenant_id), transaction.atomic():
        emit([Fact(SESSION_ENDED, tenant_id, utc_now(), {"session": session_hash(key)})])


def _tenant_of(user: User) -> int | None:
    """A tenant in whose part of the log the word may stand: every tail reads all of them."""
    door = current()
    if door is not None and door.tenant_id is not None:
        return door.tenant_id
    found = memberships_of(user.pk)
    return found[0].tenant_id if found else None
