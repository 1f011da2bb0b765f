"""What names a row on a page: the market that is traded, and who follows what in it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from decimal import Decimal

from signalist.markets.models import Instrument
from signalist.trading.models import Subscription
from signalist.venues.paper.venue import PAPER

FOLLOWER = ("subscription__account", "subscription__strategy", "subscription__schedule__version")
"""What `Follower.of` reads, for `select_related`, as seen from a row with a subscription."""

NOT_SHOWN = ("subscription__schedule__version__source", "subscription__strategy__description")
"""Long texts on the way there, for `defer`."""


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


@dataclass(frozen=True, slots=True)
class Follower:
    """An account that follows a strategy. Real and paper accounts are never added up."""

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
        """As the row says; its account, strategy and schedule with version must be loaded (`FOLLOWER`)."""
        account, schedule = subscription.account, subscription.schedule
        return cls(
            subscription.public_id,
            account.name,
            account.currency,
            account.venue == PAPER,
            subscription.strategy.name,
            subscription.strategy.slug,
            schedule.version.number,
            schedule.timeframe,
        )
