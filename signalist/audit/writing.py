"""Writing to the audit log: `record`, in the transaction of the change that is recorded.

A refusal or a failed log-in changes nothing and is recorded by itself. The log links entries later (`signalist.audit.linking`), so
that writers of one tenant never wait for each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import date
from decimal import Decimal
from typing import Any

import structlog
from django.db import connection

from signalist.audit.models import Entry, Subject
from signalist.audit.origin import current
from signalist.audit.sealing import canonical, seal
from signalist.audit.words import NAME, keep
from signalist.clock import utc_now

_COLUMNS = "tenant_id at action subject target result details session correlation_id origin".split()
_PLACES = ", ".join(["%s"] * len(_COLUMNS))


class _Doors:
    """What opens a door to the log where none is open; the tenants have it asked of them when they come up."""

    to: Callable[[int | None], AbstractContextManager[None]] = staticmethod(lambda tenant_id: nullcontext())


def opens_doors(to: Callable[[int | None], AbstractContextManager[None]]) -> None:
    """Have `to` called around each entry: it opens the door of the entry's tenant where none is open, and refuses another's."""
    _Doors.to = staticmethod(to)


def record(
    action: str,
    *,
    tenant_id: int | None,
    user_id: int | None,
    target: str = "",
    result: str = "done",
    details: Mapping[str, object] | None = None,
    words: str = "",
) -> None:
    """Append what was done to the log. Two or three statements, whatever else the caller does.

    action: a dotted name, `area.verb`. target: what it was done to, by public id. result: done, refused, failed. details: plain
    values that name no person and hold no secret; exact numbers and times are written as texts. words: what the person typed, which may
    name people and is kept apart (`signalist.audit.words`).
    """
    origin = current()
    whence = {"address": origin.address, "agent": origin.agent}
    with _Doors.to(tenant_id):
        subject = None if user_id is None else subject_of(user_id)
        told = dict(details or {}) | ({NAME: keep(words, tenant_id)} if words else {})
        values = (
            tenant_id,
            utc_now(),
            action[:60],
            None if subject is None else subject.pseudonym,
            _text(target)[:200],
            result[:20],
            canonical(_plain(told)),
            origin.session(),
            origin.correlation_id or str(structlog.contextvars.get_contextvars().get("correlation_id", ""))[:64],
            canonical(whence) if subject is None else seal(whence, bytes(subject.key), str(subject.pseudonym)),
        )
        _insert(values)


def subject_of(user_id: int) -> Subject:
    """The key row of a person, made at their first entry."""
    found = Subject.objects.filter(user_id=user_id).first()
    if found is None:
        Subject.objects.bulk_create([Subject(user_id=user_id)], ignore_conflicts=True)
        found = Subject.objects.get(user_id=user_id)
    return found


def erase(user_id: int) -> bool:
    """Forget who a pseudonym is, and with the key where they came from; whether anything was there. No entry changes by it."""
    return bool(Subject.objects.filter(user_id=user_id).delete()[0])


def _insert(values: tuple[Any, ...]) -> None:
    # Past the ORM, which has the new row told back: who may append may not always read.
    fields = {field.attname: field for field in Entry._meta.concrete_fields}
    prepared = [fields[name].get_db_prep_save(value, connection) for name, value in zip(_COLUMNS, values, strict=True)]
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {Entry._meta.db_table} ({', '.join(_COLUMNS)}) VALUES ({_PLACES})", prepared)


def _plain(value: object) -> object:
    """`value` as what JSON says the same way everywhere."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, Mapping):
        return {_text(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, set | frozenset):
        return sorted(_text(inner) for inner in value)
    if isinstance(value, Decimal):
        return f"{value:f}"
    return value.isoformat() if isinstance(value, date) else _text(value)


def _text(value: object) -> str:
    return str(value).replace("\x00", "")
