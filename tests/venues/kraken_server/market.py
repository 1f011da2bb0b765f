"""The server's market: what trades make of candles, tickers and books. No input or output."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from signalist.venues.errors import UnknownInstrument
from signalist.venues.kraken.symbols import Pair, Pairs
from tests.venues.kraken_server.house import Refusal, stamp
from tests.venues.kraken_server.rules import checksum

INTERVALS = (1, 5, 15, 30, 60, 240, 1440)
LEVELS = 10
LONGEST = 720


class Market:
    """Each trade is one unit, and the book stands around the last of them."""

    def __init__(self, pairs: Pairs, now: Callable[[], datetime]) -> None:
        self._pairs, self._now = pairs, now
        self.last: dict[str, Decimal] = {}
        self.candles: dict[tuple[str, int], dict[int, list[Decimal]]] = {}
        self._trades = 0
        self._counted: Counter[tuple[str, date]] = Counter()

    def traded(self, symbol: str, price: Decimal) -> list[dict[str, Any]]:
        """The market trades: what the stream says of it."""
        before, self.last[symbol] = self.last.get(symbol), price
        self._trades += 1
        now = self._now()
        self._counted[symbol, now.date()] += 1
        trade = {"symbol": symbol, "side": "buy", "price": float(price), "qty": 1.0, "ord_type": "market"}
        trade |= {"trade_id": self._trades, "timestamp": stamp(now)}
        messages = [_update("ticker", [self._ticker_row(symbol)]), _update("trade", [trade])]
        messages += [
            _update("ohlc", [self._candle(symbol, minutes, price, now)]) | {"timestamp": stamp(now)}
            for minutes in INTERVALS
        ]
        if before != price:
            messages.append(_update("book", [self.book(symbol, before)]))
        return messages

    def _candle(self, symbol: str, minutes: int, price: Decimal, now: datetime) -> dict[str, Any]:
        begun = int(now.timestamp()) // (minutes * 60) * minutes * 60
        rows = self.candles.setdefault((symbol, minutes), {})
        row = rows.setdefault(begun, [price, price, price, price, Decimal(0)])
        row[1], row[2], row[3] = max(row[1], price), min(row[2], price), price
        row[4] += 1
        return self.candle_row(symbol, minutes, begun)

    def candle_row(self, symbol: str, minutes: int, begun: int) -> dict[str, Any]:
        """A candle as the stream tells it."""
        names = ("open", "high", "low", "close", "volume")
        row = {name: float(value) for name, value in zip(names, self.candles[symbol, minutes][begun], strict=True)}
        return row | {
            "symbol": symbol,
            "interval": minutes,
            "interval_begin": stamp(datetime.fromtimestamp(begun, UTC)),
        }

    def _ticker_row(self, symbol: str) -> dict[str, Any]:
        last, tick = self.last[symbol], self._pairs.pair(symbol).spec.tick
        prices = {"bid": last - tick, "ask": last + tick, "last": last, "vwap": last, "low": last, "high": last}
        rest = {"bid_qty": 1.0, "ask_qty": 1.0, "volume": 1.0, "change": 0.0, "change_pct": 0.0}
        return {"symbol": symbol} | {name: float(value) for name, value in prices.items()} | rest

    def levels(self, symbol: str) -> tuple[list[tuple[Decimal, Decimal]], list[tuple[Decimal, Decimal]]]:
        """Asks and bids, best first."""
        last, tick = self.last[symbol], self._pairs.pair(symbol).spec.tick
        sides = ([(last + sign * tick * n, Decimal(n)) for n in range(1, LEVELS + 1)] for sign in (1, -1))
        asks, bids = sides
        return asks, bids

    def book(self, symbol: str, before: Decimal | None = None) -> dict[str, Any]:
        """A snapshot; or, after a move, an update that takes away what stood there before."""
        pair = self._pairs.pair(symbol)
        asks, bids = self.levels(symbol)
        gone: tuple[list[Any], list[Any]] = ([], [])
        if before is not None:
            tick = pair.spec.tick
            gone = (
                [before + tick * n for n in range(1, LEVELS + 1)],
                [before - tick * n for n in range(1, LEVELS + 1)],
            )
        rows = {
            name: [{"price": float(p), "qty": 0.0} for p in old]
            + [{"price": float(p), "qty": float(q)} for p, q in new]
            for name, old, new in (("asks", gone[0], asks), ("bids", gone[1], bids))
        }
        said = checksum(asks, bids, pair.price_decimals, pair.quantity_decimals)
        return {"symbol": symbol, **rows, "checksum": said, "timestamp": stamp(self._now())}

    # --- REST ------------------------------------------------------------------------------------

    def ticker(self, names: str | None) -> dict[str, Any]:
        """Ticker."""
        wanted = [self._pair(name) for name in names.split(",")] if names else self._pairs.all
        return {pair.key: self._rest_row(pair) for pair in wanted if pair.symbol in self.last}

    def _rest_row(self, pair: Pair) -> dict[str, Any]:
        row = self._ticker_row(pair.symbol)
        day = [str(row["last"])] * 2
        sides = {
            "a": [str(row["ask"]), "1", "1.000"],
            "b": [str(row["bid"]), "1", "1.000"],
            "c": [str(row["last"]), "1"],
        }
        count = self._counted[pair.symbol, self._now().date()]
        return sides | {"v": ["1", "1"], "p": day, "t": [count, count], "l": day, "h": day, "o": day[0]}

    def ohlc(self, name: str, minutes: int, since: int) -> dict[str, Any]:
        """OHLC: the newest 720, whatever is asked for, the last of which runs, also where nobody has traded in it yet."""
        pair = self._pair(name)
        rows = self.candles.get((pair.symbol, minutes), {})
        found = [
            [begun, *(str(value) for value in row[:4]), "0", str(row[4]), int(row[4])]
            for begun, row in sorted(rows.items())
            if begun > since
        ]
        running = int(self._now().timestamp()) // (minutes * 60) * minutes * 60
        if rows and running not in rows:
            price = str(rows[max(rows)][3])
            found.append([running, price, price, price, price, "0", "0", 0])
        return {pair.key: found[-LONGEST:], "last": running - minutes * 60}

    def depth(self, name: str, count: int) -> dict[str, Any]:
        """Depth."""
        pair = self._pair(name)
        asks, bids = self.levels(pair.symbol)
        at = int(self._now().timestamp())
        sides = (("asks", asks), ("bids", bids))
        return {pair.key: {side: [[str(p), str(q), at] for p, q in levels[:count]] for side, levels in sides}}

    def _pair(self, name: str) -> Pair:
        try:
            return self._pairs.pair(name)
        except UnknownInstrument:
            raise Refusal("EQuery:Unknown asset pair") from None


def _update(channel: str, data: list[dict[str, Any]]) -> dict[str, Any]:
    return {"channel": channel, "type": "update", "data": data}
