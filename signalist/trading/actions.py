"""What a person changes about their subscriptions: each one function that checks, writes and emits in one transaction."""

from __future__ import annotations

import uuid
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import F

from signalist.accounts.models import Account
from signalist.audit.writing import record
from signalist.db.wakes import ring_on_commit
from signalist.domain.money import plain
from signalist.events.outbox import Fact, emit
from signalist.markets.models import Instrument
from signalist.strategies.models import Schedule
from signalist.trading.models import (
    Following,
    Order,
    Subscription,
    SubscriptionStatus,
)
from signalist.trading.terms import ENTERING, TERMS, Refused, Terms, apply, check, check_terms
from tenants.models import User


def subscribe(
    account: Account,
    schedule: Schedule,
    instrument: Instrument,
    terms: Terms,
    now: datetime,
    *,
    nets: bool,
    public_id: uuid.UUID | None = None,
    by: User | None = None,
) -> Subscription:
    """Have `account` follow what runs on `schedule`, trading `instrument`. Raises Refused with the reason for the subscriber.

    `nets`: whether the account's venue keeps one net position per instrument, which admits one live subscription for it.
    """
    with transaction.atomic():
        # Two requests of one account at once would both find no other subscription.
        locked = _locked(account.pk)
        check(locked, schedule, instrument, terms, nets=nets)
        subscription = Subscription(
            tenant_id=account.tenant_id,
            account=account,
            strategy=schedule.version.strategy,
            schedule=schedule,
            instrument=instrument,
            started_at=now,
        )
        apply(subscription, terms)
        if public_id is not None:
            subscription.public_id = public_id
        subscription.save()
        _follow(subscription, 1)
        tell("subscribed", subscription, now, by)
    return subscription


def pause(subscription: Subscription, now: datetime, by: User | None = None) -> None:
    """Take no more entries; exits and protection go on."""
    _set(subscription, SubscriptionStatus.PAUSED, "subscription_paused", now, by, allowed=SubscriptionStatus.ACTIVE)


def resume(subscription: Subscription, now: datetime, by: User | None = None) -> None:
    """Take entries again."""
    _set(subscription, SubscriptionStatus.ACTIVE, "subscription_resumed", now, by, allowed=SubscriptionStatus.PAUSED)


def change_terms(subscription: Subscription, terms: Terms, now: datetime, by: User | None = None) -> None:
    """Size and limit what comes from now on by `terms`; what is open stays as it was sized. Raises Refused.

    The event tells what changed, as text from and to.
    """
    check_terms(terms, subscription.instrument)
    with transaction.atomic():
        _locked(subscription.account_id)
        stored = Subscription.objects.get(pk=subscription.pk)
        if stored.status == SubscriptionStatus.ENDED:
            raise Refused("", "The subscription has ended; its terms cannot change any more.")
        before = _chosen(stored)
        apply(stored, terms)
        stored.save(update_fields=TERMS)
        after = _chosen(stored)
        changes = {name: [before[name], after[name]] for name in TERMS if before[name] != after[name]}
        if changes:
            tell("subscription_changed", stored, now, by, changes=changes)
    apply(subscription, terms)


def cancel(subscription: Subscription, now: datetime, by: User | None = None) -> None:
    """End the subscription: no entry comes any more, and one that is on its way is taken back.

    What it holds keeps its stop, its target and the strategy's exits until it is closed.
    """
    with transaction.atomic():
        _locked(subscription.account_id)
        live = Subscription.objects.filter(pk=subscription.pk).exclude(status=SubscriptionStatus.ENDED)
        if not live.update(status=SubscriptionStatus.ENDED, paused_at=None, ended_at=now):
            raise Refused("", "The subscription has ended already.")
        subscription.status, subscription.paused_at, subscription.ended_at = SubscriptionStatus.ENDED, None, now
        if Order.objects.filter(ENTERING, subscription=subscription).update(cancel_wanted=True):
            ring_on_commit("place")
        _follow(subscription, -1)
        tell("subscription_cancelled", subscription, now, by)


def _set(
    subscription: Subscription,
    to: SubscriptionStatus,
    fact: str,
    now: datetime,
    by: User | None,
    *,
    allowed: SubscriptionStatus,
) -> None:
    with transaction.atomic():
        _locked(subscription.account_id)
        paused_at = now if to == SubscriptionStatus.PAUSED else None
        changed = Subscription.objects.filter(pk=subscription.pk, status=allowed).update(status=to, paused_at=paused_at)
        if not changed:
            raise Refused("", f"The subscription is not {allowed.label.lower()}; reload the page to see its state.")
        subscription.status, subscription.paused_at = to, paused_at
        tell(fact, subscription, now, by)


def _locked(account_id: int) -> Account:
    """The account, held until the end of the transaction.

    The engine decides under the same lock, so that a decision sees a change whole or comes before it whole: no entry is decided
    for a subscription that was cancelled while the engine was at it.
    """
    return Account.objects.select_for_update(no_key=True).get(pk=account_id)


def _follow(subscription: Subscription, step: int) -> None:
    """One follower of the strategy more or less."""
    assert subscription.strategy_id is not None  # a book by hand follows nothing, and nobody subscribes to it
    on_paper = subscription.account.is_paper
    row, _ = Following.objects.get_or_create(strategy_id=subscription.strategy_id, is_paper=on_paper)
    Following.objects.filter(pk=row.pk).update(followers=F("followers") + step)


def _chosen(subscription: Subscription) -> dict[str, str | None]:
    values = {name: getattr(subscription, name) for name in TERMS}
    texts = {
        name: value if isinstance(value, str) else plain(Decimal(value))
        for name, value in values.items()
        if value is not None
    }
    return {name: texts.get(name) for name in TERMS}


def tell(kind: str, subscription: Subscription, now: datetime, by: User | None, **more: Any) -> None:
    """Write the event of a change and, where a person made it, the line of the audit log."""
    payload = {"subscription": str(subscription.public_id), "status": str(subscription.status), **more}
    if by is not None:
        payload["by"] = str(by.public_id)
        record(
            f"subscription.{kind.removeprefix('subscription_')}",
            tenant_id=subscription.tenant_id,
            user_id=by.pk,
            target=str(subscription.public_id),
            details=more,
        )
    emit([Fact(kind, subscription.tenant_id, now, payload)])
