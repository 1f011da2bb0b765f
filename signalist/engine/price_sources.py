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
from signalist.venues.transport.supplies import Supplies

BY_CODE: Mapping[str, Callable[[Clock, Supplies], TellsPrices]] = {KRAKEN: real_market.source}


def others_of(code: str, clock: Clock, supplies: Callable[[str], Supplies]) -> list[TellsPrices]:
    """Those that a feed of `code` asks where its own venue does not answer; `supplies` are a venue's, by its code."""
    return [made(clock, supplies(other)) for other, made in BY_CODE.items() if other != code]
