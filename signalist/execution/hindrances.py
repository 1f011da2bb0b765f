"""What keeps an entry from being sized at all, before the rules are asked."""

from __future__ import annotations

from collections.abc import Mapping

from signalist.domain.instruments import Trading
from signalist.domain.orders import OrderType
from signalist.domain.rules import Numbers
from signalist.execution import instructions
from signalist.execution.readiness import Readiness
from signalist.execution.standing import Picture, exits_and_entries_under_way
from signalist.risk.restraints import RULE as KILL_SWITCH
from signalist.trading.models import Execution, ExecutionStatus, SubscriptionStatus

Hindrance = tuple[ExecutionStatus, str, Numbers]
WAIT: Hindrance = (ExecutionStatus.PENDING, "wait", {})


def hindrance(
    execution: Execution, known: Picture, replaced: Mapping[int, instructions.Replaced], gate: Readiness | None
) -> Hindrance | None:
    """What keeps an entry from being sized at all; WAIT while the opposite position is being closed, or the account is not ready."""
    if execution.deadline is not None and known.now > execution.deadline:
        late = (known.now - execution.deadline).total_seconds()
        return ExecutionStatus.SKIPPED, "late", {"seconds_past_deadline": str(late)}
    restraint = known.restraint(execution)
    if restraint is not None:
        return ExecutionStatus.DENIED, KILL_SWITCH, restraint.numbers
    if (kind := known.difference(execution)) is not None:
        return ExecutionStatus.DENIED, "difference", {"kind": kind}
    if (closed := _takes_none(execution, known)) is not None:
        return closed
    position = known.position_of.get(execution.subscription_id)
    exiting, entering = exits_and_entries_under_way(known.orders_of[execution.subscription_id])
    if (old := instructions.replaces(execution, replaced)) is not None:
        rule = instructions.no_replacement(execution, old, position, exiting=exiting)
        if rule:
            return WAIT if rule == instructions.NOT_YET else (ExecutionStatus.SKIPPED, rule, {})
        return _not_yet(execution, known, gate)
    if (position is not None and (exiting or position.is_closing)) or execution.subscription_id in known.exits_waiting:
        return WAIT
    if position is not None:
        same = position.direction == execution.signal_kind.direction.value
        return ExecutionStatus.SKIPPED, "position_open" if same else "opposite_open", {"quantity": position.quantity}
    if entering:
        return ExecutionStatus.SKIPPED, "entry_under_way", {}
    return _not_yet(execution, known, gate)


def _takes_none(execution: Execution, known: Picture) -> Hindrance | None:
    """Where the subscription takes no entries, or the venue takes no such ones in the market now. Exits are sent all the same, and what
    comes of them is the venue's to say."""
    if execution.subscription.status != SubscriptionStatus.ACTIVE:
        return ExecutionStatus.SKIPPED, execution.subscription.status.lower(), {}
    instrument, asked = known.instruments[execution.subscription.instrument_id], instructions.commanded(execution)
    limit = asked is not None and asked.order_type == OrderType.LIMIT
    if Trading(instrument.trading).takes_entries(limit=limit):
        return None
    since = None if instrument.trading_since is None else instrument.trading_since.isoformat()
    return ExecutionStatus.SKIPPED, "not_tradable", {"state": instrument.trading, "since": since}


def _not_yet(execution: Execution, known: Picture, gate: Readiness | None) -> Hindrance | None:
    """WAIT while something stands at the venue that would close what this opens, or the account has not been looked at."""
    if (execution.account_id, execution.subscription.instrument_id) in known.leftovers:
        return WAIT
    if known.accounts[execution.account_id].balance is None:
        return None  # its venue was never heard: denied by that name, at once
    return None if gate is None or gate.lets_in(execution.account_id, known) else WAIT
