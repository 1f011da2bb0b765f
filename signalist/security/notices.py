"""Notices by e-mail about what happened at somebody's doors; run by the worker, so that nobody waits for a mail server."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings
from django.core import signing
from django.core.mail import send_mail
from django.template.loader import render_to_string
from django.urls import reverse

from signalist.clock import utc_now
from signalist.domain.login_risk import Response
from signalist.security.models import Incident
from signalist.security.visitors import agent_words

SALT, VALID = "signalist.security.incident", 72 * 3600


def send(incident_id: int) -> str:
    """Tell the person of an incident, once; what was done, in words. Raises what the mail server does, so that the job is tried again."""
    incident = Incident.objects.select_related("user").get(pk=incident_id)
    if incident.noticed_at is not None or incident.user is None:
        return "told already"
    context = {
        "incident": incident,
        "person": incident.user,
        "program": agent_words(incident.agent),
        "held": incident.response == Response.ENTRIES_HELD.value,
        "step_up": incident.response == Response.STEP_UP.value,
        "link": address_of(reverse("incident_confirm", args=[token(incident)])),
        "page": address_of(reverse("log_ins")),
    }
    subject = f"{settings.ACCOUNT_EMAIL_SUBJECT_PREFIX}{'an unusual log-in' if incident.response else 'failed log-ins'}"
    send_mail(subject, render_to_string("security/notice.txt", context), None, [incident.user.email])
    Incident.objects.filter(pk=incident.pk, noticed_at=None).update(noticed_at=utc_now())
    return "told"


def token(incident: Incident) -> str:
    """What proves, in a link, that somebody reads the person's mail."""
    return signing.dumps(str(incident.public_id), salt=SALT)


def incident_of(given: str) -> Incident | None:
    """The incident that a link is about; None where the link is forged or older than three days."""
    try:
        public_id = signing.loads(given, salt=SALT, max_age=VALID)
    except signing.BadSignature:
        return None
    return Incident.objects.select_related("user").filter(public_id=public_id).first()


def address_of(path: str) -> str:
    """A page's whole address, for a mail."""
    base = settings.SITE_ADDRESS
    return f"{urlsplit(base).scheme}://{urlsplit(base).netloc}{path}"
