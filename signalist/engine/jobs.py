"""What the worker is asked to do from time to time. Each may run twice or late: it does what is left to do, and no more."""

from __future__ import annotations

from signalist.accounts.jobs import retire_inquiries
from signalist.clock import utc_now
from signalist.events.jobs import delete_old
from signalist.execution.jobs import retire_engines
from signalist.markets.depth_books import retire as retire_books
from signalist.markets.jobs import market_time, retire_candles, retire_streams
from signalist.security.counters import retire as retire_counters
from signalist.strategies.jobs import retire_runs
from signalist.trading.jobs import thin_equity
from tenants.doors import across_tenants


def keep_house() -> str:
    """Let go of what is too old to be kept whole; what was done, in words."""
    with across_tenants("retention"):
        now = utc_now()
        in_the_market = market_time(now)
        done = {
            "events": delete_old(now),
            "equity points": thin_equity(in_the_market),
            "candles": retire_candles(in_the_market),
            "order books": retire_books(now),
            "streams": retire_streams(now),
            "runs": retire_runs(in_the_market),
            "engines": retire_engines(now),
            "inquiries": retire_inquiries(now),
            "counted windows": retire_counters(int(now.timestamp())),
        }
    return "gone: " + ", ".join(f"{count} {what}" for what, count in done.items())
