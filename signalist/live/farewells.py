"""Says in the event log that a session has ended, so that every web process closes the sockets that it let in."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from tenants.models import User
from tenants.security.endings import SESSION_ENDED, say_farewell

__all__ = ["SESSION_ENDED", "session_ends"]


def session_ends(sender: object, request: HttpRequest | None, user: User | None, **kwargs: Any) -> None:
    """Receiver of `user_logged_out`, which comes while the session still has its key."""
    session = getattr(request, "session", None)
    key = getattr(session, "session_key", None)
    if not key or user is None:
        return
    say_farewell(user.pk, [key])
