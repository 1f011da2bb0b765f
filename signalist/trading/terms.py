"""What a subscriber chooses, and what of it is refused. It changes nothing; `actions` does."""

from __future__ import annotations

from dataclasses import dataclass, fields
from decimal import Decimal

from django.db.models import Q

from signalist.accounts.models import Account, AccountState
from signalist.domain.errors import DomainError
from signalist.domain.money import plain
from signalist.domain.orders import Leg
from signalist.domain.protection import Plan, ladder_text, plan_error
from signalist.domain.rules import Limits
from signalist.domain.sizing import LARGEST_FRACTION, checked_fraction
from signalist.markets.models import Instrument
from signalist.strategies.models import Schedule
from signalist.strategies.version_models import VersionState
from signalist.trading.models import (
    ACTIVE_ORDER,
    AfterOutage,
    Execution,
    Order,
    Position,
    Subscription,
    SubscriptionStatus,
)

TERMS = (
    "capital risk_fraction notional_fraction leverage max_open_positions max_daily_entries daily_loss_amount daily_loss_fraction "
    "max_exposure_fraction max_position_fraction cooldown_seconds break_even_gain trail_fraction target_ladder longest_minutes after_outage"
).split()
"""The columns of a subscription that its owner chooses and may change."""

ENTERING = Q(leg=Leg.ENTRY.value, status__in=ACTIVE_ORDER)
"""Entries that are on their way or may still fill."""


class Refused(DomainError):
    """What a subscriber asked for is refused; `field` is the part of the request that the reason is about ("" where it is none)."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field


@dataclass(frozen=True, slots=True)
class Terms:
    """What a subscriber chooses. Exactly one of the two fractions sizes entries; `capital` is in the account's currency."""

    capital: Decimal
    risk_fraction: Decimal | None = None
    notional_fraction: Decimal | None = None
    leverage: Decimal = Decimal(1)
    limits: Limits = Limits()
    plan: Plan = Plan()
    after_outage: AfterOutage = AfterOutage.HOLD


def apply(subscription: Subscription, terms: Terms) -> None:
    """Write `terms` into the columns of `subscription`, which is not saved."""
    limits, subscription.after_outage = terms.limits, terms.after_outage.value
    subscription.capital, subscription.leverage = terms.capital, terms.leverage
    subscription.risk_fraction, subscription.notional_fraction = terms.risk_fraction, terms.notional_fraction
    subscription.max_open_positions, subscription.max_daily_entries = limits.open_positions, limits.daily_entries
    subscription.daily_loss_amount = limits.daily_loss_amount
    subscription.daily_loss_fraction = limits.daily_loss_fraction
    subscription.max_exposure_fraction = limits.exposure_fraction
    subscription.max_position_fraction, subscription.cooldown_seconds = limits.position_fraction, limits.cooldown
    plan = terms.plan
    subscription.break_even_gain, subscription.trail_fraction = plan.break_even, plan.trail
    subscription.target_ladder, subscription.longest_minutes = ladder_text(plan.ladder), plan.minutes


def terms_of(subscription: Subscription) -> Terms:
    """What was chosen."""
    return Terms(
        subscription.capital,
        subscription.risk_fraction,
        subscription.notional_fraction,
        subscription.leverage,
        subscription.limits(),
        subscription.plan(),
        AfterOutage(subscription.after_outage),
    )


def check(account: Account, schedule: Schedule, instrument: Instrument, terms: Terms, *, nets: bool) -> None:
    """Raise Refused where `subscribe` would; for a preview, which changes nothing."""
    check_terms(terms, instrument)
    _check_markets(account, schedule, instrument)
    _check_account(account, schedule, instrument, nets)


def check_terms(terms: Terms, instrument: Instrument) -> None:
    """Raise Refused where terms cannot be meant, or cannot be traded on `instrument`."""
    if (terms.risk_fraction is None) == (terms.notional_fraction is None):
        raise Refused(
            "sizing", "Choose either a risk per trade or a share of capital per trade, not both and not neither."
        )
    if terms.risk_fraction is not None:
        try:
            checked_fraction("The risk per trade", terms.risk_fraction)
        except DomainError as error:
            raise Refused("risk", str(error)) from None
    if terms.notional_fraction is not None and not 0 < terms.notional_fraction <= 1:
        raise Refused("share", f"The share of capital lies between 0 and 1, not {terms.notional_fraction}.")
    if terms.capital <= 0:
        raise Refused("capital", "The capital must be above zero.")
    if not 1 <= terms.leverage <= instrument.max_leverage:
        offers = f"{instrument} offers a leverage of 1 to {plain(instrument.max_leverage)}"
        raise Refused("leverage", f"{offers}, not {plain(terms.leverage)}.")
    for item in fields(terms.limits):
        value = getattr(terms.limits, item.name)
        if value is not None and value <= 0:
            raise Refused(item.name, "A limit must be above zero; leave it out for none.")
    loss = terms.limits.daily_loss_fraction
    if loss is not None and loss > LARGEST_FRACTION:
        raise Refused("daily_loss_fraction", f"The daily loss is a fraction up to {LARGEST_FRACTION}, not {loss}.")
    problem = plan_error(terms.plan)
    if problem is not None:
        raise Refused(*problem)


def _check_markets(account: Account, schedule: Schedule, instrument: Instrument) -> None:
    source = schedule.instrument
    if not (schedule.is_active and schedule.version.strategy.is_active):
        raise Refused("market", "The strategy does not run on this market any more and takes no new subscriptions.")
    if schedule.version.state != VersionState.PUBLISHED:
        raise Refused("market", "This version is not offered any more and takes no new subscriptions.")
    if instrument.venue != account.venue:
        raise Refused("market", f"{instrument} is not traded at {account.venue}; choose one of this account's venue.")
    if instrument.pair_id is None:
        raise Refused("market", f"{instrument} has no declared asset pair yet and cannot be subscribed.")
    if instrument.pair_id != source.pair_id:
        raise Refused("market", f"The strategy watches {source}; {instrument} is not of the same pair.")
    if instrument.quote != account.currency:
        raise Refused("market", f"{instrument} is paid in {instrument.quote}, the account holds {account.currency}.")


def _check_account(account: Account, schedule: Schedule, instrument: Instrument, nets: bool) -> None:
    if account.state != AccountState.ACTIVE:
        reason = f" ({account.state_reason})" if account.state_reason else ""
        raise Refused(
            "account", f"This account is {account.state}{reason}; it takes no new subscription until resumed."
        )
    live = Subscription.objects.filter(account=account, strategy__isnull=False).exclude(status=SubscriptionStatus.ENDED)
    if live.filter(strategy=schedule.version.strategy).exists():
        raise Refused("account", "This account follows the strategy already.")
    if not nets:
        return
    if live.filter(instrument=instrument).exists():
        raise Refused(
            "market",
            f"The venue keeps one net position in {instrument.symbol}; another subscription of this account trades it.",
        )
    held = Position.objects.filter(account=account, instrument=instrument, is_open=True)
    entering = Order.objects.filter(ENTERING, account=account, instrument=instrument)
    by_hand = Execution.objects.filter(account=account, status="PENDING", signal=None, kind__in=["LONG", "SHORT"])
    if any(rows.exists() for rows in (by_hand.filter(subscription__instrument=instrument), held, entering)):
        holder = "an order by hand or a subscription that was cancelled"
        raise Refused(
            "market",
            f"The venue keeps one net position in {instrument.symbol}, and {holder} still holds one; close it first.",
        )
