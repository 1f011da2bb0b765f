"""What a person may change about a position's stop and target: move the order that stands for it, or give it one that it has not.

As all commands by hand it is written under the account's lock; `protect` carries it out.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from django.db import transaction

from signalist.accounts.models import Account
from signalist.db.wakes import ring_on_commit
from signalist.domain.money import plain
from signalist.domain.orders import Leg
from signalist.domain.signals import Direction, Levels, levels_error
from signalist.markets.models import Instrument
from signalist.markets.overview import FRESH_WITHIN
from signalist.markets.selectors import latest_prices
from signalist.trading.commands import command, same_command, told
from signalist.trading.models import ACTIVE_ORDER, Instruction, InstructionKind, Order, Position
from signalist.trading.terms import Refused
from signalist.trading.tickets import check_levels
from tenants.models import User


def move_level(
    account: Account, row: Order, level: Decimal | None, key: str, now: datetime, by: User | None, reason: str
) -> Instruction:
    """Move a position's stop or target, both rows held by the caller: `protect` moves its order in place, or replaces it where the venue
    cannot. Raises Refused."""
    position = row.position
    if position is None or not position.is_open or position.is_closing:
        raise Refused("", "The position is closed or being closed.")
    if level is None or level == row.trigger:
        raise Refused("trigger", "That is where it stands already.")
    check_levels(row.instrument.spec(), trigger=level)
    _check_side(position, Leg(row.leg), row.instrument, level, now)
    check_entered(position)
    is_stop = row.leg == Leg.STOP
    before = position.stop if is_stop else position.target
    instruction, _ = command(
        InstructionKind.AMEND,
        account,
        key,
        reason,
        now,
        by,
        order=row,
        subscription_id=row.subscription_id,
        stop=level if is_stop else None,
        target=None if is_stop else level,
    )
    name = "stop" if is_stop else "target"
    Position.objects.filter(pk=position.pk).update(**{name: level}, protection_due=True)
    ring_on_commit("protect")
    moved = {"leg": row.leg, "from": None if before is None else plain(before), "to": plain(level)}
    told(instruction, now, order=row.pk, position=position.pk, **moved)
    return instruction


def set_level(position: Position, leg: Leg, level: Decimal, key: str, now: datetime, by: User | None) -> Instruction:
    """Give a position the stop or the target that it has not; `protect` places it. Raises Refused."""
    with transaction.atomic():
        account = Account.objects.select_for_update(no_key=True).get(pk=position.account_id)
        row = Position.objects.select_related("instrument").get(pk=position.pk)
        name = "stop" if leg is Leg.STOP else "target"
        same = {"order_id": None, "subscription_id": row.subscription_id, name: level}
        if (known := same_command(InstructionKind.AMEND, account, key, **same)) is not None:
            return known
        if not row.is_open or row.is_closing:
            raise Refused("", "The position is closed or being closed.")
        if getattr(row, name) is not None:
            raise Refused("", f"It has a {name} already; move the order that stands for it.")
        check_levels(row.instrument.spec(), trigger=level)
        _check_side(row, leg, row.instrument, level, now)
        check_entered(row)
        wanted = {"subscription_id": row.subscription_id, name: level}
        instruction, _ = command(InstructionKind.AMEND, account, key, f"a {name} by hand", now, by, **wanted)
        Position.objects.filter(pk=row.pk).update(**{name: level, "protection_due": True})
        told(instruction, now, position=row.pk, leg=leg.value, to=plain(level))
        ring_on_commit("protect")
    return instruction


def check_entered(position: Position) -> None:
    """What an entry still fills takes its levels from the decision: they are changed after that. Raises Refused."""
    entering = Order.objects.filter(
        subscription_id=position.subscription_id, leg=Leg.ENTRY.value, status__in=ACTIVE_ORDER
    )
    if entering.exists():
        raise Refused("", "Its entry is still being filled; cancel the rest of it first, or wait.")


def _check_side(position: Position, leg: Leg, instrument: Instrument, level: Decimal, now: datetime) -> None:
    """A level on the wrong side of the market would close the position at once."""
    found = latest_prices([instrument.pk]).get(instrument.pk)
    if found is None or now - found[1] > FRESH_WITHIN:
        raise Refused("trigger", f"There is no fresh price of {instrument.symbol} to measure it by.")
    levels = Levels(level, None) if leg is Leg.STOP else Levels(None, level)
    problem = levels_error(Direction(position.direction), found[0], levels)
    if problem is not None:
        raise Refused("trigger", f"It would close the position at once: {problem}.")
