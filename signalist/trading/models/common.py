"""What the rows of the money path share: which states of an order are active, as values and as a condition of plain SQL."""

from __future__ import annotations

from typing import Any

from django.db import models

from signalist.domain.orders import ACTIVE, OrderStatus

ACTIVE_ORDER = [status.value for status in OrderStatus if status in ACTIVE]
STATES = {status.value: status for status in OrderStatus}
STILL_ACTIVE = "status IN ({})".format(", ".join(f"'{status}'" for status in ACTIVE_ORDER))
"""The same as a condition of plain SQL; word for word that of the partial indexes, so that they are used."""

ORDER_TURN = (
    "(CASE WHEN status <> 'CREATED' OR cancel_wanted THEN 0 WHEN leg = 'EXIT' THEN 1 WHEN leg = 'ENTRY' THEN 3"
    " WHEN leg = 'TARGET' AND price_at IS NULL THEN 4 ELSE 2 END)"
)
"""In what order orders leave (`execution.precedence`), and which may have to: word for word those of the index over them, so that a claim
reads as many rows as it takes, however many wait behind them."""
ORDER_WAITS = f"{STILL_ACTIVE} AND NOT busy AND NOT watched AND (status = 'CREATED' OR cancel_wanted OR wanted_quantity IS NOT NULL)"


def unindexed_tenant() -> models.ForeignKey[Any, Any]:
    """The tenant of a row that has an index of its own which begins with the tenant."""
    return models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, db_index=False, related_name="+")
