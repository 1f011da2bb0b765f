"""What a person changes about their trading: each one function that checks, writes and emits in one transaction."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import transaction

from signalist.accounts.models import Account
from signalist.domain.errors import DomainError
from signalist.domain.rules import Limits
from signalist.domain.sizing import checked_fraction
from signalist.events.outbox import Fact, emit
from signalist.markets.models import Instrument
from signalist.strategies.models import Schedule
from signalist.trading.models import Subscription, SubscriptionStatus


@dataclass(frozen=True, slots=True)
class Terms:
    """What a subscriber chooses. Exactly one of the two fractions sizes entries; `capital` is in the account's currency."""

    capital: Decimal
    risk_fraction: Decimal | None = None
    notional_fraction: Decimal | None = None
    leverage: Decimal = Decimal(1)
    limits: Limits = Limits()


def subscribe(
    account: Account,
    schedule: Schedule,
    instrument: Instrument,
    terms: Terms,
    now: datetime,
    *,
    nets: bool,
    public_id: uuid.UUID | None = None,
) -> Subscription:
    """Have `account` follow what runs on `schedule`, trading `instrument`. Raises DomainError with the reason for the subscriber.

    `nets`: whether the account's venue keeps one net position per instrument, which admits one live subscription for it.
    """
    _check_terms(terms, instrument)
    _check_instrument(account, schedule, instrument, nets)
    limits = terms.limits
    with transaction.atomic():
        subscription = Subscription(
            tenant_id=account.tenant_id,
            account=account,
            strategy=schedule.version.strategy,
            schedule=schedule,
            instrument=instrument,
            capital=terms.capital,
            risk_fraction=terms.risk_fraction,
            notional_fraction=terms.notional_fraction,
            leverage=terms.leverage,
            max_open_positions=limits.open_positions,
            max_daily_entries=limits.daily_entries,
            daily_loss_amount=limits.daily_loss_amount,
            daily_loss_fraction=limits.daily_loss_fraction,
            max_exposure_fraction=limits.exposure_fraction,
            max_position_fraction=limits.position_fraction,
            started_at=now,
        )
        if public_id is not None:
            subscription.public_id = public_id
        subscription.save()
        emit([_changed("subscribed", subscription, now)])
    return subscription


def _check_terms(terms: Terms, instrument: Instrument) -> None:
    if (terms.risk_fraction is None) == (terms.notional_fraction is None):
        raise DomainError("Choose either a risk per trade or a share of capital per trade, not both and not neither.")
    if terms.risk_fraction is not None:
        checked_fraction("The risk per trade", terms.risk_fraction)
    if terms.notional_fraction is not None and not 0 < terms.notional_fraction <= 1:
        raise DomainError(f"The share of capital lies between 0 and 1, not {terms.notional_fraction}.")
    if terms.capital <= 0:
        raise DomainError("The capital must be above zero.")
    if not 1 <= terms.leverage <= instrument.max_leverage:
        raise DomainError(f"{instrument} offers a leverage of 1 to {instrument.max_leverage}, not {terms.leverage}.")


def _check_instrument(account: Account, schedule: Schedule, instrument: Instrument, nets: bool) -> None:
    source = schedule.instrument
    if instrument.venue != account.venue:
        raise DomainError(f"{instrument} is not traded at {account.venue}; choose one of this account's venue.")
    if instrument.pair_id is None:
        raise DomainError(f"{instrument} has no declared asset pair yet and cannot be subscribed.")
    if instrument.pair_id != source.pair_id:
        raise DomainError(f"The strategy watches {source}; {instrument} is not of the same pair.")
    if instrument.quote != account.currency:
        raise DomainError(f"{instrument} is paid in {instrument.quote}, the account holds {account.currency}.")
    live = Subscription.objects.filter(account=account).exclude(status=SubscriptionStatus.ENDED)
    if live.filter(strategy=schedule.version.strategy).exists():
        raise DomainError("This account follows the strategy already.")
    if nets and live.filter(instrument=instrument).exists():
        raise DomainError(
            f"The venue keeps one net position in {instrument}; another subscription of this account trades it."
        )


def pause(subscription: Subscription, now: datetime) -> None:
    """Take no more entries; exits and protection go on."""
    _set(subscription, SubscriptionStatus.PAUSED, "subscription_paused", now, allowed=SubscriptionStatus.ACTIVE)


def resume(subscription: Subscription, now: datetime) -> None:
    """Take entries again."""
    _set(subscription, SubscriptionStatus.ACTIVE, "subscription_resumed", now, allowed=SubscriptionStatus.PAUSED)


def _set(
    subscription: Subscription, to: SubscriptionStatus, fact: str, now: datetime, *, allowed: SubscriptionStatus
) -> None:
    with transaction.atomic():
        paused_at = now if to == SubscriptionStatus.PAUSED else None
        changed = Subscription.objects.filter(pk=subscription.pk, status=allowed).update(status=to, paused_at=paused_at)
        if not changed:
            raise DomainError(f"The subscription is not {allowed.label.lower()}; reload the page to see its state.")
        subscription.status, subscription.paused_at = to, paused_at
        emit([_changed(fact, subscription, now)])


def _changed(kind: str, subscription: Subscription, now: datetime) -> Fact:
    payload = {"subscription": str(subscription.public_id), "status": subscription.status}
    return Fact(kind, subscription.tenant_id, now, payload)
