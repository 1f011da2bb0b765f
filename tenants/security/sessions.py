"""Keeps the list of log-ins: one row each, made when somebody logs in, touched once a minute, gone with the session."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib.sessions.models import Session
from django.http import HttpRequest

from signalist.audit.origin import AGENT_LENGTH, client_address
from signalist.clock import utc_now
from tenants.belonging import LoginSession
from tenants.models import User
from tenants.security.devices import device
from tenants.security.endings import SEEN, end_sessions, session_hash

TOUCHED_EVERY = 60.0


@dataclass(frozen=True, slots=True)
class Standing:
    """A log-in as its owner sees it. `digest` names it on pages."""

    digest: str
    device: str
    address: str
    started_at: datetime
    seen_at: datetime
    is_this: bool


def began(sender: object, request: HttpRequest, user: User, **kwargs: Any) -> None:
    """Receiver of `user_logged_in`: note the session, and make room where the person has too many."""
    session = request.session
    if not session.session_key:
        session.save()
    _forget_what_is_over(user.pk)
    note(request, user)
    standing = list(LoginSession.objects.filter(user=user).order_by("-seen_at", "-pk").values_list("digest", flat=True))
    if too_many := standing[settings.MAX_SESSIONS :]:
        end_sessions(user.pk, but=session.session_key, only=too_many, why="too_many", by=user.pk)


def over(sender: object, request: HttpRequest | None, user: User | None, **kwargs: Any) -> None:
    """Receiver of `user_logged_out`, which comes while the session still has its key."""
    key = getattr(getattr(request, "session", None), "session_key", None)
    if key:
        LoginSession.objects.filter(session_key=key).delete()


def renewed(sender: object, request: HttpRequest, user: User, **kwargs: Any) -> None:
    """Receiver of allauth's signals of a new password: nobody stays in who came in with the old one."""
    key = request.session.session_key if request.user == user else None
    if key:
        note(request, user)
    end_sessions(user.pk, but=key, why="password_changed", by=user.pk)


def note(request: HttpRequest, user: User) -> None:
    """Write that the session lives, under the key that it has now."""
    key, now = request.session.session_key or "", utc_now()
    seen: dict[str, Any] = request.session.get(SEEN) or {}
    whence = {
        "session_key": key,
        "digest": session_hash(key),
        "seen_at": now,
        "address": client_address(request),
        "agent": request.META.get("HTTP_USER_AGENT", "")[:AGENT_LENGTH],
    }
    if not LoginSession.objects.filter(pk=seen.get("row", 0), user=user).update(**whence):
        # An old session, from before the list was kept, or one whose row is gone while it lives.
        row, _ = LoginSession.objects.update_or_create(session_key=key, defaults=whence | {"user": user})
        seen = {"row": row.pk}
    request.session[SEEN] = {"row": seen["row"], "at": now.timestamp(), "digest": session_hash(key)}


def needs_a_note(request: HttpRequest) -> bool:
    """Whether the row is a minute old or knows another key; nothing is asked of the database for it."""
    seen = request.session.get(SEEN)
    if not seen or utc_now().timestamp() - seen["at"] > TOUCHED_EVERY:
        return True
    return bool(seen["digest"] != session_hash(request.session.session_key or ""))


def standing_of(user: User, key: str | None) -> list[Standing]:
    """The log-ins of `user` that stand, this one (with session key `key`) first, then by when they were seen. Two queries."""
    rows = list(LoginSession.objects.filter(user=user).order_by("-seen_at", "-pk"))
    alive = _alive([row.session_key for row in rows])
    found = [
        Standing(r.digest, device(r.agent), r.address, r.started_at, r.seen_at, r.session_key == key)
        for r in rows
        if r.session_key in alive
    ]
    return sorted(found, key=lambda each: not each.is_this)


def _forget_what_is_over(user_id: int) -> None:
    keys = list(LoginSession.objects.filter(user_id=user_id).values_list("session_key", flat=True))
    if gone := set(keys) - _alive(keys):
        LoginSession.objects.filter(session_key__in=gone).delete()


def _alive(keys: list[str]) -> set[str]:
    found = Session.objects.filter(session_key__in=keys, expire_date__gt=utc_now())
    return set(found.values_list("session_key", flat=True))
