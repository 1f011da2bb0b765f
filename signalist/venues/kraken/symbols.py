"""Kraken's several names of one thing: `XXBTZUSD`, `XBTUSD`, `XBT/USD` and `BTC/USD` are one pair, `XXBT`, `XBT` and `BTC` one asset.

Ours is the name of its streams: `BTC/USD`, `DOGE/EUR`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from signalist.domain.instruments import InstrumentSpec
from signalist.venues.errors import UnknownInstrument

RENAMED: Mapping[str, str] = {"XBT": "BTC", "XDG": "DOGE"}


def ours(name: str) -> str:
    """An asset or a pair with a slash, as the streams spell it."""
    return "/".join(RENAMED.get(part, part) for part in name.split("/"))


@dataclass(frozen=True, slots=True)
class Pair:
    """A pair: what is ours of it, Kraken's names, and how many decimals its prices and quantities are written with."""

    spec: InstrumentSpec
    key: str
    altname: str
    base_key: str
    quote_key: str
    price_decimals: int
    quantity_decimals: int

    @property
    def symbol(self) -> str:
        return self.spec.symbol


class Pairs:
    """All pairs of the venue, by any of their names."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self.all = tuple(pairs)
        self._by_name = {name: pair for pair in pairs for name in (pair.symbol, pair.key, pair.altname)}
        bases = {pair.base_key: pair.spec.base for pair in pairs}
        self._assets = bases | {pair.quote_key: pair.spec.quote for pair in pairs}

    def __len__(self) -> int:
        return len(self.all)

    def pair(self, name: str) -> Pair:
        """The pair under one of its names. Raises UnknownInstrument."""
        try:
            return self._by_name[name]
        except KeyError:
            raise UnknownInstrument(f"There is no pair {name!r} at Kraken.") from None

    def symbol(self, name: str) -> str:
        """Our symbol of a pair; Kraken's own word where we do not know it."""
        return self._by_name[name].symbol if name in self._by_name else name

    def asset(self, key: str) -> str:
        """Our name of an asset: the pairs tell what `XETH` is, and that `XTZ` is none of that kind."""
        if key in self._assets:
            return self._assets[key]
        if (
            len(key) == 4
            and key[0] in "XZ"
            and key[1:] in {"EUR", "USD", "GBP", "CAD", "JPY", "AUD", "CHF", "XBT", "XDG"}
        ):
            key = key[1:]
        return RENAMED.get(key, key)
