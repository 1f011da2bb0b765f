"""Dated exchange rates out of a feed's prices: of markets in which money is traded for money, one for each hour."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from signalist.db import fast
from signalist.domain.money import settle
from signalist.domain.timeframes import timeframe
from signalist.markets.board import Quote
from signalist.markets.models import FxRate

MONEY = frozenset(
    "USD EUR GBP CHF JPY CAD AUD NZD SGD HKD INR SEK NOK DKK PLN CZK USDT USDC DAI PYUSD EURT EURC TUSD FDUSD".split()
)
"""Currencies, and coins that stand for one."""
FRESH = timedelta(minutes=5)
HOUR = timeframe("1h")


def rates_of(quotes: Mapping[str, Quote], now: datetime) -> dict[tuple[str, str], Decimal]:
    """The rates (base, quote) that fresh prices of `BASE/QUOTE` markets tell."""
    found = {}
    for symbol, quote in quotes.items():
        base, _, other = symbol.partition("/")
        if base in MONEY and other in MONEY and now - quote.at <= FRESH:
            found[base, other] = quote.price
    return found


def take_rates(rates: Mapping[tuple[str, str], Decimal], now: datetime) -> None:
    """Store rates as of the hour that has begun; the first of an hour stays. One statement."""
    at = HOUR.last_close(now)
    rows = [
        fast.new(FxRate, base=base, quote=quote, at=at, rate=settle(rate))
        for (base, quote), rate in sorted(rates.items())
    ]
    fast.insert(rows, conflict="ON CONFLICT DO NOTHING")
