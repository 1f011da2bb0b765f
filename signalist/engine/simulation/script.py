"""What the markets do in a story, and what the strategies say about it: drawn minute by minute."""

from __future__ import annotations

from decimal import Decimal

from signalist.domain.matching import Bar
from signalist.domain.money import nearest_to
from signalist.domain.signals import SignalKind
from signalist.domain.strategies import SignalRow
from signalist.engine.simulation.cast import MARKETS
from signalist.engine.simulation.dice import Dice

_ENTRIES = {"LONG": SignalKind.LONG, "SHORT": SignalKind.SHORT}
_EXITS = {"LONG": SignalKind.EXIT_LONG, "SHORT": SignalKind.EXIT_SHORT}
EXITS = tuple(SignalRow(kind) for kind in _EXITS.values())


class Script:
    """The script of one seed. `prices` are those at which the last minute ended, by symbol."""

    def __init__(self, dice: Dice) -> None:
        self._dice = dice
        self.prices = {symbol: Decimal(price) for symbol, price, _, _ in MARKETS}
        self._stance: dict[str, str] = {}

    def bars(self, minute: int) -> dict[str, tuple[Bar, Decimal]]:
        """What each market does in this minute, and where it ends; now and then it gaps."""
        found = {}
        for symbol, before in self.prices.items():
            gaps = self._dice.chance(0.12, "gap", symbol, minute)
            opened = self.near(symbol, minute, before, 0.02, "open") if gaps else before
            close = self.near(symbol, minute, opened, 0.006, "close")
            high = max(opened, close, self.near(symbol, minute, opened, 0.006, "high"))
            low = min(opened, close, self.near(symbol, minute, opened, 0.006, "low"))
            found[symbol] = Bar(opened, high, low), close
            self.prices[symbol] = close
        return found

    def near(self, symbol: str, minute: int, price: Decimal, width: float, *key: object) -> Decimal:
        """A price within `width`, a fraction, of this one."""
        part = (self._dice.number("price", symbol, minute, *key) * 2 - 1) * Decimal(str(width))
        tick = next(Decimal(tick) for name, _, tick, _ in MARKETS if name == symbol)
        return nearest_to(price * (1 + part), tick)

    def said(self, symbol: str, k: int) -> tuple[SignalRow, ...]:
        """Flat, a strategy mostly enters; in the market it leaves, turns round, or says the same again."""
        dice, stance = self._dice, self._stance.get(symbol)
        if stance is None and dice.chance(0.8, "enters", symbol, k):
            return (self._entry(symbol, k, dice.pick(("LONG", "SHORT"), "way", symbol, k)),)
        if stance is None:
            return ()
        other = "SHORT" if stance == "LONG" else "LONG"
        if dice.chance(0.35, "turns", symbol, k):
            return SignalRow(_EXITS[stance]), self._entry(symbol, k, other)
        if dice.chance(0.4, "leaves", symbol, k):
            del self._stance[symbol]
            return (SignalRow(_EXITS[stance]),)
        return (self._entry(symbol, k, stance),) if dice.chance(0.6, "again", symbol, k) else ()

    def _entry(self, symbol: str, k: int, way: str) -> SignalRow:
        self._stance[symbol] = way
        sign, price = (1 if way == "LONG" else -1), float(self.prices[symbol])
        apart = float(self._dice.between("0.002", "0.012", "0.0005", "stop", symbol, k))
        target = price * (1 + sign * apart * 1.5) if self._dice.chance(0.8, "target", symbol, k) else None
        return SignalRow(_ENTRIES[way], price * (1 - sign * apart), target)
