"""What a person may change about an order that works: take it back, or have another price, quantity or trigger.

Everything is a command with a key that makes a second click the same one, written under the account's lock: the engine decides and sends
under the same lock, so a change comes before its step or after it, never in between.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import transaction

from signalist.accounts.models import Account
from signalist.db.wakes import ring_on_commit
from signalist.domain.money import ZERO, plain, settle
from signalist.domain.orders import Leg, OrderStatus, OrderType
from signalist.domain.signals import Direction, Levels, levels_error
from signalist.trading.commands import command, same_command, told
from signalist.trading.level_actions import check_entered, move_level
from signalist.trading.models import Instruction, InstructionKind, Order, Position
from signalist.trading.terms import Refused
from signalist.trading.tickets import check_levels, check_quantity, decision_due
from tenants.models import User


@dataclass(frozen=True, slots=True)
class Change:
    """What an order is wanted to be; None leaves a value as it is. `price` of a limit order, `trigger` of a stop or target."""

    quantity: Decimal | None = None
    price: Decimal | None = None
    trigger: Decimal | None = None


class NotApproved(Refused):
    """The change would make the order worth more than the person has agreed to."""


def worth_of(order: Order, change: Change = Change()) -> Decimal:
    """What an entry with a limit is worth at it, in quote currency, as it is or as `change` would have it; zero where it has none."""
    price = change.price or order.price
    return ZERO if price is None else settle((change.quantity or order.quantity) * price)


def hindrance(order: Order) -> str:
    """Why a person cannot take this order back or change it; empty where one can."""
    if order.state.is_final:
        return "The order has ended already."
    if order.cancel_wanted:
        return "Its cancel is asked for already."
    if order.leg == Leg.EXIT:
        return "An exit is not taken back: the position is being closed."
    if order.superseded:
        return "Another order took its place, and it is being taken down."
    if order.rung:
        return "A rung of a ladder stays with its plan; close the position, or change the subscription's terms for the next."
    return ""


def can_cancel(order: Order) -> bool:
    """Whether a person may take this order back: an entry, or a target. A stop is moved, never taken away."""
    return not hindrance(order) and order.leg != Leg.STOP


def can_modify(order: Order) -> bool:
    """Whether a person may change it: an entry with a limit, a stop or a target."""
    if hindrance(order) or order.wanted_quantity is not None:
        return False
    return Leg(order.leg).protects or order.type == OrderType.LIMIT


# --- Cancel --------------------------------------------------------------------------------------


def cancel_order(order: Order, key: str, now: datetime, by: User | None, reason: str = "by hand") -> Instruction:
    """Take an order back; what it has filled stays. A target is taken away from its position with it. Raises Refused."""
    with transaction.atomic():
        account, row = _locked(order)
        if (known := same_command(InstructionKind.CANCEL, account, key, order_id=row.pk)) is not None:
            return known
        if (problem := hindrance(row)) != "":
            raise Refused("", problem)
        if row.leg == Leg.STOP:
            raise Refused("", "A stop is not taken away while its position is open; move it, or close the position.")
        if row.leg == Leg.TARGET and row.position is not None:
            check_entered(row.position)  # the next fill of its entry would bring it back
        instruction, _ = command(
            InstructionKind.CANCEL, account, key, reason, now, by, order=row, subscription_id=row.subscription_id
        )
        if row.leg == Leg.TARGET and row.position_id is not None:
            # What is no part of the protection any more `protect` takes down, at the venue or from the engine's own watch.
            Position.objects.filter(pk=row.position_id).update(target=None, protection_due=True)
            ring_on_commit("protect")
        else:
            _withdraw(row, now)
        told(instruction, now, order=row.pk, filled=plain(row.filled), remaining=plain(row.quantity - row.filled))
    return instruction


def _withdraw(row: Order, now: datetime) -> None:
    row.cancel_wanted, row.updated_at = True, now
    row.save(update_fields=["cancel_wanted", "updated_at"])
    ring_on_commit("place")


# --- Modify --------------------------------------------------------------------------------------


def modify_order(
    order: Order,
    change: Change,
    key: str,
    now: datetime,
    by: User | None,
    *,
    amends: bool,
    approved: Decimal | None = None,
    reason: str = "by hand",
) -> Instruction:
    """Have the order be as `change` says. Raises Refused.

    `approved`: the worth, in quote currency, up to which the person has agreed to an entry; None where nobody was asked. Raises
    NotApproved where a change that could be made is worth more.
    `amends`: whether the venue changes a quantity in place. That is done where an entry gets smaller; everything else is cancelled and,
    once that is confirmed, placed anew, so that never both are active.
    """
    with transaction.atomic():
        account, row = _locked(order)
        if (known := _same_change(account, row, change, key)) is not None:
            return known
        if (problem := hindrance(row)) != "":
            raise Refused("", problem)
        if not can_modify(row):
            raise Refused("", "This order cannot be changed now.")
        if Leg(row.leg).protects:
            return move_level(account, row, change.trigger, key, now, by, reason)
        return _change_entry(account, row, change, key, now, by, reason, amends, approved)


def _same_change(account: Account, row: Order, change: Change, key: str) -> Instruction | None:
    """The change of this key, where it was given before. What the form left empty was filled in from the order, which has moved since."""
    wanted: dict[str, Decimal | int | None] = {"order_id": row.pk}
    if Leg(row.leg).protects:
        wanted["stop" if row.leg == Leg.STOP else "target"] = change.trigger
    else:
        typed = {"quantity": change.quantity, "price": change.price}
        wanted |= {name: value for name, value in typed.items() if value is not None}
    return same_command(InstructionKind.AMEND, account, key, **wanted)


def _change_entry(
    account: Account,
    row: Order,
    change: Change,
    key: str,
    now: datetime,
    by: User | None,
    reason: str,
    amends: bool,
    approved: Decimal | None,
) -> Instruction:
    spec = row.instrument.spec()
    quantity, price = change.quantity or row.quantity, change.price or row.price
    assert price is not None  # only an order with a limit gets here
    check_levels(spec, price=price)
    check_quantity(spec, quantity)
    if (quantity, price) == (row.quantity, row.price):
        raise Refused("", "That is what the order is already.")
    if quantity <= row.filled:
        raise Refused("quantity", f"{plain(row.filled)} is filled already; cancel the rest instead.")
    levels = _levels_of(row)
    problem = levels_error(_direction(row), price, levels)
    if problem is not None:
        raise Refused("price", f"Not there: {problem}.")
    if approved is not None and settle(quantity * price) > approved:
        raise NotApproved("", "It would be worth more than was agreed to; look at it again.")
    instruction, _ = command(
        InstructionKind.AMEND,
        account,
        key,
        reason,
        now,
        by,
        order=row,
        subscription_id=row.subscription_id,
        order_type=row.type,
        quantity=quantity,
        price=price,
        stop=levels.stop,
        target=levels.target,
        leverage=row.leverage,
        approved_notional=approved,
    )
    in_place = amends and price == row.price and quantity < row.quantity and row.state in _RESTING
    if in_place:
        row.wanted_quantity, row.updated_at = quantity, now
        row.save(update_fields=["wanted_quantity", "updated_at"])
        ring_on_commit("place")
    else:
        _withdraw(row, now)
        decision_due(instruction, row.subscription, _direction(row), now)
    told(instruction, now, order=row.pk, quantity=plain(quantity), price=plain(price), in_place=in_place)
    return instruction


_RESTING = (OrderStatus.WORKING, OrderStatus.PARTIAL)


def _direction(row: Order) -> Direction:
    return Direction.LONG if row.side == "BUY" else Direction.SHORT


def _levels_of(row: Order) -> Levels:
    """The stop and target that go with an entry: its position's, where it has one already."""
    held = row.position
    return Levels(held.stop, held.target) if held is not None else Levels(row.execution.stop, row.execution.target)


# --- Within --------------------------------------------------------------------------------------


def _locked(order: Order) -> tuple[Account, Order]:
    """The account and the order, both held; the account first, as everywhere."""
    account = Account.objects.select_for_update(no_key=True).get(pk=order.account_id)
    joined = Order.objects.select_related("instrument", "position", "execution", "subscription")
    row = joined.select_for_update(of=("self",), no_key=True).get(pk=order.pk)
    return account, row
