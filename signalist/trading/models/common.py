"""What the rows of the money path share: which states of an order are active, as values and as a condition of plain SQL."""

from __future__ import annotations

from typing import Any

from django.db import models

from signalist.domain.orders import ACTIVE, OrderStatus

ACTIVE_ORDER = [status.value for status in OrderStatus if status in ACTIVE]
STATES = {status.value: status for status in OrderStatus}
STILL_ACTIVE = "status IN ({})".format(", ".join(f"'{status}'" for status in ACTIVE_ORDER))
"""The same as a condition of plain SQL; word for word that of the partial indexes, so that they are used."""


def unindexed_tenant() -> models.ForeignKey[Any, Any]:
    """The tenant of a row that has an index of its own which begins with the tenant."""
    return models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, db_index=False, related_name="+")
