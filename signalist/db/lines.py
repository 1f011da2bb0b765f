"""Where PostgreSQL answers, for a connection that only listens: outside Django's, because it waits for hours."""

from __future__ import annotations

from typing import Any

from django.db import connection

# A line whose other end vanished without a word is noticed within half a minute.
ALIVE: dict[str, Any] = {
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "connect_timeout": 5,
}
_WANTED = ("dbname", "user", "password", "host", "port", "service", "sslmode", "sslrootcert")


def address() -> dict[str, Any] | None:
    """What to connect with, as the present settings say; None on SQLite."""
    if connection.vendor != "postgresql":
        return None
    parameters = connection.get_connection_params()
    return {name: parameters[name] for name in _WANTED if parameters.get(name)}
