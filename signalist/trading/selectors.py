"""Reads of the money path that the stages share, each in a constant number of queries whatever its size."""

from __future__ import annotations

from collections.abc import Sequence

from signalist.db import fast
from signalist.strategies.selectors import signals
from signalist.trading.models import Execution, Instruction, Subscription


def attach_causes(executions: Sequence[Execution], *, subscriptions: bool = True) -> None:
    """Give `executions` their signals (with schedules) or instructions, and their subscriptions where wanted."""
    wanted = {e.subscription_id for e in executions} if subscriptions else set()
    found = {s.pk: s for s in fast.select_ids(Subscription, sorted(wanted))}
    said = signals({e.signal_id for e in executions if e.signal_id})
    instructions = {
        i.pk: i
        for i in fast.select_ids(Instruction, sorted({e.instruction_id for e in executions if e.instruction_id}))
    }
    for execution in executions:
        if subscriptions:
            fast.relate(execution, "subscription", found[execution.subscription_id])
        fast.relate(execution, "signal", said[execution.signal_id] if execution.signal_id else None)
        fast.relate(execution, "instruction", instructions.get(execution.instruction_id or 0))
