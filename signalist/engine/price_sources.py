"""Who can be asked for prices of all markets at once, by code; each is a second source to every other's feed.

A source calls a market by the symbol that the feed calls it by (`BTC/USD`), and leaves out what it does not know. Another venue (Binance,
Bybit) is one more line here: an object with `code`, `limits` and `tickers`, see `signalist.venues.market_data.TellsPrices`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from signalist.clock import Clock
from signalist.engine import real_market
from signalist.venues.kraken.parse import KRAKEN
from signalist.venues.market_data import TellsPrices

BY_CODE: Mapping[str, Callable[[Clock], TellsPrices]] = {KRAKEN: real_market.source}


def others_of(code: str, clock: Clock) -> list[TellsPrices]:
    """Those that a feed of `code` asks where its own venue does not answer."""
    return [made(clock) for other, made in BY_CODE.items() if other != code]
