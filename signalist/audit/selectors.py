"""Reads of the log for pages: entries as lines, with who and from where as far as their key rows still tell."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from signalist.audit.models import Entry, Link, Subject
from signalist.audit.sealing import opened
from signalist.audit.words import NAME, told

AREAS = {
    "": "Everything",
    "login": "Log-ins and log-outs",
    "session": "Password given once more",
    "account": "Password and e-mail",
    "command": "Orders and commands by hand",
    "subscription": "Subscriptions",
    "kill_switch": "Kill switch",
    "difference": "Answers to differences",
    "credential": "Credentials",
    "api_key": "API keys",
    "member": "Members and roles",
    "invitation": "Invitations",
    "grant": "What was shared with single members",
    "workspace": "The workspace",
    "privacy": "Own data",
    "staff": "Staff of the platform",
    "user": "People, by staff",
    "job": "Background jobs, by staff",
    "access": "What was refused",
    "limit": "Too many requests",
    "incident": "Incidents",
    "audit": "Reading of this log",
}
RESULTS = {"": "Any result", "done": "Done", "refused": "Refused", "failed": "Failed"}


@dataclass(frozen=True, slots=True)
class Line:
    """An entry, ready to show. `user_id` None where nobody is named or the person was erased, which `erased` tells apart."""

    number: int | None
    at: datetime
    action: str
    result: str
    target: str
    details: dict[str, Any]
    user_id: int | None
    erased: bool
    address: str
    agent: str
    session: str
    correlation_id: str

    @property
    def facts(self) -> str:
        """The details in one line."""
        return ", ".join(f"{name}: {value}" for name, value in self.details.items() if value not in ("", None, {}, []))


def entries(
    area: str = "", result: str = "", user_id: int | None = None, since: datetime | None = None
) -> QuerySet[Entry]:
    """Entries behind the open door, newest first. `user_id`: only that person's."""
    rows = Entry.objects.order_by("-id")
    if area:
        rows = rows.filter(action__startswith=f"{area}.")
    if result:
        rows = rows.filter(result=result)
    if since is not None:
        rows = rows.filter(at__gte=since)
    if user_id is not None:
        subject = Subject.objects.filter(user_id=user_id).values_list("pseudonym", flat=True).first()
        rows = rows.none() if subject is None else rows.filter(subject=subject)
    return rows


def lines(rows: Sequence[Entry]) -> list[Line]:
    """`rows` as lines: two queries, however many they are, and one more where something was typed."""
    numbers = dict(Link.objects.filter(entry_id__in=[row.pk for row in rows]).values_list("entry_id", "number"))
    pseudonyms = {row.subject for row in rows if row.subject is not None}
    people = {subject.pseudonym: subject for subject in Subject.objects.filter(pseudonym__in=pseudonyms)}
    found = [_line(row, numbers.get(row.pk), people.get(row.subject) if row.subject else None) for row in rows]
    typed = told([line.details[NAME] for line in found if NAME in line.details])
    return [
        replace(line, details=line.details | {NAME: typed.get(line.details[NAME], "")})
        if NAME in line.details
        else line
        for line in found
    ]


def _line(row: Entry, number: int | None, subject: Subject | None) -> Line:
    if subject is not None:
        whence = opened(row.origin, bytes(subject.key), str(subject.pseudonym))
    else:
        whence = {} if row.subject is not None else json.loads(row.origin)
    return Line(
        number=number,
        at=row.at,
        action=row.action,
        result=row.result,
        target=row.target,
        details=json.loads(row.details),
        user_id=None if subject is None else subject.user_id,
        erased=row.subject is not None and subject is None,
        address=whence.get("address", ""),
        agent=whence.get("agent", ""),
        session=row.session,
        correlation_id=row.correlation_id,
    )
