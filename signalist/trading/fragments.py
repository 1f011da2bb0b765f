"""What the regions of trading pages show: one function a region, the same for the page's first paint and for every push after it."""

from __future__ import annotations

from typing import Any

from signalist.trading.decisions import recent_decisions
from signalist.trading.order_book import working_orders


def orders(tenant_id: int) -> dict[str, Any]:
    """Context of `regions/order-rows.html`, behind the tenant's door."""
    return {"working": working_orders()}


def decisions(tenant_id: int) -> dict[str, Any]:
    """Context of `regions/decision-feed.html`."""
    return {"decisions": recent_decisions()}
