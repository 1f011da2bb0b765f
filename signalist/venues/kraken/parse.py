"""Kraken's public answers as the house's own values. Pure; raises ValueError and its kin for what is none of the protocol.

Bodies are read by `read`, so that numbers without quotes are exact, too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from signalist.domain.candles import Candle
from signalist.domain.errors import DomainError
from signalist.domain.instruments import InstrumentKind, InstrumentSpec, Trading
from signalist.domain.orders import Side
from signalist.domain.timeframes import Timeframe, timeframe
from signalist.venues.facts import FeeRates
from signalist.venues.kraken import protocol
from signalist.venues.kraken.symbols import Pair, Pairs, ours
from signalist.venues.market_data import BookLevel, BookSnapshot, HistoryPage, Ticker

KRAKEN = "kraken"
INTERVALS: Mapping[Timeframe, int] = {
    timeframe(code): minutes
    for code, minutes in (("1m", 1), ("5m", 5), ("15m", 15), ("30m", 30), ("1h", 60), ("4h", 240), ("1d", 1440))
}
"""The timeframes that Kraken has, in its minutes."""
FRAMES: Mapping[int, Timeframe] = {minutes: frame for frame, minutes in INTERVALS.items()}
LONG_OVER = timedelta(seconds=5)
"""A candle whose time is over for so long by Kraken's clock is final, wherever it stands in an answer."""
LONGEST_HISTORY = 719
"""Kraken answers with the newest 720 candles, the last of which is not closed."""
USUAL_TAKER = Decimal("0.0040")
"""What who has traded nothing yet pays where a pair does not say (recorded in February 2026)."""
_HUNDREDTH = Decimal("0.01")
_ONE = Decimal(1)


def read(body: bytes | str) -> Any:
    """JSON with every fraction exact. Raises ValueError."""
    return json.loads(body, parse_float=Decimal)


def result(said: Any, now: float | None = None) -> Any:
    """What was asked for. Raises the VenueError of the first text where the venue refused, and ValueError for what is no answer."""
    if not isinstance(said, Mapping) or not isinstance(said.get("error"), list):
        raise ValueError("The answer is none of Kraken's.")
    told = [str(text) for text in said["error"] if not str(text).startswith("W")]
    if told:
        raise protocol.error(told[0], now)
    return said["result"]


def number(text: Any) -> Decimal:
    """A number, as text or as one. Raises ValueError."""
    try:
        found = Decimal(text) if isinstance(text, str | Decimal | int) and not isinstance(text, bool) else None
    except InvalidOperation:
        found = None
    if found is None or not found.is_finite():
        raise ValueError(f"{text!r} is not a number.")
    return found


def moment(seconds: Any) -> datetime:
    """Seconds since the epoch, with a fraction, to the microsecond."""
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=int(number(seconds) * 1_000_000))


def instant(text: str) -> datetime:
    """RFC 3339 with up to nine decimals, cut off at the microsecond."""
    head, dot, rest = text.removesuffix("Z").partition(".")
    if not text.endswith("Z"):
        raise ValueError(f"{text!r} is not a moment in UTC.")
    return datetime.fromisoformat(f"{head}{dot}{rest[:6]}+00:00")


def trading(word: str) -> Trading:
    """A status of the venue or of a pair."""
    try:
        return Trading(word)
    except ValueError:
        return Trading.CLOSED


def pairs(said: Mapping[str, Mapping[str, Any]]) -> Pairs:
    """AssetPairs. Pairs without a name for the streams (dark pools) and of tokenised shares are left out, and so is one that cannot be
    read: it is not traded here, and the others are."""
    return Pairs([pair for key, row in said.items() if (pair := _readable(key, row)) is not None])


def _readable(key: str, row: Mapping[str, Any]) -> Pair | None:
    try:
        return _pair(key, row) if "/" in str(row.get("wsname", "")) and _is_currency(row) else None
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        return None


def _is_currency(row: Mapping[str, Any]) -> bool:
    return bool(row.get("aclass_base", "currency") == "currency")


def _pair(key: str, row: Mapping[str, Any]) -> Pair:
    symbol = ours(str(row["wsname"]))
    base, _, quote = symbol.partition("/")
    price_decimals, quantity_decimals = int(row["pair_decimals"]), int(row["lot_decimals"])
    tick = number(row["tick_size"]) if row.get("tick_size") is not None else _ONE.scaleb(-price_decimals)
    if tick <= 0:
        raise ValueError(f"{key} has no price step.")
    taker = _first_fee(row.get("fees"), USUAL_TAKER)
    spec = InstrumentSpec(
        venue=KRAKEN,
        symbol=symbol,
        base=base,
        quote=quote,
        kind=InstrumentKind.SPOT,
        tick=tick,
        lot=_ONE.scaleb(-quantity_decimals) * int(row.get("lot_multiplier", 1)),
        min_quantity=number(row.get("ordermin", "0")),
        min_notional=number(row.get("costmin", "0")),
        taker_fee=taker,
        maker_fee=_first_fee(row.get("fees_maker"), taker),
        trading=trading(str(row.get("status", "online"))),
    )
    names = key, str(row["altname"]), str(row["base"]), str(row["quote"])
    return Pair(spec, *names, price_decimals, quantity_decimals)


def _first_fee(steps: Any, otherwise: Decimal) -> Decimal:
    """The fee of who has traded nothing yet; Kraken tells percents."""
    return number(steps[0][1]) * _HUNDREDTH if steps else otherwise


def fees(said: Mapping[str, Any], known: Pairs) -> dict[str, FeeRates]:
    """TradeVolume: by symbol, what the account pays now; Kraken tells percents. What is no pair of ours or cannot be read is left out."""
    makers, found = said.get("fees_maker") or {}, {}
    for name, row in (said.get("fees") or {}).items():
        try:
            taker = number(row["fee"]) * _HUNDREDTH
            # A pair without fees of its own for who rests takes the same of both (Kraken, "Get Trade Volume").
            maker = number(makers[name]["fee"]) * _HUNDREDTH if name in makers else taker
            if "/" in (symbol := known.symbol(name)):
                found[symbol] = FeeRates(taker, maker)
        except (ValueError, KeyError, TypeError):
            continue
    return found


def tickers(said: Mapping[str, Mapping[str, Any]], known: Pairs) -> dict[str, Ticker]:
    """Ticker, by symbol. What is no pair of ours is left out, and so is a pair in which nobody has ever traded, and a row that cannot be
    read: the others can."""
    found = {}
    for name, row in said.items():
        try:
            symbol = known.symbol(name)
            if "/" in symbol and number(row["c"][0]) > 0:
                found[symbol] = _ticker(symbol, row)
        except (ValueError, KeyError, TypeError, IndexError):
            continue
    return found


def counts(said: Mapping[str, Mapping[str, Any]], known: Pairs) -> dict[str, int]:
    """Ticker: the trades since midnight UTC, by symbol. A row that cannot be read is left out."""
    found = {}
    for name, row in said.items():
        try:
            found[known.symbol(name)] = int(row["t"][0])
        except (ValueError, KeyError, TypeError, IndexError):
            continue
    return found


def _ticker(symbol: str, row: Mapping[str, Any]) -> Ticker:
    bid, ask = number(row["b"][0]), number(row["a"][0])
    return Ticker(
        symbol=symbol,
        last=number(row["c"][0]),
        bid=bid or None,
        ask=ask or None,
        bid_quantity=number(row["b"][2]),
        ask_quantity=number(row["a"][2]),
        volume=number(row["v"][1]),
        vwap=number(row["p"][1]),
        low=number(row["l"][1]),
        high=number(row["h"][1]),
        trades=int(row["t"][0]) if row.get("t") else None,
    )


def history(said: Mapping[str, Any], frame: Timeframe, at: datetime) -> HistoryPage:
    """OHLC, which was told at `at` by Kraken's clock, or later: the closed candles, oldest first. Raises ValueError and its kin.

    The last row is the candle that runs, also where nobody has traded in it yet, and `last` is the begin of the newest one that is final
    (Kraken, Get OHLC Data). So neither is a candle, whatever time it seems to be, but where its time was over long ago: such a market may
    be told without a row that runs. A row without a trade is none, and one that cannot be read costs nothing but itself.
    """
    (rows,) = (rows for name, rows in said.items() if name != "last")
    begins = [moment(row[0]) for row in rows]
    long_over = frame.last_close(at - LONG_OVER)
    through = long_over if not begins else max(begins[-1], long_over)
    if said.get("last") is not None and through > long_over:
        through = max(min(through, moment(said["last"]) + frame.length), long_over)
    found, unread = [], []
    for row, begun in zip(rows, begins, strict=True):
        if begun + frame.length > through:
            continue
        try:
            candle = _candle(row, frame)
        except (ValueError, KeyError, TypeError, IndexError, DomainError):
            unread.append(begun + frame.length)
        else:
            if candle.volume > 0:
                found.append(candle)
    return HistoryPage(tuple(found), through=through, unread=tuple(unread))


def _candle(row: Sequence[Any], frame: Timeframe) -> Candle:
    opened, first, high, low, last, _, volume, *_ = row
    return Candle(
        moment(opened) + frame.length, *(number(value) for value in (first, high, low, last, volume))
    ).checked()


def book(said: Mapping[str, Any], symbol: str) -> BookSnapshot:
    """Depth, as far as it was asked for."""
    (row,) = said.values()
    bids, asks = (tuple(_level(level) for level in row[side]) for side in ("bids", "asks"))
    at = max((moment(level[2]) for side in ("bids", "asks") for level in row[side]), default=None)
    return BookSnapshot(symbol, bids, asks, at)


def _level(row: Sequence[Any]) -> BookLevel:
    return BookLevel(number(row[0]), number(row[1]))


@dataclass(frozen=True, slots=True)
class Traded:
    """One trade of the market; `side` is the taker's, `number` grows within a symbol."""

    symbol: str
    side: Side
    price: Decimal
    quantity: Decimal
    at: datetime
    number: int


def trades(said: Mapping[str, Any], symbol: str) -> tuple[Traded, ...]:
    """Trades, oldest first."""
    (rows,) = (rows for name, rows in said.items() if name != "last")
    return tuple(
        Traded(symbol, side(word), number(price), number(quantity), moment(at), int(trade_id))
        for price, quantity, at, word, _, _, trade_id in rows
    )


_SIDES = {"b": Side.BUY, "s": Side.SELL, "buy": Side.BUY, "sell": Side.SELL}


def side(word: str) -> Side:
    """A side in Kraken's word."""
    return _SIDES[word]
