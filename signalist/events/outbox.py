"""Writing events: always inside the transaction of the change they report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from signalist.db import here
from signalist.db.columns import on_postgresql
from signalist.db.fast import Insert, new, write_together
from signalist.db.scope import tenant_behind_the_door
from signalist.events.models import Event

CHANNEL = "signalist_events"
HIGH = "HIGH"
"""The `severity` in the payload of what somebody must know soon."""


@dataclass(frozen=True, slots=True)
class Fact:
    """What happened, to whom, when (market time). The payload holds plain JSON values; numbers that are exact go as strings."""

    kind: str
    tenant_id: int | None
    at: datetime
    payload: dict[str, Any]


def emit(facts: Sequence[Fact]) -> None:
    """Append `facts` to the log. Raises RuntimeError outside a transaction: an event without its change must never exist."""
    if facts and not here.connection().in_atomic_block:
        raise RuntimeError("Events are written inside the transaction of the change they report.")
    write_together(prepared(facts))


def prepared(facts: Sequence[Fact]) -> Insert:
    """`facts` as rows to insert, for `write_together` with the change that they report."""
    tenant = tenant_behind_the_door()
    if tenant is not None and any(fact.tenant_id != tenant for fact in facts):
        raise RuntimeError("Behind the door of one tenant only its own events are written.")
    # The database folds the notifications of a transaction into one, sent at its commit.
    notify = f"RETURNING pg_notify('{CHANNEL}', '')" if on_postgresql() else ""
    return Insert([_row(fact) for fact in facts], notify)


def _row(fact: Fact) -> Event:
    said = fact.payload
    is_alarm = said.get("severity") == HIGH
    return new(Event, tenant_id=fact.tenant_id, kind=fact.kind, payload=said, at=fact.at, is_alarm=is_alarm)
