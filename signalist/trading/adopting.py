"""Books what was closed past us: each position gets an exit with the venue's fills, or at a price that is named.

Called inside one transaction with the account locked. From then on it is a trade like any other, closed by hand.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from signalist.accounts.models import Account
from signalist.db import fast
from signalist.domain.money import ZERO
from signalist.domain.orders import NAMESPACE, Leg, OrderStatus, OrderType, Side
from signalist.domain.signals import Direction, SignalKind
from signalist.trading.discrepancies import STOCK, Discrepancy, ForeignFill
from signalist.trading.folding import fold_fills
from signalist.trading.keys import order_ids
from signalist.trading.models import Execution, ExecutionStatus, Instruction, InstructionKind, Order, Position
from signalist.trading.noting import beside
from signalist.venues.base import Balance, FillReport, Reports

REASON = "closed at the venue, past us"


def adopt(row: Discrepancy, account: Account, now: datetime) -> str:
    """Book a position's difference as closed by hand; returns why it could not be, empty where it was.

    The venue's own fills are taken where they come to the whole of it, else `answer_price`, without a fee: what is paid beyond shows
    as a gap in the money.
    """
    if row.instrument_id is None or row.ours is None or row.theirs is None:
        return "It concerns nothing that we hold."
    positions = fast.select_ids(Position, [account.pk], "is_open", column="account_id", lock="update")
    held = [p for p in positions if p.instrument_id == row.instrument_id]
    ours = sum((_signed(p) for p in held), ZERO)
    own = ZERO if row.facts.get(STOCK) else beside(row)  # of stock, what lies beside was not counted
    if ours + own != row.ours:
        return "Our books have moved since the last look. Look at the new numbers first."
    closing = Side.SELL if (ours or row.ours) > 0 else Side.BUY  # what lies beside may have another sign
    fills = _fills(row, abs(row.ours - row.theirs), closing, now)
    if not fills:
        return "The venue told no fill that explains it: name the price at which it was closed."
    reports: list[FillReport] = []
    for position in sorted(held, key=lambda p: (p.opened_at, p.pk)):
        part, fills = _part(fills, position.quantity)
        if part:
            order = _exit(row, position, sum((f.quantity for f in part), ZERO), part[0], now)
            reports += [replace(fill, client_order_id=order.client_order_id) for fill in part]
    money = Balance(account.currency, ZERO, ZERO)  # not written: what was told is no word of the venue on its money
    fold_fills({account.pk: Reports((), tuple(reports), money, "")}, {account.pk: account}, now)
    return ""


def _signed(position: Position) -> Decimal:
    sign = Direction(position.direction).sign
    return sign * Decimal(position.quantity)


def _fills(row: Discrepancy, quantity: Decimal, closing: Side, now: datetime) -> list[FillReport]:
    """What closed `quantity`, oldest first; nothing where the venue has not told it and nobody has named a price."""
    told = list(ForeignFill.objects.filter(discrepancy=row).order_by("time", "pk"))
    if sum((f.quantity for f in told), ZERO) == quantity and all(f.side == closing for f in told):
        return [
            FillReport(f.venue_fill_id, "", closing, f.symbol, f.quantity, f.price, f.fee, f.fee_currency, f.time)
            for f in told
        ]
    if row.answer_price is None or row.instrument is None:
        return []
    name = f"told:{row.public_id}"
    return [FillReport(name, "", closing, row.symbol, quantity, row.answer_price, ZERO, row.instrument.quote, now)]


def _part(fills: Sequence[FillReport], most: Decimal) -> tuple[list[FillReport], list[FillReport]]:
    """As much of `fills` as comes to `most`, and the rest; a fill over the edge is divided, and its fee with it."""
    part: list[FillReport] = []
    rest = list(fills)
    while rest and most > 0:
        fill = rest.pop(0)
        if fill.quantity > most:
            fee = (fill.fee * most / fill.quantity).quantize(Decimal("1e-10"))
            left = replace(
                fill, quantity=fill.quantity - most, fee=fill.fee - fee, venue_fill_id=fill.venue_fill_id + "+"
            )
            fill = replace(fill, quantity=most, fee=fee)
            rest.insert(0, left)
        part.append(fill)
        most -= fill.quantity
    return part, rest


def _exit(row: Discrepancy, position: Position, quantity: Decimal, first: FillReport, now: datetime) -> Order:
    """The exit that the venue has carried out for somebody else, as if it had been asked for by hand."""
    key = f"external:{row.public_id}:{position.entry_execution.subscription.public_id}"
    instruction = Instruction.objects.create(
        tenant_id=row.tenant_id,
        key=key,
        public_id=uuid.uuid5(NAMESPACE, key),
        kind=InstructionKind.CLOSE,
        account_id=row.account_id,
        subscription_id=position.subscription_id,
        reason=REASON,
        by_id=row.answered_by_id,
        created_at=now,
    )
    kind = SignalKind.EXIT_LONG if position.direction == Direction.LONG else SignalKind.EXIT_SHORT
    execution = Execution.objects.create(
        tenant_id=row.tenant_id,
        subscription_id=position.subscription_id,
        account_id=row.account_id,
        instruction=instruction,
        kind=kind.value,
        status=ExecutionStatus.TAKEN,
        numbers={"quantity": str(quantity)},
        price=first.price,
        quantity=quantity,
        created_at=now,
        decided_at=now,
    )
    order_id, tag = order_ids(execution, Leg.EXIT, 0)
    return Order.objects.create(
        tenant_id=row.tenant_id,
        account_id=row.account_id,
        subscription_id=position.subscription_id,
        instrument_id=position.instrument_id,
        execution=execution,
        position=position,
        leg=Leg.EXIT.value,
        client_order_id=order_id,
        tag=tag,
        side=first.side.value,
        type=OrderType.MARKET.value,
        quantity=quantity,
        reduce_only=True,
        leverage=position.leverage,
        reference_price=first.price,
        status=OrderStatus.WORKING.value,
        reason=REASON,
        created_at=now,
        updated_at=now,
    )
