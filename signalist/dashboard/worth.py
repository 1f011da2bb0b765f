"""What a tenant's accounts are worth now and were worth when the day began. Real and paper money are never one sum."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from decimal import Decimal

from signalist.accounts.models import Account, AccountState
from signalist.db import fast
from signalist.domain.money import ZERO
from signalist.trading.marked_positions import OpenPosition, PositionBook
from signalist.trading.models import AccountBalance, AccountDay, EquityPoint


@dataclass(frozen=True, slots=True)
class AccountWorth:
    """An account: `money` is what its venue said last (None before that), `base` what it was worth at 00:00 UTC, `began` what it was
    worth when its day began to trade (None where it has not); in its currency.
    """

    key: int
    name: str
    venue: str
    is_paper: bool
    currency: str
    state: str
    state_reason: str
    money: Decimal | None
    base: Decimal | None
    began: Decimal | None


@dataclass(frozen=True, slots=True)
class Worth:
    """The real accounts, or the paper accounts, with their open positions; amounts by currency."""

    is_paper: bool
    accounts: tuple[AccountWorth, ...]
    positions: tuple[OpenPosition, ...]

    @property
    def money(self) -> dict[str, Decimal]:
        """What the venues hold, without open results."""
        return _sums((account.currency, account.money) for account in self.accounts)

    @property
    def open_result(self) -> dict[str, Decimal]:
        """Won or lost in open positions at the newest prices, before the fee of closing."""
        nothing = dict.fromkeys((account.currency for account in self.accounts), ZERO)
        return nothing | _sums((position.market.quote, position.result) for position in self.positions)

    @property
    def at_stops(self) -> dict[str, Decimal]:
        """What would be lost from now on if every stop filled at its level; negative."""
        nothing = dict.fromkeys((account.currency for account in self.accounts), ZERO)
        return nothing | _sums((position.market.quote, position.at_stop) for position in self.positions)

    @property
    def equity(self) -> dict[str, Decimal]:
        """Money and open results."""
        return added(self.money, self.open_result)

    @property
    def change(self) -> dict[str, Decimal]:
        """How much more it is worth than at 00:00 UTC; of the accounts whose worth then is known."""
        return added(self.equity, _sums((a.currency, a.base) for a in self.accounts), sign=-1)

    @property
    def unknown(self) -> tuple[str, ...]:
        """Why equity cannot be told, if it cannot."""
        silent = [f"{account.name} has not been read yet" for account in self.accounts if account.money is None]
        markets = {position.market.symbol for position in self.positions if position.mark is None}
        return tuple(silent + [f"no price for {symbol}" for symbol in sorted(markets)])

    @property
    def unknown_change(self) -> tuple[str, ...]:
        """Why the day's change cannot be told, if it cannot."""
        return self.unknown + tuple(f"no worth of {a.name} at 00:00 UTC" for a in self.accounts if a.base is None)

    @property
    def without_stop(self) -> int:
        """How many positions no stop would end."""
        return sum(position.stop is None for position in self.positions)


@dataclass(frozen=True, slots=True)
class Books:
    """`main` is what headlines speak of: the real accounts where there are any, else the paper ones; `aside` the paper beside real."""

    main: Worth
    aside: Worth | None


def books(now: datetime, held: PositionBook) -> Books:
    """The books of the tenant behind the open door, with the positions that are `held`. Four queries."""
    accounts = _accounts(now)
    positions = {part.is_paper: tuple(part.positions) for part in held.parts}

    def of(is_paper: bool) -> Worth:
        return Worth(is_paper, tuple(a for a in accounts if a.is_paper == is_paper), positions.get(is_paper, ()))

    real, paper = of(False), of(True)
    if not real.accounts:
        return Books(paper, None)
    return Books(real, paper if paper.accounts else None)


def strictest(accounts: Sequence[AccountWorth]) -> str:
    """The strictest state of any account: HALTED before REDUCING before ACTIVE."""
    order = [AccountState.ACTIVE.value, AccountState.REDUCING.value, AccountState.HALTED.value]
    return max((account.state for account in accounts), key=order.index, default=AccountState.ACTIVE.value)


def added(one: Mapping[str, Decimal], other: Mapping[str, Decimal], *, sign: int = 1) -> dict[str, Decimal]:
    """Amounts by currency, `other` times `sign` added to `one`."""
    return {key: one.get(key, ZERO) + other.get(key, ZERO) * sign for key in {*one, *other}}


def _accounts(now: datetime) -> list[AccountWorth]:
    """With their venues' last word, and what is known of their worth when the day began."""
    accounts = fast.select(Account, "id > 0 ORDER BY id")
    ids = [account.pk for account in accounts]
    today = f"day = '{now.date().isoformat()}'"
    money = {row.account_id: row.total for row in fast.select_ids(AccountBalance, ids, column="account_id")}
    began = {row.account_id: row.equity for row in fast.select_ids(AccountDay, ids, today, column="account_id")}
    noted = _noted(ids, datetime.combine(now.date(), time.min, now.tzinfo))
    return [
        AccountWorth(
            account.pk,
            account.name,
            account.venue,
            account.is_paper,
            account.currency,
            account.state,
            account.state_reason,
            money.get(account.pk),
            # One without a past was opened with its deposit; one whose past was not noted, as the day's first decision saw it.
            next((v for v in (noted.get(account.pk), account.deposit, began.get(account.pk)) if v is not None), None),
            began.get(account.pk),
        )
        for account in accounts
    ]


def _noted(ids: Sequence[int], moment: datetime) -> dict[int, Decimal]:
    """What each account was worth at the last point up to `moment`: one look into the index for each."""
    if not ids:
        return {}
    chosen, keys = fast.among("id", ids)
    found = fast.tuples(
        "SELECT a.id, (SELECT p.equity FROM trading_equitypoint p WHERE p.account_id = a.id AND p.at <= %s"  # noqa: S608 our own words
        f" ORDER BY p.at DESC LIMIT 1) FROM accounts_account a WHERE a.{chosen}",
        [fast.prepared(EquityPoint, "at", moment), *keys],
    )
    return {key: Decimal(equity) for key, equity in found if equity is not None}


def _sums(amounts: Iterable[tuple[str, Decimal | None]]) -> dict[str, Decimal]:
    found: dict[str, Decimal] = defaultdict(lambda: ZERO)
    for currency, amount in amounts:
        if amount is not None:
            found[currency] += amount
    return dict(found)
