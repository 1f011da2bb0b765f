"""What an entry asks of the rules: put together in one place, for the decision itself and for the preview of one."""

from __future__ import annotations

from decimal import Decimal

from signalist.domain.instruments import InstrumentSpec
from signalist.domain.rules import EntryRequest, Limits, Standing
from signalist.domain.signals import Direction, Levels
from signalist.execution.limits import PLATFORM, fee_of
from signalist.trading.models import Subscription


def layers_of(subscription: Subscription) -> tuple[tuple[str, Limits], ...]:
    """The limits that hold for a subscription, outermost first."""
    return ("platform", PLATFORM), ("subscription", subscription.limits())


def entry_request(
    subscription: Subscription,
    direction: Direction,
    spec: InstrumentSpec,
    price: Decimal,
    levels: Levels,
    standing: Standing,
) -> EntryRequest:
    """An entry of `subscription` at `price`, protected at `levels`, both of the traded instrument."""
    return EntryRequest(
        direction=direction,
        spec=spec,
        price=price,
        levels=levels,
        capital=subscription.capital,
        risk_fraction=subscription.risk_fraction,
        notional_fraction=subscription.notional_fraction,
        leverage=subscription.leverage,
        fee_rate=fee_of(spec),
        standing=standing,
        layers=layers_of(subscription),
    )
