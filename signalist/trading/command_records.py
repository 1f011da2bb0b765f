"""Commands as people look at them: what was asked, by whom, what was decided, and what became of the orders."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db.models import QuerySet

from signalist.accounts.models import Account
from signalist.domain.orders import Leg
from signalist.trading.decisions import Decision, decisions_of
from signalist.trading.models import Execution, ExecutionStatus, Instruction, InstructionKind, Order
from signalist.trading.order_book import OrderLine
from signalist.trading.order_book import lines as order_lines

WORDS = {
    InstructionKind.CLOSE: "Close",
    InstructionKind.FLATTEN: "Flatten",
    InstructionKind.EMERGENCY: "Emergency exit",
    InstructionKind.ORDER: "Order by hand",
    InstructionKind.CANCEL: "Cancel",
    InstructionKind.AMEND: "Change",
    InstructionKind.TIME_EXIT: "Time exit",
}
"""What each kind of command is called on pages."""


@dataclass(frozen=True, slots=True)
class CommandLine:
    """A command in a list; `by` is empty where the engine gave it."""

    public_id: uuid.UUID
    kind: str
    words: str
    account: str
    reason: str
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class CommandRecord:
    """One command whole. `orders` are those that it made, `changed` the one that it was about, `wanted` what that was to be."""

    command: CommandLine
    decisions: Sequence[Decision]
    orders: Sequence[OrderLine]
    changed: OrderLine | None
    quantity: Decimal | None
    level: Decimal | None

    @property
    def is_under_way(self) -> bool:
        """Whether something is still to be decided, sent, answered or filled; an entry with a limit may rest and is not waited for."""
        if any(decision.status == ExecutionStatus.PENDING for decision in self.decisions):
            return True
        if self.changed is not None and (self.changed.cancel_wanted or self.changed.wanted_quantity is not None):
            return True
        return any(self._moves(order) for order in self.orders)

    def _moves(self, order: OrderLine) -> bool:
        rests = order.leg == Leg.ENTRY and order.status.is_open and order.type == "LIMIT"
        protects = Leg(order.leg).protects and order.status.is_open
        return not order.status.is_final and not rests and not protects

    @property
    def remaining(self) -> Decimal | None:
        """What is not filled of the order that it was about."""
        return None if self.changed is None else self.changed.quantity - self.changed.filled


def rows() -> QuerySet[Instruction]:
    """The tenant's commands, newest first, for `lines`."""
    return Instruction.objects.select_related("account", "by").order_by("-pk")


def lines(found: Sequence[Instruction]) -> list[CommandLine]:
    """These commands as lines; their account and user must be loaded."""
    return [_line(row) for row in found]


def about(client_order_id: uuid.UUID) -> list[CommandLine]:
    """The commands that were about this order of the tenant's, oldest first. One query."""
    return lines(list(rows().filter(order__client_order_id=str(client_order_id)).order_by("pk")[:100]))


def emergencies(account: Account, limit: int = 5) -> list[CommandLine]:
    """The newest emergency exits of an account, newest first. One query."""
    return lines(list(rows().filter(account=account, kind=InstructionKind.EMERGENCY)[:limit]))


def _line(row: Instruction) -> CommandLine:
    by = "" if row.by is None else row.by.full_name or row.by.email
    words = WORDS[InstructionKind(row.kind)]
    return CommandLine(row.public_id, row.kind, words, row.account.name, row.reason, by, row.created_at)


def command_record(public_id: uuid.UUID) -> CommandRecord | None:
    """One of the tenant's commands; None where there is none. A constant number of queries."""
    row = rows().filter(public_id=public_id).first()
    if row is None:
        return None
    executions = list(Execution.objects.filter(instruction=row).order_by("pk")[:200])
    made = Order.objects.filter(execution__in=[e.pk for e in executions]).order_by("pk")[:200]
    about = [] if row.order_id is None else list(Order.objects.filter(pk=row.order_id))
    shown: dict[bool, list[OrderLine]] = defaultdict(list)
    found = [*about, *made]
    for order, line in zip(found, order_lines(found), strict=True):
        shown[order.pk == row.order_id].append(line)
    level = next((value for value in (row.price, row.stop, row.target) if value is not None), None)
    return CommandRecord(
        _line(row),
        decisions_of(executions) if executions else [],
        shown[False],
        next(iter(shown[True]), None),
        row.quantity,
        level,
    )
