"""Mails alarms to those who may stop the trading that they are about: a job of every minute, because mail is slow and may fail."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta

from django.conf import settings
from django.core.cache import cache
from django.core.mail import send_mail
from django.template.loader import render_to_string

from signalist.clock import utc_now
from signalist.events.models import Event
from signalist.logs import logger
from signalist.trading.alarms import Alarm, worded
from tenants.doors import across_tenants
from tenants.models import Membership
from tenants.permissions import PERMISSIONS

log = logger(__name__)

PURPOSE = "mails of alarms"
LATELY = timedelta(hours=1)
"""What is older is on pages; a mail about it would come too late to act on."""
MOST_READ, MOST_NAMED = 500, 20
"""Alarms that are looked at in one run, and that one mail names."""
ALONE_FOR, REMEMBERED = 50, 2 * 3600
"""Seconds: a run that is handed out twice goes once; and for how long it is known who was told of what."""


def mail_alarms() -> str:
    """Tell everybody who may stop the trading of a workspace of its alarms, each person once of each, in one mail for all that is new; in
    words, what was done. Who could not be told is told by the next run. A number of statements that does not grow with the alarms."""
    with across_tenants(PURPOSE, one_transaction=True):
        rows = Event.objects.filter(is_alarm=True, tenant_id__isnull=False, at__gt=utc_now() - LATELY)
        found = worded(list(rows.order_by("-pk")[:MOST_READ]))
        people = _people({alarm.tenant for alarm in found})
    if not people:
        return "nobody is to be told of anything"
    if not cache.add("alarms-are-mailed", True, ALONE_FOR):
        return "another run does it"
    told = failed = 0
    for (key, email), names in people.items():
        done = _tell(key, email, [alarm for alarm in found if alarm.tenant in names], names)
        told, failed = told + (done is True), failed + (done is False)
    return f"told: {told} people" + (f"; {failed} could not be" if failed else "")


def _people(tenant_ids: set[int]) -> dict[tuple[int, str], dict[int, str]]:
    """By person, with the address, the names of these workspaces whose trading they may stop, by id. One query, none without any."""
    people: dict[tuple[int, str], dict[int, str]] = defaultdict(dict)
    if tenant_ids:
        members = Membership.objects.filter(
            tenant__in=tenant_ids, role__in=PERMISSIONS["trading.stop"].roles, is_active=True, user__is_active=True
        )
        rows = members.order_by("user_id", "tenant_id").values_list(
            "user_id", "user__email", "tenant_id", "tenant__name"
        )
        for user, email, tenant, name in rows:
            people[user, email][tenant] = name
    return people


def _tell(key: int, email: str, alarms: Sequence[Alarm], names: dict[int, str]) -> bool | None:
    """Whether a person could be told of those of these alarms that are news to them; None where none is."""
    known: frozenset[int] = cache.get(said := f"alarms-told:{key}", frozenset())
    news = [alarm for alarm in alarms if alarm.event not in known]
    if not news:
        return None
    first, more = news[0], len(news) - MOST_NAMED
    subject = f"{first.title}: {first.about}" if len(news) == 1 and first.about else f"{len(news)} alarms"
    subject = " ".join(subject.split())  # an account's name is people's, and a header is one line
    named = [(alarm, names[alarm.tenant]) for alarm in news[:MOST_NAMED]]
    site = settings.SITE_ADDRESS.rstrip("/")
    context = {"named": named, "more": more, "site": site, "address": f"{site}/dashboard/"}
    text = render_to_string("trading/mails/alarms.txt", context)
    try:
        send_mail(f"{settings.ACCOUNT_EMAIL_SUBJECT_PREFIX}{subject}", text, None, [email])
    except OSError as error:
        log.warning("alarms_not_mailed", person=key, error=type(error).__name__)
        return False
    cache.set(said, frozenset(alarm.event for alarm in alarms), REMEMBERED)
    return True
