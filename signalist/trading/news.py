"""Tells followers that there is a newer version of what they follow; whether they move to it is theirs to say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from django.conf import settings
from django.core.mail import send_mail
from django.db import transaction
from django.template.loader import render_to_string

from signalist.clock import utc_now
from signalist.events.outbox import Fact, emit
from signalist.strategies.models import StrategyVersion
from signalist.strategies.version_models import VersionState
from signalist.trading.models import Subscription, SubscriptionStatus
from tenants.doors import across_tenants
from tenants.models import Membership
from tenants.permissions import PERMISSIONS

PURPOSE = "news of versions"


def tell_followers(version_id: int) -> str:
    """Tell those who follow an older version on the same candles: an event each, and a mail to each of their workspaces' traders.

    What was told is written beside it, so that a job that is handed out twice tells once. Returns what was done, in words. A number of
    statements that does not grow with the followers.
    """
    version = StrategyVersion.objects.select_related("strategy").defer("source").get(pk=version_id)
    if version.state != VersionState.PUBLISHED:
        return "it is not on offer any more"
    with across_tenants(PURPOSE, one_transaction=True):
        told = _to_be_told(version)
        Subscription.objects.filter(pk__in=[row.pk for row in told]).update(told_version=version.number)
        emit([_fact(row, version) for row in told])
        mails = _mails(version, {row.tenant_id for row in told})
        transaction.on_commit(lambda: _send(mails), robust=True)
    return f"told: {len(told)} subscriptions, {len(mails)} people"


def _to_be_told(version: StrategyVersion) -> Sequence[Subscription]:
    places = set(version.schedules.filter(is_active=True).values_list("instrument_id", "timeframe"))
    older = Subscription.objects.filter(
        strategy=version.strategy_id, schedule__version__number__lt=version.number, told_version__lt=version.number
    ).exclude(status=SubscriptionStatus.ENDED)
    rows = older.select_related("schedule__version").defer("schedule__version__source")
    locked = rows.select_for_update(no_key=True, of=("self",)).order_by("pk")
    return [row for row in locked if row.schedule and (row.schedule.instrument_id, row.schedule.timeframe) in places]


def _fact(row: Subscription, version: StrategyVersion) -> Fact:
    assert row.schedule is not None
    payload = {"subscription": str(row.public_id), "strategy": version.strategy.slug, "version": version.number}
    return Fact("version_published", row.tenant_id, utc_now(), payload | {"followed": row.schedule.version.number})


def _mails(version: StrategyVersion, tenants: set[int]) -> list[tuple[str, str, str]]:
    """Address, subject and text, one for each person: of all workspaces together."""
    people: dict[str, list[str]] = defaultdict(list)
    members = Membership.objects.filter(
        tenant__in=tenants, role__in=PERMISSIONS["subscriptions.change"].roles, is_active=True, user__is_active=True
    )
    for email, name in members.order_by("user_id", "tenant_id").values_list("user__email", "tenant__name"):
        people[email].append(name)
    subject = f"{settings.ACCOUNT_EMAIL_SUBJECT_PREFIX}version {version.number} of {version.strategy.name}"
    told = {"version": version, "address": f"{settings.SITE_ADDRESS.rstrip('/')}/subscriptions/"}
    return [
        (email, subject, render_to_string("trading/mails/version.txt", {**told, "workspaces": names}))
        for email, names in people.items()
    ]


def _send(mails: Sequence[tuple[str, str, str]]) -> None:
    for to, subject, text in mails:
        send_mail(subject, text, None, [to], fail_silently=True)
