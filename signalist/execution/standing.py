"""What a batch of decisions needs to know, read in a constant number of queries whatever its size.

Accounts are locked in id order before anything about them is read, so that two engines cannot spend the same money; their active
orders are locked too, so that none is sent by another engine while it is being withdrawn here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time
from decimal import Decimal

from signalist.accounts.models import Account
from signalist.db import fast
from signalist.domain.instruments import InstrumentSpec
from signalist.domain.money import ZERO
from signalist.domain.orders import Leg
from signalist.domain.rules import Standing
from signalist.execution.cooldowns import last_entries
from signalist.markets.models import Instrument
from signalist.markets.selectors import instruments, latest_prices
from signalist.risk.restraints import Restraint, Restraints, restraints
from signalist.trading.fees import Rates
from signalist.trading.models import (
    STILL_ACTIVE,
    AccountBalance,
    AccountDay,
    DailyResult,
    Execution,
    Order,
    Position,
    Reservation,
    Trade,
)
from signalist.trading.noting import paused_markets
from signalist.trading.selectors import attach_causes


@dataclass(frozen=True, slots=True)
class Closed:
    """Trades that were closed, in one currency; `net` is `gross` less `fees`."""

    trades: int = 0
    gross: Decimal = ZERO
    fees: Decimal = ZERO
    net: Decimal = ZERO

    def __add__(self, other: Closed) -> Closed:
        return Closed(
            self.trades + other.trades, self.gross + other.gross, self.fees + other.fees, self.net + other.net
        )


@dataclass(slots=True)
class AccountBook:
    """An account as the batch sees it; entries decided earlier in the batch are counted in."""

    account: Account
    balance: AccountBalance | None = None
    day: AccountDay | None = None
    positions: list[Position] = field(default_factory=list)
    held_amount: Decimal = ZERO
    held_notional: Decimal = ZERO
    slots: int = 0


@dataclass(slots=True)
class Picture:
    """Everything a batch decides on."""

    now: datetime
    accounts: dict[int, AccountBook]
    instruments: Mapping[int, Instrument]
    prices: dict[int, tuple[Decimal, datetime]]
    position_of: dict[int, Position]
    orders_of: dict[int, list[Order]]
    entries_today: dict[int, int]
    closed_today: dict[int, Closed]
    exits_waiting: dict[int, list[tuple[int, str]]]
    restraints: Restraints = field(default_factory=Restraints)
    leftovers: frozenset[tuple[int, int]] = frozenset()
    """(account, instrument) where a stop or target of a position that is closed is still active: it would take the next one's quantity."""
    protecting: Mapping[int, Sequence[Order]] = field(default_factory=dict)
    """By account, its active stops and targets."""
    paused: Mapping[tuple[int, int | None], str] = field(default_factory=dict)
    last_entries: Mapping[int, datetime] = field(default_factory=dict)
    specs: dict[int, InstrumentSpec] = field(default_factory=dict)
    new_days: list[AccountDay] = field(default_factory=list)
    rates: Rates = field(default_factory=Rates)
    """Between currencies, each read once a batch."""

    def spec(self, instrument_id: int) -> InstrumentSpec:
        """The instrument's rules, made once a batch."""
        if instrument_id not in self.specs:
            self.specs[instrument_id] = self.instruments[instrument_id].spec()
        return self.specs[instrument_id]

    def restraint(self, execution: Execution) -> Restraint | None:
        """The strictest kill switch over the execution's subscription, if any is thrown."""
        account = self.accounts[execution.account_id].account
        return self.restraints.strictest(account, execution.subscription.strategy_id, execution.subscription_id)

    def difference(self, execution: Execution) -> str | None:
        """What our books and the venue do not agree on in the execution's market, or about the account's money; None for nothing."""
        account_id = execution.account_id
        market = self.paused.get((account_id, execution.subscription.instrument_id))
        return market if market is not None else self.paused.get((account_id, None))

    def standing(self, subscription_id: int, book: AccountBook) -> Standing:
        """Where the account and the subscription stand now. The balance must be known."""
        assert book.balance is not None
        open_result = sum((self._open_result(p) for p in book.positions), ZERO)
        equity = book.balance.total + open_result
        return Standing(
            available=book.balance.available - book.held_amount,
            equity=equity,
            day_start_equity=self._day(book, equity).equity,
            open_positions=len(book.positions) + book.slots,
            entries_today=self.entries_today.get(subscription_id, 0),
            result_today=self._result_today(subscription_id, book),
            exposure=sum((p.quantity * self._price(p) for p in book.positions), ZERO) + book.held_notional,
        )

    def _result_today(self, subscription_id: int, book: AccountBook) -> Decimal:
        mine = [p for p in book.positions if p.subscription_id == subscription_id]
        closed = self.closed_today.get(subscription_id, Closed())
        return closed.net + sum((p.holding().net + self._open_result(p) for p in mine), ZERO)

    def _open_result(self, position: Position) -> Decimal:
        return position.holding().open_result(self._price(position))

    def _price(self, position: Position) -> Decimal:
        known = self.prices.get(position.instrument_id)
        return known[0] if known else position.holding().average_entry

    def _day(self, book: AccountBook, equity: Decimal) -> AccountDay:
        if book.day is None:
            account = book.account
            book.day = fast.new(
                AccountDay, tenant_id=account.tenant_id, account=account, day=self.now.date(), equity=equity
            )
            self.new_days.append(book.day)
        return book.day


def picture(executions: Sequence[Execution], now: datetime, *, lock: str = "update") -> Picture:
    """Lock the accounts of `executions` and read what deciding them takes, their subscriptions and schedules included.

    Without a `lock` ("") nothing may be decided by it, and the executions, which need not be stored, bring their causes along.
    """
    account_ids = sorted({execution.account_id for execution in executions})
    subscription_ids = {execution.subscription_id for execution in executions}
    books = {a.pk: AccountBook(a) for a in fast.select_ids(Account, account_ids, lock=lock)}
    if lock:
        # Only now: what a subscriber has just changed was changed under the account's lock.
        attach_causes(executions)
    positions = fast.select_ids(Position, account_ids, "is_open", column="account_id")
    for position in positions:
        books[position.account_id].positions.append(position)
    orders_of: dict[int, list[Order]] = defaultdict(list)
    protecting: dict[int, list[Order]] = defaultdict(list)
    for order in fast.select_ids(Order, account_ids, STILL_ACTIVE, column="account_id", lock=lock):
        orders_of[order.subscription_id].append(order)
        if Leg(order.leg).protects:
            protecting[order.account_id].append(order)
    instrument_ids = {e.subscription.instrument_id for e in executions} | {p.instrument_id for p in positions}
    _money(books, now)
    return Picture(
        now=now,
        accounts=books,
        instruments=instruments(instrument_ids),
        prices=latest_prices(instrument_ids),
        position_of={p.subscription_id: p for p in positions},
        orders_of=orders_of,
        entries_today=entries_today(subscription_ids, now),
        closed_today=closed_today(subscription_ids, now),
        exits_waiting=_exits_waiting(subscription_ids, {execution.pk for execution in executions}),
        # Where nothing is decided nobody asks what is stopped.
        restraints=restraints({book.account.tenant_id for book in books.values()}) if lock else Restraints(),
        leftovers=_leftovers(protecting, positions),
        protecting=protecting,
        paused=paused_markets(account_ids),
        last_entries=last_entries(executions, now) if lock else {},
    )


def _leftovers(protecting: Mapping[int, Sequence[Order]], held: Sequence[Position]) -> frozenset[tuple[int, int]]:
    open_now = {position.pk for position in held}
    legs = (order for orders in protecting.values() for order in orders)
    return frozenset((o.account_id, o.instrument_id) for o in legs if o.position_id not in open_now)


def _money(books: dict[int, AccountBook], now: datetime) -> None:
    ids = sorted(books)
    for balance in fast.select_ids(AccountBalance, ids, column="account_id"):
        books[balance.account_id].balance = balance
    for day in fast.select_ids(AccountDay, ids, f"day = '{now.date().isoformat()}'", column="account_id"):
        books[day.account_id].day = day
    for held in fast.select_ids(Reservation, ids, "NOT released", column="account_id"):
        book = books[held.account_id]
        book.held_amount += held.amount
        book.held_notional += held.notional
        book.slots += 1


def _exits_waiting(subscription_ids: set[int], batch: set[int]) -> dict[int, list[tuple[int, str]]]:
    """By subscription, the (id, kind) of exits that another engine is deciding now, or that wait: its entries come after them."""
    mine, ids = fast.among("subscription_id", sorted(subscription_ids))
    waiting = fast.tuples(
        f"SELECT id, subscription_id, kind FROM trading_execution WHERE {mine} AND status = 'PENDING'"
        " AND kind IN ('EXIT_LONG', 'EXIT_SHORT')",
        ids,
    )
    found: dict[int, list[tuple[int, str]]] = {}
    for key, subscription_id, kind in waiting:
        if key not in batch:
            found.setdefault(subscription_id, []).append((key, kind))
    return found


def entries_today(subscription_ids: Collection[int], now: datetime) -> dict[int, int]:
    """How many entries each of these subscriptions was given today (UTC), which its limit counts; left out where there was none."""
    if not subscription_ids:
        return {}
    midnight = fast.prepared(Execution, "decided_at", datetime.combine(now.date(), time.min, now.tzinfo))
    mine, ids = fast.among("subscription_id", sorted(subscription_ids))
    counted = fast.tuples(
        f"SELECT subscription_id, COUNT(*) FROM trading_execution WHERE {mine} AND decided_at >= %s"
        " AND status IN ('TAKEN', 'RESIZED') AND kind IN ('LONG', 'SHORT') GROUP BY subscription_id",
        [*ids, midnight],
    )
    return dict(counted)


def closed_today(subscription_ids: Collection[int], now: datetime) -> dict[int, Closed]:
    """By subscription, its trades closed today (UTC), whether `measure` has folded them yet or not; nothing where there was none."""
    found: dict[int, Closed] = defaultdict(Closed)
    if not subscription_ids:
        return found
    wanted = set(subscription_ids)
    # Fresh trades before folded days: one that is folded in between is counted twice for a moment, never not at all.
    for trade in fast.select(Trade, "NOT measured ORDER BY id"):
        if trade.subscription_id in wanted and trade.closed_at.date() == now.date():
            found[trade.subscription_id] += Closed(1, trade.gross, trade.fees, trade.net)
    today = f"day = '{now.date().isoformat()}'"
    for row in fast.select_ids(DailyResult, sorted(wanted), today, column="subscription_id"):
        found[row.subscription_id] += Closed(row.trades, row.gross, row.fees, row.net)
    return found


def exits_and_entries_under_way(orders: Sequence[Order]) -> tuple[bool, bool]:
    """Whether an exit, and whether an entry, is on its way."""
    legs = {order.leg for order in orders}
    return Leg.EXIT.value in legs, Leg.ENTRY.value in legs
