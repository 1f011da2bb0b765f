"""What the dashboard's regions show: one function a region, the same for the page's first paint and for every push after it."""

from __future__ import annotations

from typing import Any

from signalist.dashboard import selectors
from signalist.dashboard.worth import books
from signalist.execution.health import engine_health, health, present
from signalist.markets.models import Instrument
from signalist.markets.overview import last_prices
from signalist.risk.restraints import restraints
from signalist.trading.alarms import alarms
from signalist.trading.marked_positions import PositionBook
from signalist.trading.open_differences import open_differences
from signalist.trading.open_positions import open_positions
from tenants.models import Tenant

MOST_PRICES = 200
"""Of more instruments than these, the oldest are pushed; the pages of the others show what they showed when they were loaded."""


def standing(tenant_id: int) -> dict[str, Any]:
    """Context of `regions/key-figures.html` and `regions/today.html`, behind the tenant's door."""
    found = selectors.standing(Tenant.objects.get(pk=tenant_id).base_currency, present())
    return {"figures": selectors.key_figures(found), "today": selectors.today(found)}


def positions(tenant_id: int) -> dict[str, Any]:
    """Context of `regions/position-rows.html` and `regions/position-totals.html`."""
    return {"book": open_positions(present())}


def engine_status(tenant_id: int) -> dict[str, Any]:
    """Context of `regions/engine-status.html`."""
    engine = engine_health()
    return {"health": health(present(engine), engine)}


def kill_state(tenant_id: int) -> dict[str, Any]:
    """Context of `regions/kill-state.html`."""
    engine = engine_health()
    now = present(engine)
    return {
        "engine": engine,
        "kill": selectors.kill_state(books(now, PositionBook((), (), 0))),
        "over_all": restraints([tenant_id]).over_all,
        "differences": open_differences(),
        "alarms": alarms(tenant_id, now),
    }


def prices() -> dict[str, Any]:
    """Context of `regions/last-prices.html`, the same for everybody: what is traded, with its newest price."""
    listed = list(Instrument.objects.filter(is_active=True).order_by("pk")[:MOST_PRICES])
    found = last_prices([instrument.pk for instrument in listed], present())
    return {"prices": [(instrument, found[instrument.pk]) for instrument in listed if instrument.pk in found]}
