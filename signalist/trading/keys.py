"""Natural keys: what an execution and an order are called on every machine, never made from a database id."""

from __future__ import annotations

from signalist.domain.orders import Leg, client_order_id
from signalist.trading.models import Execution


def execution_key(execution: Execution) -> str:
    """The cause (signal or instruction) and the subscription."""
    cause = execution.signal.public_id if execution.signal is not None else execution.instruction.public_id  # type: ignore[union-attr]
    return f"{cause}:{execution.subscription.public_id}"


def order_ids(execution: Execution, leg: Leg, n: int) -> tuple[str, str]:
    """(client order id, tag) of the n-th order of a leg. The tag says in the venue's own book what the order is for."""
    key = execution_key(execution)
    return client_order_id(f"{key}:{leg}:{n}"), f"{key}:{leg}"
