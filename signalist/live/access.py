"""Who may sit at a socket: a member of a tenant, with a session that stands. Asked at the door and again while they stay.

Whole functions for a thread of their own: they read sessions, users and memberships.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.models import Session
from django.utils.crypto import constant_time_compare

from signalist.clock import utc_now
from signalist.live.sockets import Seat
from tenants.doors import viewing
from tenants.models import Membership, User
from tenants.security.endings import is_idle, session_hash
from tenants.selectors import memberships_of


def seat_for(user_id: int, session_key: str, session: Mapping[str, Any], tenant: str | None) -> Seat | None:
    """The seat of a logged-in user in the tenant that the page is about (its public id), or else that the session is in.

    None where they are no active member.
    """
    wanted = tenant or session.get("tenant")
    found = memberships_of(user_id)
    chosen = [m for m in found if str(m.tenant.public_id) == wanted]
    if not chosen and tenant is None:
        chosen = found[:1]
    return Seat(user_id, chosen[0].tenant_id, session_key, session_hash(session_key)) if chosen else None


def standing(seats: Iterable[Seat]) -> set[Seat]:
    """Those of `seats` that may stay: the session lives and is this user's, the user and the membership are active."""
    seats = set(seats)
    users = User.objects.filter(is_active=True).in_bulk({seat.user_id for seat in seats})
    sessions = _sessions({seat.session_key for seat in seats})
    members: dict[int, set[int]] = {}
    by_tenant: defaultdict[int, set[int]] = defaultdict(set)
    for seat in seats:
        by_tenant[seat.tenant_id].add(seat.user_id)
    for tenant_id, user_ids in by_tenant.items():
        with viewing(tenant_id):
            members[tenant_id] = set(
                Membership.objects.filter(user_id__in=user_ids, is_active=True).values_list("user_id", flat=True)
            )
    return {
        seat
        for seat in seats
        if seat.user_id in users
        and seat.user_id in members[seat.tenant_id]
        and _is_of(sessions.get(seat.session_key, {}), users[seat.user_id])
    }


def _sessions(keys: set[str]) -> dict[str, Mapping[str, Any]]:
    """The sessions that have not ended or expired, by key."""
    rows = Session.objects.filter(session_key__in=keys, expire_date__gt=utc_now())
    return {row.session_key: row.get_decoded() for row in rows}


def _is_of(session: Mapping[str, Any], user: User) -> bool:
    """Whether the session is a log-in of this user with the password that they have now."""
    if (
        session.get(SESSION_KEY) != str(user.pk)
        or is_idle(session)
        or session.get(BACKEND_SESSION_KEY) not in settings.AUTHENTICATION_BACKENDS
    ):
        return False
    hashes: list[Callable[[], Any]] = [user.get_session_auth_hash]
    proof = session.get(HASH_SESSION_KEY, "")
    return any(constant_time_compare(proof, made()) for made in hashes) or any(
        constant_time_compare(proof, old) for old in user.get_session_auth_fallback_hash()
    )
