"""Orders by hand: what a person asks for, what is refused at once, and the command that it becomes.

Such an order is decided, placed and protected like any other. Its position belongs to the account's book by hand for the instrument, a
subscription without a strategy, which is made with the first order.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction

from signalist.accounts.models import Account, AccountState
from signalist.db.wakes import ring_on_commit
from signalist.domain.instruments import InstrumentSpec
from signalist.domain.money import ZERO, plain
from signalist.domain.orders import Leg, OrderType
from signalist.domain.signals import Direction
from signalist.domain.sizing import LARGEST_FRACTION
from signalist.markets.models import Instrument
from signalist.trading.commands import USED, command, same_command, told
from signalist.trading.models import (
    ACTIVE_ORDER,
    Execution,
    Instruction,
    InstructionKind,
    Order,
    Position,
    Subscription,
    SubscriptionStatus,
)
from signalist.trading.terms import Refused
from tenants.models import User

DECIDED_WITHIN = timedelta(seconds=60)
"""An order by hand that was not sent by then is not sent at all: the person has long looked elsewhere."""
FARTHEST = Decimal("0.5")
"""A limit further from the market than this fraction of it is taken for a slip of the finger (EXE-24)."""
ENTRIES = ("LONG", "SHORT")


@dataclass(frozen=True, slots=True)
class Ticket:
    """An order by hand. Sized by `quantity` in base units or by `risk_fraction` of the account's equity to the stop, exactly one of them;
    prices in quote currency, `price` only of a limit order."""

    instrument: Instrument
    direction: Direction
    type: OrderType
    quantity: Decimal | None = None
    risk_fraction: Decimal | None = None
    price: Decimal | None = None
    stop: Decimal | None = None
    target: Decimal | None = None
    leverage: Decimal = Decimal(1)


def give(
    account: Account,
    ticket: Ticket,
    key: str,
    now: datetime,
    by: User | None,
    *,
    nets: bool,
    approved: Decimal | None = None,
    reason: str = "by hand",
) -> Instruction:
    """Give the order; the same `key` again is the same order. Raises Refused.

    `nets`: whether the account's venue keeps one net position per instrument, which has room for one owner of it. `approved`: the worth,
    in quote currency, up to which the person has agreed to it; the decision denies what is larger. None where nobody was asked.
    """
    with transaction.atomic():
        locked = Account.objects.select_for_update(no_key=True).get(pk=account.pk)
        if (known := given(locked, ticket, key)) is not None:
            return known
        check(locked, ticket, nets=nets)
        book = book_of(locked, ticket.instrument, now)
        wanted = _columns(ticket) | {"approved_notional": approved}
        instruction, _ = command(InstructionKind.ORDER, locked, key, reason, now, by, subscription=book, **wanted)
        decision_due(instruction, book, ticket.direction, now)
        told(instruction, now, symbol=ticket.instrument.symbol, direction=ticket.direction.value)
    return instruction


def given(account: Account, ticket: Ticket, key: str) -> Instruction | None:
    """The order of this key, where it was given before. Raises Refused where the key names another command."""
    book = book_found(account, ticket.instrument)
    wanted = _columns(ticket) | {"subscription_id": None if book is None else book.pk}
    known = same_command(InstructionKind.ORDER, account, key, **wanted)
    if known is not None and not Execution.objects.filter(instruction=known, kind=ticket.direction.value).exists():
        raise Refused("", USED)
    return known


def _columns(ticket: Ticket) -> dict[str, Any]:
    """What the command keeps of a ticket."""
    return {
        "order_type": ticket.type.value,
        "quantity": ticket.quantity,
        "risk_fraction": ticket.risk_fraction,
        "price": ticket.price,
        "stop": ticket.stop,
        "target": ticket.target,
        "leverage": ticket.leverage,
    }


def decision_due(instruction: Instruction, subscription: Subscription, direction: Direction, now: datetime) -> None:
    """Have the engine decide on an entry that was commanded."""
    Execution.objects.create(
        tenant_id=instruction.tenant_id,
        subscription=subscription,
        account_id=instruction.account_id,
        instruction=instruction,
        kind=direction.value,
        deadline=now + DECIDED_WITHIN,
        created_at=now,
    )
    ring_on_commit("decide")


def book_found(account: Account, instrument: Instrument) -> Subscription | None:
    """The account's book by hand for the instrument, where there is one."""
    return Subscription.objects.filter(account=account, instrument=instrument, strategy__isnull=True).first()


def book_of(account: Account, instrument: Instrument, now: datetime) -> Subscription:
    """The account's book by hand for the instrument; the account is locked."""
    book, _ = Subscription.objects.get_or_create(
        tenant_id=account.tenant_id,
        account=account,
        instrument=instrument,
        strategy=None,
        defaults={"capital": ZERO, "started_at": now},
    )
    return book


# --- What is refused -----------------------------------------------------------------------------


def check(account: Account, ticket: Ticket, *, nets: bool) -> None:
    """Raise Refused where `give` would; for a preview, which changes nothing. What depends on prices and money is decided later."""
    check_ticket(ticket)
    if account.state != AccountState.ACTIVE:
        reason = f" ({account.state_reason})" if account.state_reason else ""
        raise Refused("account", f"This account is {account.state}{reason}; it opens nothing until it is resumed.")
    if ticket.instrument.venue != account.venue:
        raise Refused("instrument", f"{ticket.instrument} is not traded at {account.venue}.")
    if ticket.instrument.quote != account.currency:
        raise Refused(
            "instrument",
            f"{ticket.instrument} is paid in {ticket.instrument.quote}, the account holds {account.currency}.",
        )
    if nets:
        _check_netting(account, ticket.instrument)


def _check_netting(account: Account, instrument: Instrument) -> None:
    """Where a venue nets, an instrument of an account belongs to one subscription or to the book by hand."""
    others = Subscription.objects.filter(account=account, instrument=instrument, strategy__isnull=False)
    follows = others.exclude(status=SubscriptionStatus.ENDED).select_related("strategy").first()
    if follows is not None and follows.strategy is not None:
        raise Refused(
            "instrument",
            f"The venue keeps one net position in {instrument.symbol}, and this account follows {follows.strategy.name} there;"
            " choose another account or cancel that subscription.",
        )
    held = Position.objects.filter(account=account, instrument=instrument, is_open=True, subscription__in=others)
    entering = Order.objects.filter(
        account=account, instrument=instrument, leg=Leg.ENTRY.value, status__in=ACTIVE_ORDER, subscription__in=others
    )
    if held.exists() or entering.exists():
        raise Refused(
            "instrument",
            f"The venue keeps one net position in {instrument.symbol}, and a subscription that was cancelled still holds one.",
        )


def check_ticket(ticket: Ticket) -> None:
    """Raise Refused where a ticket cannot be meant, or cannot be traded on its instrument."""
    spec = ticket.instrument.spec()
    if not ticket.instrument.is_active:
        raise Refused("instrument", f"{ticket.instrument} is not traded any more.")
    if not spec.trading.takes_entries(limit=ticket.type is OrderType.LIMIT):
        raise Refused(
            "instrument", f"Its venue takes no such orders in {ticket.instrument} now ({spec.trading.value})."
        )
    if ticket.type not in (OrderType.MARKET, OrderType.LIMIT):
        raise Refused("type", "An order by hand is a market or a limit order.")
    if (ticket.type is OrderType.LIMIT) != (ticket.price is not None):
        raise Refused("price", "A limit order needs its limit; a market order has none.")
    if ticket.direction is Direction.SHORT and not spec.can_short:
        raise Refused("direction", f"{spec.symbol} is spot: it cannot be sold short.")
    if not 1 <= ticket.leverage <= spec.max_leverage:
        raise Refused("leverage", f"{spec.symbol} offers a leverage of 1 to {plain(spec.max_leverage)}.")
    _check_size(ticket, spec)
    check_levels(spec, price=ticket.price, stop=ticket.stop, target=ticket.target)


def _check_size(ticket: Ticket, spec: InstrumentSpec) -> None:
    if (ticket.quantity is None) == (ticket.risk_fraction is None):
        raise Refused("quantity", "Give either a quantity or a risk, not both and not neither.")
    if ticket.quantity is not None:
        check_quantity(spec, ticket.quantity)
    if ticket.risk_fraction is None:
        return
    if ticket.stop is None:
        raise Refused("stop", "To size by risk the order needs a stop.")
    if not 0 < ticket.risk_fraction <= LARGEST_FRACTION:
        raise Refused("risk", f"The risk is a fraction above 0 and up to {LARGEST_FRACTION}.")


def check_quantity(spec: InstrumentSpec, quantity: Decimal) -> None:
    """Raise Refused unless `quantity` is above zero and a multiple of the lot."""
    if quantity <= 0 or spec.quantity(quantity) != quantity:
        raise Refused("quantity", f"The quantity is a multiple of {plain(spec.lot)} {spec.base}.")


def check_levels(spec: InstrumentSpec, **levels: Decimal | None) -> None:
    """Raise Refused, about the level of that name, unless each is above zero and a multiple of the tick."""
    for name, level in levels.items():
        if level is not None and (level <= 0 or spec.price(level) != level):
            raise Refused(name, f"It must be a multiple of {plain(spec.tick)} {spec.quote}.")
