"""Commands that a rule gives in a tenant's name: an instruction with a unique key, and the execution that answers it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime

from signalist.db import fast
from signalist.db.wakes import ring_on_commit
from signalist.domain.orders import NAMESPACE
from signalist.domain.signals import Direction, SignalKind
from signalist.events.outbox import Fact, emit
from signalist.trading.keys import execution_key
from signalist.trading.models import Execution, Instruction, InstructionKind, Order, Position

_EVENTS = {InstructionKind.EMERGENCY: ("emergency_exit", "HIGH"), InstructionKind.TIME_EXIT: ("time_exit", "INFO")}


def close_by_rule(cases: Sequence[tuple[Position, str]], kind: InstructionKind, now: datetime) -> list[Position]:
    """Have positions closed at market, each for its reason, and each once however often it is said, until closing it was given up; returns
    those that had not been told before.

    Within a unit that has locked their accounts; a constant number of statements.
    """
    keyed = {_key(position, kind): (position, reason) for position, reason in cases}
    if not keyed:
        return []
    known = {(given.tenant_id, given.key) for given in fast.select_ids(Instruction, sorted(keyed), column="key")}
    fresh = [(key, *case) for key, case in keyed.items() if (case[0].tenant_id, key) not in known]
    instructions = [_instruction(key, position, kind, reason, now) for key, position, reason in fresh]
    fast.insert(instructions, returning=True)
    given = zip(instructions, (position for _, position, _ in fresh), strict=True)
    fast.insert([exit_of(row, position, Direction(position.direction), now) for row, position in given])
    event, severity = _EVENTS[kind]
    emit(
        [
            Fact(event, position.tenant_id, now, {"position": position.pk, "severity": severity, "reason": reason})
            for _, position, reason in fresh
        ]
    )
    if fresh:
        ring_on_commit("decide")
    return [position for _, position, _ in fresh]


def _key(position: Position, kind: InstructionKind) -> str:
    opened = position.opened_at.strftime("%Y%m%dT%H%M%S%f")
    again = f":{position.exit_rounds}" if position.exit_rounds else ""
    return f"{kind.value.lower()}:{execution_key(position.entry_execution)}:{opened}{again}"


def _instruction(key: str, position: Position, kind: InstructionKind, reason: str, now: datetime) -> Instruction:
    return Instruction(
        tenant_id=position.tenant_id,
        key=key,
        public_id=uuid.uuid5(NAMESPACE, key),
        kind=kind.value,
        account_id=position.account_id,
        subscription_id=position.subscription_id,
        reason=reason,
        created_at=now,
    )


def exit_of(instruction: Instruction, held: Position | Order, direction: Direction, now: datetime) -> Execution:
    """Has the engine close what is held in this direction, or what an entry that is under way may still open."""
    kind = SignalKind.EXIT_LONG if direction is Direction.LONG else SignalKind.EXIT_SHORT
    return Execution(
        tenant_id=held.tenant_id,
        subscription_id=held.subscription_id,
        account_id=held.account_id,
        instruction=instruction,
        kind=kind.value,
        created_at=now,
    )
