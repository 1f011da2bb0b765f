"""Ends the log-ins of somebody who is deleted, for a role that may not read them.

On PostgreSQL the job runner has no right to sessions: a session's key opens the account. It may call one function, which runs with the
owner's rights and tells nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.contrib.sessions.models import Session
from django.db import connection

from tenants.belonging import LoginSession
from tenants.roles import ENGINE

_NEEDED = {"django_session", "tenants_loginsession"}
# pg_temp last: nobody puts a table of their own before ours (PostgreSQL, "Writing SECURITY DEFINER Functions Safely").
_FUNCTION = """CREATE OR REPLACE FUNCTION tenants_forget_sessions(person bigint) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DELETE FROM django_session WHERE session_key IN (SELECT session_key FROM tenants_loginsession WHERE user_id = person);
DELETE FROM tenants_loginsession WHERE user_id = person;
$$"""


def make_function(cursor: Any, tables: Collection[str], roles: Collection[str]) -> None:
    """Make the function once its tables are there, for the engine's role alone. Safe to repeat; PostgreSQL only."""
    if not _NEEDED.issubset(tables):
        return
    cursor.execute(_FUNCTION)
    cursor.execute("REVOKE ALL ON FUNCTION tenants_forget_sessions(bigint) FROM PUBLIC")
    if ENGINE in roles:
        cursor.execute(f"GRANT EXECUTE ON FUNCTION tenants_forget_sessions(bigint) TO {ENGINE}")


def forget_sessions(user_id: int) -> None:
    """Delete every log-in of the person, with where it came from. Their sockets close when they are next asked who sits there."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT tenants_forget_sessions(%s)", [user_id])
        return
    rows = LoginSession.objects.filter(user_id=user_id)
    Session.objects.filter(session_key__in=rows.values("session_key")).delete()
    rows.delete()
