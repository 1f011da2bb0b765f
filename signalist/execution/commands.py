"""Commands that a rule gives in a tenant's name: an instruction with a unique key, and the execution that answers it."""

from __future__ import annotations

import uuid
from datetime import datetime

from signalist.db.wakes import ring_on_commit
from signalist.domain.orders import NAMESPACE
from signalist.domain.signals import Direction, SignalKind
from signalist.events.outbox import Fact, emit
from signalist.trading.keys import execution_key
from signalist.trading.models import Execution, Instruction, InstructionKind, Position

_EVENTS = {InstructionKind.EMERGENCY: ("emergency_exit", "HIGH"), InstructionKind.TIME_EXIT: ("time_exit", "INFO")}


def close_by_rule(position: Position, kind: InstructionKind, reason: str, now: datetime) -> bool:
    """Have a position closed at market, once however often it is said; returns whether this was the first time. Within a unit."""
    opened = position.opened_at.strftime("%Y%m%dT%H%M%S%f")
    key = f"{kind.value.lower()}:{execution_key(position.entry_execution)}:{opened}"
    instruction, made = Instruction.objects.get_or_create(
        tenant_id=position.tenant_id,
        key=key,
        defaults={
            "public_id": uuid.uuid5(NAMESPACE, key),
            "kind": kind,
            "account_id": position.account_id,
            "subscription_id": position.subscription_id,
            "reason": reason,
            "created_at": now,
        },
    )
    if not made:
        return False
    exit_kind = SignalKind.EXIT_LONG if position.direction == Direction.LONG else SignalKind.EXIT_SHORT
    Execution.objects.create(
        tenant_id=position.tenant_id,
        subscription_id=position.subscription_id,
        account_id=position.account_id,
        instruction=instruction,
        kind=exit_kind.value,
        created_at=now,
    )
    event, severity = _EVENTS[kind]
    payload = {"position": position.pk, "severity": severity, "reason": reason}
    emit([Fact(event, position.tenant_id, now, payload)])
    ring_on_commit("decide")
    return True
