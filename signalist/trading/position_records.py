"""One position, whole: how it stands or ended, its orders and fills, and what stands in the way of closing it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from signalist.accounts.models import Account
from signalist.trading import closed_trades, order_book
from signalist.trading.closed_trades import TradeLine
from signalist.trading.marked_positions import Cover, OpenPosition
from signalist.trading.models import Fill, Order, Subscription, Trade
from signalist.trading.open_positions import position_row, seen
from signalist.trading.order_book import FillLine, OrderLine
from signalist.trading.protection_records import ProtectionRecord, protection_record


@dataclass(frozen=True, slots=True)
class PositionRecord:
    """A position with all that made it. `halted` is why it takes no exits now, empty where it does."""

    position: OpenPosition
    is_open: bool
    opened_at: datetime
    closed_at: datetime | None
    trade: TradeLine | None
    orders: Sequence[OrderLine]
    fills: Sequence[FillLine]
    halted: str
    protection: ProtectionRecord

    @property
    def is_closing(self) -> bool:
        """Whether an exit is asked for or under way."""
        return self.position.cover is Cover.CLOSING

    @property
    def can_close(self) -> bool:
        """Whether a command to close it would be carried out."""
        return self.is_open and not self.is_closing and not self.halted


def position_record(
    position_id: int, now: datetime, halt_over: Callable[[Account, Subscription | None], str]
) -> PositionRecord | None:
    """One of the tenant's positions; None where there is none. A constant number of queries.

    `halt_over` says why nothing of a subscription's would be closed now, "" where it would.
    """
    row = position_row(position_id)
    if row is None:
        return None
    position = seen([row], now)[0]
    trades = closed_trades.lines(Trade.objects.filter(position=row))
    orders = list(Order.objects.filter(position=row).order_by("pk"))
    fills = Fill.objects.filter(position=row).order_by("time", "pk")
    return PositionRecord(
        position=position,
        is_open=row.is_open,
        opened_at=row.opened_at,
        closed_at=row.closed_at,
        trade=trades[0] if trades else None,
        orders=order_book.lines(orders),
        fills=[order_book.fill_line(fill) for fill in fills],
        halted=halt_over(row.subscription.account, row.subscription) if row.is_open else "",
        protection=protection_record(row, orders),
    )
