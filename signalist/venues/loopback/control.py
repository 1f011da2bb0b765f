"""What the loopback venue's control endpoint does: opens accounts, moves the market, arranges faults, and shows the books."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from signalist.domain.instruments import InstrumentKind, InstrumentSpec
from signalist.domain.matching import Bar
from signalist.venues.loopback.house import Holder, order_row

if TYPE_CHECKING:
    from signalist.venues.loopback.server import Server


class Control:
    """POST `/control/<name>` with a JSON object, or none; the methods below say what it holds."""

    def __init__(self, server: Server) -> None:
        self._server, self._house = server, server.house
        self._known: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
            "accounts": self._accounts,
            "rights": self._rights,
            "instruments": self._instruments,
            "prices": self._prices,
            "bars": self._bars,
            "faults": self._faults,
            "latency": self._latency,
            "clock": self._clock,
            "summary": self._summary,
            "book": self._book,
        }

    def do(self, name: str, said: Mapping[str, Any]) -> Any:
        """Do it. Raises KeyError, ValueError and their kin for what means nothing."""
        return self._known[name](said)

    def _accounts(self, said: Mapping[str, Any]) -> dict[str, int]:
        """{"currency", "cash", "accounts": [[ref, secret], …]}: open them, those that exist anew."""
        for ref, secret in said["accounts"]:
            self._house.open_account(ref, secret.encode(), said["currency"], Decimal(said["cash"]))
        return {"accounts": len(self._house.holders)}

    def _rights(self, said: Mapping[str, Any]) -> dict[str, int]:
        """{"refs": […], "rights": [word, …]}: what the keys of these accounts may do from now on."""
        for ref in said["refs"]:
            self._house.holders[ref].rights = tuple(map(str, said["rights"]))
        return {"accounts": len(said["refs"])}

    def _instruments(self, said: Mapping[str, Any]) -> dict[str, int]:
        """{"instruments": [{the fields of an InstrumentSpec}, …]}."""
        for given in said["instruments"]:
            tick, lot, least, value, leverage = (
                Decimal(given[name]) for name in ("tick", "lot", "min_quantity", "min_notional", "max_leverage")
            )
            venue, symbol, base, quote = (str(given[name]) for name in ("venue", "symbol", "base", "quote"))
            kind = InstrumentKind(given["kind"])
            self._house.specs[symbol] = InstrumentSpec(
                venue, symbol, base, quote, kind, tick, lot, least, value, leverage
            )
        return {"instruments": len(self._house.specs)}

    def _prices(self, said: Mapping[str, Any]) -> dict[str, int]:
        """{"prices": {symbol: price, or null for no market}}: the market stands there now, and fills what it reaches."""
        reached = 0
        for symbol, price in said["prices"].items():
            if price is None:
                self._house.prices.pop(symbol, None)
            else:
                self._house.prices[symbol] = Decimal(price)
                reached += self._house.move(symbol, Bar.tick(Decimal(price)))
        return {"reached": reached}

    def _bars(self, said: Mapping[str, Any]) -> dict[str, int]:
        """{"bars": {symbol: [open, high, low]}}: the market did this meanwhile, and is back where it was."""
        bars = said["bars"].items()
        return {"reached": sum(self._house.move(symbol, Bar(*map(Decimal, bar))) for symbol, bar in bars)}

    def _faults(self, said: Mapping[str, Any]) -> dict[str, int]:
        """{"clear": bool, "faults": [{"refs": […], "kind", "methods", "seconds", "times"}, …]}."""
        if said.get("clear"):
            self._server.faults.clear()
        for fault in said.get("faults", ()):
            self._server.faults.add(fault["refs"], fault)
        return {"faults": len(said.get("faults", ()))}

    def _latency(self, said: Mapping[str, Any]) -> dict[str, float]:
        """{"seconds"}: how long each answer takes from now on."""
        self._server.latency = float(said["seconds"])
        return {"seconds": self._server.latency}

    def _clock(self, said: Mapping[str, Any]) -> dict[str, float]:
        """{"ahead"}: so many seconds the venue's clock is ahead of this machine's from now on, or behind."""
        self._server.clock.ahead = timedelta(seconds=float(said["ahead"]))
        return {"ahead": self._server.clock.ahead.total_seconds()}

    def _summary(self, said: Mapping[str, Any]) -> dict[str, float]:
        """{"prefix"}: how many accounts whose name begins so hold something, and are covered; what the venue was asked and has spent.

        Cheap enough to be asked while a benchmark runs.
        """
        prefix, spent = str(said.get("prefix", "")), os.times()
        return {
            "holding": sum(ref.startswith(prefix) for ref in self._house.holding),
            "covered": sum(ref.startswith(prefix) for ref in self._house.covered),
            "requests": self._server.counters.requests,
            "refused": self._server.counters.refused,
            "cpu_s": spent.user + spent.system,
        }

    def _book(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """{"prefix", "orders": bool}: by account, its money, net positions, resting stops, when it was entered and covered,
        and when its last order was taken."""
        prefix, whole = str(said.get("prefix", "")), bool(said.get("orders"))
        holders = self._house.holders.items()
        return {ref: _shown(holder, whole) for ref, holder in holders if ref.startswith(prefix)}


def duplicates(holder: Holder) -> int:
    """Entries that were accepted beyond one for each tag, which names the signal and the subscription."""
    orders = [*holder.book.orders.values(), *holder.done.values()]
    tags = Counter(order.tag for order in orders if not order.reduce_only)
    return sum(count - 1 for count in tags.values())


def _shown(holder: Holder, whole: bool) -> dict[str, Any]:
    orders = {**holder.done, **holder.book.orders}
    entries = [holder.taken_at[key] for key, order in orders.items() if not order.reduce_only]
    stops = [order for order in holder.book.orders.values() if order.type == "STOP"]
    shown: dict[str, Any] = {
        "balance": holder.balance(),
        "resting": len(holder.book.orders),
        "net": {symbol: str(quantity) for symbol, quantity in holder.net().items()},
        "stops": [[order.symbol, str(order.remaining), str(order.trigger)] for order in stops],
        "entered_at": min(entries, default=None),
        "placed_at": max(holder.taken_at.values(), default=None),
        "covered_at": holder.covered_at,
        "duplicates": duplicates(holder),
    }
    if whole:
        shown["orders"] = [
            [*order_row(order), order.tag, order.type.value, order.reduce_only] for order in orders.values()
        ]
        shown["fills"] = [
            [r.fill_id, r.client_order_id, r.side.value, str(r.quantity), str(r.price), str(r.fee)]
            for r in holder.tape
            if r.fill_id
        ]
    return shown
