"""What the worker is asked to do from time to time. Each may run twice or late: it does what is left to do, and no more."""

from __future__ import annotations

from signalist.clock import utc_now
from signalist.events.jobs import delete_old
from signalist.trading.jobs import thin_equity
from tenants.doors import across_tenants


def keep_house() -> str:
    """Let go of what is too old to be kept whole."""
    with across_tenants("retention"):
        now = utc_now()
        return f"{delete_old(now)} events deleted, {thin_equity(now)} equity points thinned"
