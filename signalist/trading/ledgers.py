"""What one fold of venues' reports works on, read in a constant number of queries, and what it changes.

Positions are found by their subscription and by the execution that opened them, so that a fill costs the same in any batch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from signalist.accounts.models import Account
from signalist.db import fast
from signalist.domain.orders import Leg, OrderStatus
from signalist.events.outbox import Fact
from signalist.markets.selectors import instruments
from signalist.trading.fees import Rates
from signalist.trading.models import STILL_ACTIVE, Execution, Fill, Order, Position, Trade
from signalist.trading.selectors import attach_causes
from signalist.venues.base import FillReport, Reports


@dataclass(slots=True)
class Ledger:
    """What one fold works on and what it changes. `guarding`: (position, leg, rung) of each stop and target that is active already."""

    now: datetime
    accounts: Mapping[int, Account]
    orders: dict[str, Order]
    positions: dict[int, Position]
    seen: set[tuple[int, str]]
    guarding: set[tuple[int, str, int]]
    new_positions: list[Position] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)
    trades: list[Trade] = field(default_factory=list)
    touched_orders: dict[int, Order] = field(default_factory=dict)
    touched_positions: dict[int, Position] = field(default_factory=dict)
    halted: list[Account] = field(default_factory=list)
    strangers: dict[int, list[FillReport]] = field(default_factory=dict)
    facts: list[Fact] = field(default_factory=list)
    of_subscription: dict[int, list[Position]] = field(default_factory=lambda: defaultdict(list))
    rates: Rates = field(default_factory=Rates)
    opened_by: dict[int, list[Position]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        for position in self.positions.values():
            self.of_subscription[position.subscription_id].append(position)

    def add(self, position: Position) -> None:
        """A fill has opened a position."""
        self.new_positions.append(position)
        self.of_subscription[position.subscription_id].append(position)
        self.opened_by[position.entry_execution_id].append(position)

    def open_of(self, subscription_id: int) -> Iterator[Position]:
        """What a subscription holds open, as far as this fold knows."""
        return (p for p in self.of_subscription.get(subscription_id, ()) if p.is_open)


def opened_ledger(
    reports: Mapping[int, Reports], accounts: Mapping[int, Account], now: datetime, named: Sequence[str] = ()
) -> Ledger:
    """The ledger of a fold of `reports`, and of the orders `named` besides; the orders are locked."""
    ids = {f.client_order_id for r in reports.values() for f in r.fills} | {
        o.client_order_id for r in reports.values() for o in r.orders
    }
    orders = {
        order.client_order_id: order
        for order in fast.select_ids(Order, sorted(ids | set(named)), column="client_order_id", lock="update")
    }
    attach(list(orders.values()))
    fill_ids = sorted({f.venue_fill_id for r in reports.values() for f in r.fills})
    seen = {(fill.account_id, fill.venue_fill_id) for fill in fast.select_ids(Fill, fill_ids, column="venue_fill_id")}
    of_orders = sorted({o.position_id for o in orders.values() if o.position_id})
    trading = sorted({o.subscription_id for o in orders.values()})
    positions = {p.pk: p for p in fast.select_ids(Position, of_orders)}
    positions |= {p.pk: p for p in fast.select_ids(Position, trading, "is_open", column="subscription_id")}
    return Ledger(now, accounts, orders, positions, seen, _guarding(orders.values()))


def _guarding(orders: Iterable[Order]) -> set[tuple[int, str, int]]:
    """What protects the positions of the stops and targets among `orders` that have been given up and may have been replaced."""
    given_up = {o.position_id for o in orders if Leg(o.leg).protects and o.state is OrderStatus.REJECTED}
    active = fast.select_ids(
        Order,
        sorted(filter(None, given_up)),
        f"{STILL_ACTIVE} AND leg IN ('STOP', 'TARGET') AND NOT superseded",
        column="position_id",
    )
    return {(order.position_id or 0, order.leg, order.rung) for order in active}


def attach(orders: Sequence[Order]) -> None:
    """Give `orders` their executions, with signal or instruction, and their instruments, in a constant number of queries."""
    executions = {e.pk: e for e in fast.select_ids(Execution, sorted({o.execution_id for o in orders}))}
    attach_causes(list(executions.values()), subscriptions=False)
    known = instruments({order.instrument_id for order in orders})
    for order in orders:
        fast.relate(order, "execution", executions[order.execution_id])
        fast.relate(order, "instrument", known[order.instrument_id])
