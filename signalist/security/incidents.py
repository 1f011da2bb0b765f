"""Judging log-ins, opening incidents, ending them, and what an open one holds back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django_q.tasks import async_task

from signalist.audit.writing import record
from signalist.clock import utc_now
from signalist.domain.login_risk import (
    BAN_AFTER,
    BAN_WINDOW,
    LOOK_BACK,
    Anomaly,
    Assessment,
    Attempt,
    Response,
    assess,
    ban_length,
)
from signalist.security.models import Ban, Incident, SecurityEvent
from signalist.security.visitors import Visitor, agent_words, network_of
from tenants.models import User

LOGIN, GUESSING = "LOGIN", "PASSWORD_GUESSING"
GUESSED_AT, GUESSED_WITHIN = 5, timedelta(minutes=10)
_NOTICE = "signalist.security.notices.send"
_WORDS = {
    Anomaly.NEW_LOCATION: "from a place that was not seen before",
    Anomaly.NEW_DEVICE: "with a device that was not seen before",
    Anomaly.MULTIPLE_FAILURES: "right after several failures",
}


def logged_in(user: User, visitor: Visitor, now: datetime) -> Assessment:
    """Note a log-in, judge it by those before it, and open an incident where it is too unusual."""
    before = [
        Attempt(at, status == "SUCCESS", place, device)
        for at, status, place, device in SecurityEvent.objects.filter(
            user=user, kind=LOGIN, at__gte=now - LOOK_BACK
        ).values_list("at", "status", "place", "device")
    ]
    found = assess(Attempt(now, True, visitor.place, visitor.device), before)
    why = ", ".join(_WORDS[anomaly] for anomaly in found.anomalies)
    note(user, LOGIN, "SUCCESS", visitor, now, reason=why, risk_score=found.score)
    if found.response:
        severity = "HIGH" if found.response == Response.ENTRIES_HELD else "MEDIUM"
        said = f"A log-in {why}: {agent_words(visitor.agent)}, {visitor.place or 'unknown place'}."
        open_incident(user, "SUSPICIOUS_LOGIN", severity, said, visitor, found.response, now)
    return found


def log_in_failed(user: User | None, visitor: Visitor, now: datetime, reason: str) -> None:
    """Note a failed log-in; the tenth from an address in a day keeps the address from logging in for a while; who is guessed at is
    told."""
    note(user, LOGIN, "FAILURE", visitor, now, reason=reason)
    if user is not None:
        _guessed_at(user, visitor, now)
    if not visitor.address:
        return
    with transaction.atomic():
        ban = Ban.objects.select_for_update().filter(address=visitor.network).first()
        since = now - BAN_WINDOW if ban is None else max(now - BAN_WINDOW, ban.at)
        failures = SecurityEvent.objects.filter(
            network=visitor.network, kind=LOGIN, status="FAILURE", at__gt=since
        ).count()
        if failures < BAN_AFTER:
            return
        times = 0 if ban is None else ban.times
        until = now + ban_length(times)
        Ban.objects.update_or_create(address=visitor.network, defaults={"until": until, "times": times + 1, "at": now})
        note(user, LOGIN, "BLOCKED", visitor, now, reason=f"{BAN_AFTER} failures; no log-in from here for a while")
        said = f"{BAN_AFTER} failed log-ins; the address may not log in until {until:%Y-%m-%d %H:%M} UTC."
        open_incident(user, "BRUTE_FORCE", "MEDIUM", said, visitor, Response.NONE, now)


def _guessed_at(user: User, visitor: Visitor, now: datetime) -> None:
    """Open an incident, one a day, where the account itself is guessed at, from however many addresses: quickly, or all day long."""
    if Incident.objects.filter(user=user, kind=GUESSING, at__gt=now - BAN_WINDOW).exists():
        return
    failures = SecurityEvent.objects.filter(user=user, kind=LOGIN, status="FAILURE", at__gt=now - BAN_WINDOW)
    quickly = failures.filter(at__gt=now - GUESSED_WITHIN).count() >= GUESSED_AT
    if quickly or failures.count() >= BAN_AFTER:
        said = (
            "Somebody tries passwords on your account. From a browser that you have used before you log in as always."
        )
        open_incident(user, GUESSING, "MEDIUM", said, visitor, Response.NONE, now)


def has_known(user_ids: Sequence[int], device: str, now: datetime) -> bool:
    """Whether one of these accounts was opened with this device before, within the time that is looked back."""
    return SecurityEvent.objects.filter(
        user__in=user_ids, kind=LOGIN, status="SUCCESS", device=device, at__gte=now - LOOK_BACK
    ).exists()


def banned(address: str, now: datetime) -> datetime | None:
    """Until when nobody logs in from this address; None where it may."""
    return Ban.objects.filter(address=network_of(address), until__gt=now).values_list("until", flat=True).first()


def note(
    user: User | None,
    kind: str,
    status: str,
    visitor: Visitor,
    now: datetime,
    *,
    reason: str = "",
    risk_score: int = 0,
) -> SecurityEvent:
    """Write a security event."""
    return SecurityEvent.objects.create(
        user=user,
        kind=kind,
        status=status,
        address=visitor.address,
        network=visitor.network,
        agent=visitor.agent,
        device=visitor.device,
        place=visitor.place,
        reason=reason[:200],
        risk_score=risk_score,
        at=now,
    )


def open_incident(
    user: User | None,
    kind: str,
    severity: str,
    description: str,
    visitor: Visitor,
    response: Response,
    now: datetime,
) -> Incident:
    """Open an incident, and have its person told by e-mail."""
    with transaction.atomic():
        incident = Incident.objects.create(
            user=user,
            kind=kind,
            severity=severity,
            description=description[:300],
            address=visitor.address,
            agent=visitor.agent,
            response=response.value,
            at=now,
        )
        record(
            "incident.opened",
            tenant_id=None,
            user_id=None if user is None else user.pk,
            target=str(incident.public_id),
            details={"kind": kind, "severity": severity, "response": response.value},
        )
        if user is not None:
            async_task(_NOTICE, incident.pk, ack_failure=False)  # where mail fails it is tried again
    return incident


def resolve(incident: Incident, by: User, resolution: str, now: datetime) -> bool:
    """End an incident, and with it what it held back; whether it was still open."""
    with transaction.atomic():
        ended = Incident.objects.filter(pk=incident.pk, resolved_at=None).update(
            resolved_at=now, resolved_by=by, resolution=resolution[:200]
        )
        if ended:
            record(
                "incident.resolved",
                tenant_id=None,
                user_id=by.pk,
                target=str(incident.public_id),
                details={"kind": incident.kind, "resolution": resolution},
            )
    return bool(ended)


def forget(user_id: int) -> None:
    """Let go of everything that happened at a person's doors, who is deleted; the audit log keeps its lines, of a pseudonym."""
    SecurityEvent.objects.filter(user_id=user_id).delete()
    Incident.objects.filter(user_id=user_id).delete()


def held(user: User) -> Response:
    """The strictest response of the person's open incidents."""
    found = set(
        Incident.objects.filter(~Q(response=""), user=user, resolved_at=None).values_list("response", flat=True)
    )
    return next((kind for kind in (Response.ENTRIES_HELD, Response.STEP_UP) if kind.value in found), Response.NONE)


def proven(user: User) -> None:
    """The person has given password or second factor once more: what asked for no more than that is over."""
    now = utc_now()
    asked = Incident.objects.filter(user=user, resolved_at=None, response=Response.STEP_UP.value)
    for incident in asked.order_by("pk"):
        resolve(incident, user, "confirmed by the person with password or second factor", now)
