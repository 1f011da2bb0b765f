"""Fills that Kraken owes: an order says that more of it is executed than its fills that were told add up to, however old the order is.

Such an order is asked about by its own id, because its fills need not lie where the histories are being read: what trades it had
(QueryOrders), then those that are not known (QueryTrades). That covers an old order whose first fills were told to another process, and
a history of fills that lags behind the orders.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol

from signalist.domain.money import ZERO, plain
from signalist.venues.base import FillReport, OrderReport
from signalist.venues.kraken import orders
from signalist.venues.kraken.symbols import Pairs
from signalist.venues.kraken.tape import Tape

HELD_BACK = timedelta(minutes=2)
"""So long nothing is called whole for want of a fill; after that it is said, and the account is read on."""
ASKED_FOR = timedelta(hours=1)
"""So long a fill is asked for at all."""
ORDERS_AT_ONCE, TRADES_AT_ONCE = 50, 20
"""Ids in one question, as Kraken takes them."""
QUESTIONS = 5
"""Of trades, in one look: each counts as much as a page of their history. What is left comes with the next."""


class Ask(Protocol):
    """How the venue is asked."""

    async def __call__(self, method: str, within: float, fields: Mapping[str, object]) -> Any: ...


@dataclass(slots=True)
class Owed:
    """What an order says is executed, and since when it says more than its fills."""

    executed: Decimal
    since: datetime


@dataclass(slots=True)
class Arrears:
    """Of one account, beside its tape."""

    tape: Tape
    owed: dict[str, Owed] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)
    """Trades that were put on the tape because an order had them."""

    def note(self, reports: Iterable[OrderReport], now: datetime) -> None:
        """Count what orders say is executed against what was told of them."""
        for report in reports:
            row = self.owed.get(report.venue_order_id)
            if row is None and self._told(report.venue_order_id) < report.filled:
                self.owed[report.venue_order_id] = Owed(report.filled, now)
            elif row is not None and row.executed < report.filled:
                row.executed, row.since = report.filled, now
        self._strike()

    def holds_back(self, now: datetime) -> bool:
        """Whether what is read may not be called whole yet."""
        return any(now - row.since < HELD_BACK for row in self.owed.values())

    def problem(self, now: datetime) -> str:
        """What is missing for long, in words; "" where nothing is. A fill may also have come by the stream."""
        self._strike()
        late = {key: row for key, row in self.owed.items() if now - row.since >= HELD_BACK}
        if not late:
            return ""
        key, row = min(late.items(), key=lambda one: one[1].since)
        told, more = plain(self._told(key)), f", and {len(late) - 1} more" if len(late) > 1 else ""
        return (
            f"The venue says that {plain(row.executed)} of order {key} is executed, and tells fills of {told} (since"
            f" {row.since:%-d %B %H:%M} UTC{more})"
        )

    async def ask(self, ask: Ask, within: float, known: Pairs, now: datetime) -> None:
        """Ask for what is owed, and put it on the tape. Raises ValueError and its kin for what is none of the protocol."""
        wanted = [key for key, row in self.owed.items() if now - row.since < ASKED_FOR][:ORDERS_AT_ONCE]
        if not wanted:
            return
        said = await ask("QueryOrders", within, {"txid": ",".join(wanted), "trades": True})
        named = (str(trade) for key in wanted for trade in said.get(key, {}).get("trades") or ())
        missing = [trade for trade in dict.fromkeys(named) if trade not in self.tape.fills]
        for start in range(0, min(len(missing), QUESTIONS * TRADES_AT_ONCE), TRADES_AT_ONCE):
            some = missing[start : start + TRADES_AT_ONCE]
            rows = await ask("QueryTrades", within, {"txid": ",".join(some)})
            for fill in _fills(rows, some, known):
                self.told.add(fill.venue_fill_id)
                self.tape.tell_fill(fill)
        self._strike()

    def _told(self, order_id: str) -> Decimal:
        return self.tape.filled.get(order_id, ZERO)

    def _strike(self) -> None:
        """What was told meanwhile is owed no more."""
        self.owed = {key: row for key, row in self.owed.items() if self._told(key) < row.executed}


def _fills(rows: Mapping[str, Any], wanted: Sequence[str], known: Pairs) -> list[FillReport]:
    """QueryTrades, oldest first. A trade that it does not tell yet comes later."""
    found = [(trade, rows[trade]) for trade in wanted if trade in rows]
    return [orders.fill(trade, row, "", known) for trade, row in sorted(found, key=lambda one: float(one[1]["time"]))]
