"""Knows our orders again at venues that tell no name of ours: a report is the order's that has the venue's own id.

Called inside one transaction with the accounts locked. A report that may be of the order which is on its way there, and whose id the
venue has not told us yet, waits: the account's reports are not folded, and its cursor stays, until that order has its id.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from signalist.accounts.models import Account
from signalist.db import fast
from signalist.domain.money import ZERO
from signalist.domain.orders import OrderStatus, Side
from signalist.markets.selectors import instruments
from signalist.trading.discrepancies import Discrepancy, ForeignFill, Kind, State
from signalist.trading.models import Order
from signalist.trading.noting import standing
from signalist.venues.base import Balance, FillReport, OrderReport, Reports

WITHOUT_ID = "nameless AND venue_order_id = '' AND status IN ('SENDING', 'UNKNOWN')"
"""An order on its way, or in doubt, of which nothing is known at its venue."""
CANDIDATES = "candidates"
"""Among the facts of a difference: the venue's orders that may be ours, as text; "" where there is none."""
HELD_BACK = timedelta(seconds=30)
"""So long at most reports wait for the id of an order: what else they tell must be booked."""

_NAMED = "nameless AND NOT venue_order_id = ''"


def known(venue_order_ids: Collection[str]) -> dict[tuple[int, str], Order]:
    """The orders of ours that have these ids at their venues, by (account, id); one query, none where there are no ids."""
    found = fast.select_ids(Order, sorted(set(venue_order_ids) - {""}), _NAMED, column="venue_order_id")
    return {(order.account_id, order.venue_order_id): order for order in found}


def named(reports: Mapping[int, Reports]) -> Mapping[int, Reports]:
    """The reports (account id → reports) with our ids in those that are of our orders and came without."""
    nameless = [line.venue_order_id for said in reports.values() for line in _without_name(said)]
    if not nameless:
        return reports
    orders = known(nameless)

    def name(account_id: int, line: OrderReport | FillReport) -> str:
        order = orders.get((account_id, line.venue_order_id))
        return line.client_order_id or ("" if order is None else order.client_order_id)

    return {
        key: replace(
            said,
            orders=tuple(replace(line, client_order_id=name(key, line)) for line in said.orders),
            fills=tuple(replace(line, client_order_id=name(key, line)) for line in said.fills),
        )
        for key, said in reports.items()
    }


def waiting(reports: Mapping[int, Reports], now: datetime) -> set[int]:
    """The accounts of which something is reported that may be of an order of ours that has no id yet."""
    asked = {key: lines for key, said in reports.items() if (lines := _without_name(said))}
    if not asked:
        return set()
    on_the_way: dict[int, list[Order]] = defaultdict(list)
    for order in fast.select_ids(Order, sorted(asked), WITHOUT_ID, column="account_id"):
        if now - order.updated_at < HELD_BACK:
            on_the_way[order.account_id].append(order)
    if not on_the_way:
        return set()
    orders = known({line.venue_order_id for key in on_the_way for line in asked[key]})
    questions = {row.subject for row in questioned(sorted(on_the_way)).values()}
    found = set()
    for key, candidates in on_the_way.items():
        strange = [line for line in asked[key] if (key, line.venue_order_id) not in orders]
        if any(_may_be(line, order) for line in strange for order in candidates if _is_open(order, questions)):
            found.add(key)
    return found


def questioned(account_ids: Sequence[int]) -> dict[str, Discrepancy]:
    """The open questions which of several orders at a venue is ours, by our order's id."""
    rows = (row for found in standing(account_ids).values() for row in found)
    return {
        row.subject: row
        for row in rows
        if row.kind == Kind.ORDER_IN_DOUBT and row.state == State.OPEN and row.facts.get(CANDIDATES)
    }


def taken_back(found: Sequence[OrderReport], accounts: Mapping[int, Account]) -> dict[int, Reports]:
    """What was kept as fills of strangers and is of these orders, which now are known as ours: account id → reports to fold."""
    ours = {order.venue_order_id: order.client_order_id for order in found}
    fills: dict[int, list[FillReport]] = defaultdict(list)
    for fill in fast.select_ids(ForeignFill, sorted(accounts), column="account_id") if ours else ():
        if fill.venue_order_id in ours:
            fills[fill.account_id].append(replace(_told(fill), client_order_id=ours[fill.venue_order_id]))
    # Not written: what was told is no word of the venue on its money.
    return {
        key: Reports((), tuple(told), Balance(accounts[key].currency, ZERO, ZERO), "") for key, told in fills.items()
    }


def _told(fill: ForeignFill) -> FillReport:
    return FillReport(
        fill.venue_fill_id,
        "",
        Side(fill.side),
        fill.symbol,
        fill.quantity,
        fill.price,
        fill.fee,
        fill.fee_currency,
        fill.time,
        fill.venue_order_id,
    )


def _without_name(said: Reports) -> list[OrderReport | FillReport]:
    lines: Iterable[OrderReport | FillReport] = (*said.orders, *said.fills)
    return [line for line in lines if not line.client_order_id and line.venue_order_id]


def _is_open(order: Order, questions: Collection[str]) -> bool:
    """Whether it is still to be found out; once a person was asked, nothing waits for the answer."""
    return order.state is OrderStatus.SENDING or order.client_order_id not in questions


def _may_be(line: OrderReport | FillReport, order: Order) -> bool:
    """Whether a report may be of this order; a change of an order tells neither symbol nor side."""
    if isinstance(line, OrderReport):
        return True
    symbol = instruments({order.instrument_id})[order.instrument_id].symbol
    return line.symbol == symbol and line.side == order.side
