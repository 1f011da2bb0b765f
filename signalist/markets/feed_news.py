"""Tells staff by mail that a feed was tried in vain too often, and that it is back: a job, because mail is slow and may fail."""

from __future__ import annotations

from django.conf import settings
from django.core.cache import cache
from django.core.mail import send_mail
from django.template.loader import render_to_string
from django_q.tasks import async_task

from signalist.markets.feed_status import name_of
from tenants.models import User

JOB = "signalist.markets.feed_news.tell_staff"
REMEMBERED = 24 * 3600
"""Seconds for which what was told is remembered: a job may be handed out twice, and tells once."""


def have_staff_told(code: str, standing: str, why: str, since: str) -> None:
    """Leave it to a worker, who tries again where mail fails. `since` is when it began, so that each is told by itself."""
    async_task(JOB, code, standing, why, since, task_name=f"feed {standing}", ack_failure=False)


def tell_staff(code: str, standing: str, why: str, since: str) -> str:
    """Mail it to everybody who looks after the installation, each once; in words, what was done. Raises what the mail server does, when
    everybody else was told, so that the job is tried again for those who were not."""
    name, has_failed = name_of(code), standing == "failed"
    subject = f"{settings.ACCOUNT_EMAIL_SUBJECT_PREFIX}the feed from {name} {'has failed' if has_failed else 'is back'}"
    address = f"{settings.SITE_ADDRESS.rstrip('/')}/markets/feeds/"
    text = render_to_string(
        "markets/mails/feed.txt", {"name": name, "standing": standing, "why": why, "address": address}
    )
    told, failure = 0, None
    people = User.objects.filter(is_staff=True, is_active=True).order_by("pk")
    for key, email in people.values_list("pk", "email"):
        said = f"feed-told:{code}:{standing}:{since}:{key}"
        if not cache.add(said, True, REMEMBERED):
            continue
        try:
            send_mail(subject, text, None, [email])
            told += 1
        except OSError as error:
            cache.delete(said)
            failure = error
    if failure is not None:
        raise failure
    return f"told: {told} people" if told else "nobody is left to be told"
