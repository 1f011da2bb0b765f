"""What is known of an account since a moment, whoever told it: orders merged by their id, fills each once, in the order of arrival. Pure.

The stream tells an order whole only once and then what has changed of it, without its symbol and side; histories tell it whole. Both tell
fills under the same id. A cursor names this tape, a place on it, and a moment, so that a tape of another process takes up where one ended:
what lies around that moment is then told again, and whoever reads knows fills by their ids.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from signalist.domain.money import ZERO
from signalist.domain.orders import OrderStatus, Side
from signalist.venues.base import FillReport, OrderReport
from signalist.venues.kraken.parse import instant, number, side

OVERLAP = timedelta(seconds=10)
"""How far before its moment a cursor of another tape is read again: a venue's histories are a little behind."""
KEPT = 5_000
"""Rows that a tape holds; who reads from before them is answered from the venue's histories."""

_EXECUTIONS: Mapping[str, OrderStatus] = {
    "pending_new": OrderStatus.WORKING,
    "new": OrderStatus.WORKING,
    "partially_filled": OrderStatus.PARTIAL,
    "filled": OrderStatus.FILLED,
    "canceled": OrderStatus.CANCELLED,
    "expired": OrderStatus.EXPIRED,
}


@dataclass(frozen=True, slots=True)
class Known:
    """An order as far as it has been told. `side` is None, and `symbol` "", where only a part of it was ever said."""

    report: OrderReport
    symbol: str = ""
    side: Side | None = None
    taken_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place: `after` rows of tape `run`, and the moment up to which everything was told there."""

    run: str
    after: int
    moment: datetime | None

    def __str__(self) -> str:
        micros = "" if self.moment is None else int((self.moment - _EPOCH) / timedelta(microseconds=1))
        return f"{self.run}.{self.after}.{micros}"

    @classmethod
    def of(cls, text: str) -> Cursor | None:
        """The cursor that this is, None for none or one that is not ours."""
        run, _, rest = text.partition(".")
        after, _, micros = rest.partition(".")
        if not run or not after.isdecimal():
            return None
        return cls(run, int(after), _EPOCH + timedelta(microseconds=int(micros)) if micros.isdecimal() else None)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Row = OrderReport | FillReport


@dataclass(slots=True)
class Tape:
    """One account's. `since` to `until`: everything in between has been told; what is later may have gaps. `base` rows were let go."""

    run: str
    since: datetime | None = None
    until: datetime | None = None
    base: int = 0
    rows: list[Row] = field(default_factory=list)
    orders: dict[str, Known] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    """The venue's ids by ours."""
    fills: set[str] = field(default_factory=set)
    filled: dict[str, Decimal] = field(default_factory=dict)
    """By order, how much of it the fills that were told add up to."""

    @property
    def head(self) -> int:
        return self.base + len(self.rows)

    def cursor(self) -> str:
        """The place behind everything."""
        return str(Cursor(self.run, self.head, self.until))

    def holds(self, cursor: Cursor | None) -> bool:
        """Whether what is behind this place is on the tape."""
        return cursor is not None and cursor.run == self.run and self.base <= cursor.after <= self.head

    def after(self, cursor: Cursor) -> list[Row]:
        """What is behind a place that this tape holds."""
        return self.rows[cursor.after - self.base :]

    def from_moment(self, moment: datetime) -> list[Row]:
        """What happened from a moment on, in order of time."""
        return sorted((row for row in self.rows if row.time >= moment), key=lambda row: row.time)

    def order(self, client_order_id: str) -> Known | None:
        """An order under our id, as far as it is known."""
        return self.orders.get(self.names.get(client_order_id, ""))

    def lacks_fills(self, reports: Iterable[OrderReport]) -> bool:
        """Whether any of these orders has filled more than its fills that were told."""
        return any(report.filled > self.filled.get(report.venue_order_id, ZERO) for report in reports)

    def is_whole(self, since: datetime | None, until: datetime) -> None:
        """Everything between these moments has been told (`since` None: from where it was whole already)."""
        if since is not None:
            self.since = since if self.since is None else min(self.since, since)
        self.until = until if self.until is None else max(self.until, until)

    # --- What is told ----------------------------------------------------------------------------

    def placed(
        self, order_id: str, client_order_id: str, symbol: str, taker: Side, quantity: Decimal, at: datetime
    ) -> None:
        """The venue has taken an order; what becomes of it comes later, or came before this answer."""
        self.names[client_order_id] = order_id
        if order_id not in self.orders:
            report = OrderReport(client_order_id, order_id, OrderStatus.WORKING, quantity, ZERO, "", at)
            self.orders[order_id] = Known(report, symbol, taker, at)
            return
        known = self.orders[order_id]
        report = replace(known.report, client_order_id=client_order_id, quantity=known.report.quantity or quantity)
        self.orders[order_id] = replace(known, report=report, symbol=symbol, side=taker, taken_at=at)

    def tell_order(
        self, report: OrderReport, symbol: str = "", taker: Side | None = None, at: datetime | None = None
    ) -> None:
        """An order's state. What says nothing new is passed over, and so is what would take it back."""
        known = self.orders.get(report.venue_order_id)
        before = None if known is None else known.report
        if before is not None:
            report = replace(report, client_order_id=report.client_order_id or before.client_order_id)
            if before.status.is_final and not report.status.is_final:
                return
            if report.filled < before.filled:
                report = replace(report, filled=before.filled)
            known_symbol, known_side, known_at = (
                (known.symbol, known.side, known.taken_at) if known else ("", None, None)
            )
            symbol, taker, at = symbol or known_symbol, taker or known_side, at or known_at
        self.orders[report.venue_order_id] = Known(report, symbol, taker, at)
        if report.client_order_id:
            self.names[report.client_order_id] = report.venue_order_id
        if before is None or (before.status, before.filled, before.quantity) != (
            report.status,
            report.filled,
            report.quantity,
        ):
            self._add(report)

    def tell_fill(self, fill: FillReport) -> None:
        """A fill, unless it has been told."""
        if fill.venue_fill_id in self.fills:
            return
        self.fills.add(fill.venue_fill_id)
        self.filled[fill.venue_order_id] = self.filled.get(fill.venue_order_id, ZERO) + fill.quantity
        known = self.orders.get(fill.venue_order_id)
        if not fill.client_order_id and known is not None:
            fill = replace(fill, client_order_id=known.report.client_order_id)
        self._add(fill)

    def tell_executions(self, rows: Sequence[Mapping[str, Any]]) -> bool:
        """A message of the executions channel, merged. Whether all of it could be understood: where a fill lacks what was never told of
        its order, the venue has to be asked."""
        understood = [self._execution(row) for row in rows]
        return all(understood)

    def _execution(self, row: Mapping[str, Any]) -> bool:
        order_id, at = str(row["order_id"]), instant(str(row["timestamp"]))
        known = self.orders.get(order_id)
        before = None if known is None else known.report
        symbol = str(row.get("symbol") or (known.symbol if known else ""))
        taker = side(str(row["side"])) if row.get("side") else known.side if known else None
        name = str(row.get("cl_ord_id") or (before.client_order_id if before else ""))
        if row["exec_type"] == "trade" and not self._traded(row, order_id, name, symbol, taker, at):
            return False
        quantity = number(row["order_qty"]) if row.get("order_qty") is not None else before.quantity if before else None
        if quantity is None:
            return bool(row["exec_type"] == "trade")  # a fill from long ago tells nothing of its order
        filled = number(row["cum_qty"]) if row.get("cum_qty") is not None else before.filled if before else ZERO
        state = _EXECUTIONS[str(row["order_status"])]
        if state is OrderStatus.WORKING and filled > 0:
            state = OrderStatus.PARTIAL
        # A fill may say "filled" before the order does, and "partially filled" where it completes it: what is filled decides.
        if row["exec_type"] == "trade" and not state.is_final and filled >= quantity > 0:
            state = OrderStatus.FILLED
        reason = str(row.get("reason") or "")
        self.tell_order(OrderReport(name, order_id, state, quantity, filled, reason, at), symbol, taker)
        return True

    def _traded(
        self, row: Mapping[str, Any], order_id: str, name: str, symbol: str, taker: Side | None, at: datetime
    ) -> bool:
        if taker is None or not symbol:
            return False
        fees = [(str(fee["asset"]), number(fee["qty"])) for fee in row.get("fees") or ()]
        currency, fee = fees[0] if fees else (symbol.rpartition("/")[2], ZERO)
        quantity, price = number(row["last_qty"]), number(row["last_price"])
        self.tell_fill(
            FillReport(str(row["exec_id"]), name, taker, symbol, quantity, price, fee, currency, at, order_id)
        )
        return True

    def _add(self, row: Row) -> None:
        self.rows.append(row)
        if len(self.rows) > 2 * KEPT:
            gone = self.rows[:KEPT]
            del self.rows[:KEPT]
            self.base += KEPT
            self.since = max(row.time for row in gone)
            for old in gone:
                self._let_go(old)

    def _let_go(self, row: Row) -> None:
        """Forget what a row told, where it is over."""
        if isinstance(row, FillReport):
            self.fills.discard(row.venue_fill_id)
        elif row.status.is_final:
            self.filled.pop(row.venue_order_id, None)
            if (known := self.orders.pop(row.venue_order_id, None)) is not None:
                self.names.pop(known.report.client_order_id, None)
