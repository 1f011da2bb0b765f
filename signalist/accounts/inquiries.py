"""What people want to hear from the venues of their accounts now, and what engines note of how those venues answer.

A page writes a row; the engine that holds the account finds it within a second, asks the venue and writes the answer, so that only one
process ever talks in the name of a key.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from signalist.accounts.beats import Beat
from signalist.accounts.models import Account, AccountHealth, Inquiry, InquiryState
from signalist.domain.errors import DomainError

WITHIN = timedelta(seconds=20)
"""How long a page waits for an engine; what is older is nobody's any more."""
AT_ONCE = 50
NOBODY = "No engine has asked the venue. See on the engine's page whether one is running, and try again."


class TooSoon(DomainError):
    """The venue was asked just now; the message says when it may be asked again."""


AGAIN_AFTER = timedelta(seconds=3)


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of an inquiry: `answer` as `Inquiry.answer`, or why there is none."""

    inquiry_id: int
    took_ms: int
    answer: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ""


@transaction.atomic
def ask(account: Account, user_id: int, now: datetime) -> Inquiry:
    """Ask the account's venue how it stands; where that is being asked already, it is the same inquiry. Raises TooSoon."""
    Account.objects.select_for_update().get(pk=account.pk)
    last = Inquiry.objects.filter(account=account).order_by("-pk").first()
    if last is not None and last.state == InquiryState.WAITING and last.asked_at > now - WITHIN:
        return last
    if last is not None and last.asked_at > now - AGAIN_AFTER:
        raise TooSoon("The venue was asked a moment ago; its answer is below. Ask again in a few seconds.")
    return Inquiry.objects.create(tenant_id=account.tenant_id, account=account, asked_by_id=user_id, asked_at=now)


def waiting(engine: uuid.UUID, now: datetime) -> list[Inquiry]:
    """What is to be asked by the engine that holds the accounts, with the account. One query."""
    mine = Inquiry.objects.filter(state=InquiryState.WAITING, asked_at__gt=now - WITHIN, account__lease_owner=engine)
    return list(mine.select_related("account").order_by("pk")[:AT_ONCE])


def answered(heard: Collection[Heard], engine: uuid.UUID, now: datetime) -> int:
    """Write what was heard, of accounts that the engine still holds; returns of how many that is."""
    written = 0
    for one in heard:
        row = Inquiry.objects.filter(pk=one.inquiry_id, state=InquiryState.WAITING, account__lease_owner=engine)
        written += row.update(
            state=InquiryState.FAILED if one.problem else InquiryState.ANSWERED,
            answered_at=now,
            latency_ms=one.took_ms,
            answer=dict(one.answer),
            problem=one.problem[:200],
        )
    return written


def note(beats: Mapping[int, Beat], engine: uuid.UUID) -> None:
    """Write how venues answer, for the accounts (by id) among these that the engine still holds. Two statements."""
    held = Account.objects.filter(pk__in=beats, lease_owner=engine).values_list("pk", "tenant_id")
    rows = [
        AccountHealth(
            tenant_id=tenant,
            account_id=key,
            is_up=beats[key].is_up,
            since=beats[key].since,
            seen_at=beats[key].seen_at,
            failures=beats[key].failures,
            interruptions=beats[key].interruptions,
            problem=beats[key].why[:200],
        )
        for key, tenant in held
    ]
    names = ["is_up", "since", "seen_at", "failures", "interruptions", "problem"]
    AccountHealth.objects.bulk_create(rows, update_conflicts=True, unique_fields=["account"], update_fields=names)
