"""Reads our side of accounts for the stage `compare`, in a constant number of queries whatever their number."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal

from signalist.accounts.models import Account
from signalist.db import fast
from signalist.domain.money import ZERO
from signalist.domain.orders import Side
from signalist.domain.positions import closed_gross
from signalist.domain.signals import Direction
from signalist.execution import leases
from signalist.markets.selectors import instruments
from signalist.trading import dust
from signalist.trading.comparing import Books
from signalist.trading.discrepancies import AccountLook
from signalist.trading.fees import taken_elsewhere
from signalist.trading.models import STILL_ACTIVE, AccountBalance, Fill, Order, Position, Trade
from signalist.trading.noting import foreign_sums, standing


def books_of(
    account_ids: Sequence[int], engine: uuid.UUID | None, *, lock: str = ""
) -> dict[int, tuple[Account, Books]]:
    """The accounts of these that `engine` holds (None: all), with their books; `lock` is that of the accounts' rows."""
    found = fast.select_ids(Account, sorted(account_ids), lock=lock)
    accounts = leases.mine(found, engine)
    ids = sorted(accounts)
    orders: dict[int, list[Order]] = defaultdict(list)
    positions: dict[int, list[Position]] = defaultdict(list)
    for order in fast.select_ids(Order, ids, STILL_ACTIVE, column="account_id"):
        orders[order.account_id].append(order)
    for position in fast.select_ids(Position, ids, "is_open", column="account_id"):
        positions[position.account_id].append(position)
    closed = _closed([p for found in positions.values() for p in found if p.exit_quantity])
    pieces = dust.pieces(ids)
    left = dust.sums(pieces)
    cursors = {b.account_id: b.cursor for b in fast.select_ids(AccountBalance, ids, column="account_id")}
    looks = {look.account_id: look for look in fast.select_ids(AccountLook, ids, column="account_id")}
    differing = standing(ids)
    foreign = foreign_sums([row for rows in differing.values() for row in rows])
    trades = _trades(looks)
    elsewhere = taken_elsewhere({p.pk for found in positions.values() for p in found} | {t.position_id for t in trades})
    earned = _earned(trades, elsewhere)
    traded = {o.instrument_id for found in orders.values() for o in found}
    traded |= {p.instrument_id for found in positions.values() for p in found}
    traded |= {instrument_id for found in left.values() for instrument_id in found}
    symbols = {key: instrument.symbol for key, instrument in instruments(traded).items()}
    return {
        key: (
            accounts[key],
            Books(
                cursor=cursors.get(key, ""),
                orders=orders[key],
                positions=positions[key],
                dust={symbols[instrument_id]: quantity for instrument_id, quantity in left.get(key, {}).items()},
                worth=_worth([p for p in pieces if p.account_id == key], left.get(key, {}), looks.get(key)),
                symbols=symbols,
                standing=differing.get(key, []),
                look=looks.get(key),
                foreign=foreign,
                earned=earned.get(key, ZERO),
                closed=closed,
                elsewhere=elsewhere,
                currency=accounts[key].currency,
            ),
        )
        for key in ids
    }


def _closed(positions: Sequence[Position]) -> dict[int, Decimal]:
    """What the closed parts of these positions brought before fees; one query, none without any."""
    fills: dict[int, list[Fill]] = defaultdict(list)
    for fill in fast.select_ids(Fill, sorted(p.pk for p in positions), column="position_id"):
        assert fill.position_id is not None
        fills[fill.position_id].append(fill)
    found = {}
    for position in positions:
        # As we heard of them: venues tell fills in their order, and their times may be those of a bar.
        told = [(Side(f.side), f.quantity, f.price) for f in sorted(fills[position.pk], key=lambda f: f.pk)]
        gross = closed_gross(Direction(position.direction), told)
        found[position.pk] = position.holding().gross if gross is None else gross
    return found


def _worth(pieces: Sequence[Position], left: Mapping[int, Decimal], look: AccountLook | None) -> Decimal:
    return dust.worth(pieces, left, None if look is None else look.looked_at)


def at_stake(account_ids: Sequence[int]) -> set[int]:
    """Those of these accounts that have an open position or an order under way; two queries."""
    orders = fast.select_ids(Order, sorted(account_ids), STILL_ACTIVE, column="account_id")
    positions = fast.select_ids(Position, sorted(account_ids), "is_open", column="account_id")
    return {order.account_id for order in orders} | {position.account_id for position in positions}


def named_orders(client_order_ids: Collection[str]) -> dict[int, dict[str, Order]]:
    """The orders under these ids, whatever became of them, by account; one query."""
    named: dict[int, dict[str, Order]] = defaultdict(dict)
    for order in fast.select_ids(Order, sorted(client_order_ids), column="client_order_id"):
        named[order.account_id][order.client_order_id] = order
    return named


def last_trade() -> int:
    """The newest trade's id: a trade of an account whose row is locked will have a higher one."""
    return int(fast.tuples("SELECT COALESCE(MAX(id), 0) FROM trading_trade")[0][0])


def _trades(looks: dict[int, AccountLook]) -> list[Trade]:
    """Those since each account's base was taken. It is taken anew at every look that agrees, so these are few."""
    based = {key: look.booked_through for key, look in looks.items() if look.base is not None}
    if not based:
        return []
    mine, ids = fast.among("account_id", sorted(based))
    found = fast.select(Trade, f"id > %s AND {mine} ORDER BY id", [min(based.values()), *ids])
    return [trade for trade in found if trade.pk > based[trade.account_id]]


def _earned(trades: Sequence[Trade], elsewhere: Mapping[int, Decimal]) -> dict[int, Decimal]:
    """What these brought of their accounts' money: a fee that was taken in another currency was not taken of it."""
    sums: dict[int, Decimal] = {}
    for trade in trades:
        brought = trade.net + elsewhere.get(trade.position_id, ZERO)
        sums[trade.account_id] = sums.get(trade.account_id, ZERO) + brought
    return sums
