"""What names a row on a page: the market that is traded, and who follows what in it."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from signalist.accounts.models import Account
from signalist.db import fast
from signalist.markets.models import Instrument
from signalist.markets.selectors import instruments
from signalist.strategies.selectors import schedules
from signalist.trading.models import Execution, Order, Position, Subscription, Trade


@dataclass(frozen=True, slots=True)
class Market:
    """An instrument with the steps that its prices and quantities are written in; amounts are in `quote`."""

    id: int
    symbol: str
    base: str
    quote: str
    tick: Decimal
    lot: Decimal

    @classmethod
    def of(cls, instrument: Instrument) -> Market:
        """As the row says."""
        row = instrument
        return cls(row.pk, row.symbol, row.base, row.quote, row.tick, row.lot)


BY_HAND = "By hand"
"""What stands where the strategy's name would, for what people ordered themselves."""


@dataclass(frozen=True, slots=True)
class Follower:
    """An account that follows a strategy, or its book by hand (no `slug`). Real and paper accounts are never added up."""

    subscription: uuid.UUID
    account: str
    currency: str
    is_paper: bool
    strategy: str
    slug: str
    version: int
    timeframe: str

    @property
    def label(self) -> str:
        """The account's name, saying that it is paper where the name does not."""
        return f"{self.account} (paper)" if self.is_paper and "paper" not in self.account.lower() else self.account

    @classmethod
    def of(cls, subscription: Subscription) -> Follower:
        """As the row says; its account, strategy and schedule with version must be loaded (`attach_followers`)."""
        account, schedule, strategy = subscription.account, subscription.schedule, subscription.strategy
        known = (subscription.public_id, account.name, account.currency, account.is_paper)
        if schedule is None or strategy is None:
            return cls(*known, BY_HAND, "", 0, "")
        return cls(*known, strategy.name, strategy.slug, schedule.version.number, schedule.timeframe)

    @property
    def by_hand(self) -> bool:
        """Whether people ordered it themselves."""
        return not self.slug


def attach_followers(rows: Sequence[Order | Position | Trade | Execution]) -> None:
    """Give `rows` their subscriptions and markets, and those what `Follower.of` and `Market.of` read.

    Two queries whatever the number. It is not done by joins: a page of rows is quickly read, but a statement over six tables
    takes longer to compile than all of these.
    """
    found = subscriptions({row.subscription_id for row in rows})
    markets = instruments({_market_id(row, found[row.subscription_id]) for row in rows})
    for row in rows:
        row.subscription = found[row.subscription_id]
        market = markets[_market_id(row, row.subscription)]
        if isinstance(row, Execution):
            row.subscription.instrument = market
        else:
            row.instrument = market


def subscriptions(ids: Iterable[int]) -> dict[int, Subscription]:
    """Subscriptions by id, each with what `Follower.of` reads. Two queries whatever the number."""
    found = {s.pk: s for s in fast.select_ids(Subscription, sorted(set(ids)))}
    accounts = {a.pk: a for a in fast.select_ids(Account, sorted({s.account_id for s in found.values()}))}
    runs_on = schedules({s.schedule_id for s in found.values() if s.schedule_id})
    for subscription in found.values():
        subscription.account = accounts[subscription.account_id]
        subscription.schedule = runs_on.get(subscription.schedule_id or 0)
        subscription.strategy = subscription.schedule.version.strategy if subscription.schedule else None
    return found


def _market_id(row: Order | Position | Trade | Execution, subscription: Subscription) -> int:
    return subscription.instrument_id if isinstance(row, Execution) else row.instrument_id
