"""When the market made a price that is told without its time: as early as it may be, so that an old one never looks fresh. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from signalist.markets.board import Quote
from signalist.venues.market_data import Ticker

UNKNOWN = timedelta(days=1)
"""As old counts a price of which nothing says when it was made: older than anything is traded on."""


def made_at(
    ticker: Ticker, price: Decimal, before: Quote | None, trades: int | None, told_at: datetime | None, now: datetime
) -> datetime:
    """The time of the venue, or of the trade that it tells of; else of the price `before` where nobody has traded since, by the price and
    the count of trades, and of the last time it was told (`told_at`, with `trades` counted) where somebody has. Where it was not told yet,
    `before` is what was stored, and a price that differs from it is later, nobody knows by how much. Never later than `now`."""
    if ticker.at is not None:
        return min(ticker.at, now)
    if ticker.is_trade:
        return now
    if before is None:
        return now - UNKNOWN
    if told_at is None:
        return min(before.at, now)
    counted = ticker.trades is not None and trades is not None and ticker.trades > trades
    return max(before.at, told_at) if counted or price != before.price else before.at
