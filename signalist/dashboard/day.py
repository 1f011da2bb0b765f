"""The day (UTC) so far: what was realised, what each strategy made of it, and how much of each day limit is used."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time
from decimal import Decimal

from signalist.dashboard.worth import Worth
from signalist.db import fast
from signalist.domain.money import ZERO
from signalist.execution.limits import PLATFORM
from signalist.execution.standing import entries_today
from signalist.markets.selectors import instruments
from signalist.strategies.models import Strategy
from signalist.trading.models import DailyResult, Subscription, SubscriptionStatus, Trade


@dataclass(frozen=True, slots=True)
class Closed:
    """Trades that were closed today, in one currency; `net` is `gross` less `fees`."""

    trades: int = 0
    gross: Decimal = ZERO
    fees: Decimal = ZERO
    net: Decimal = ZERO

    def __add__(self, other: Closed) -> Closed:
        return Closed(
            self.trades + other.trades, self.gross + other.gross, self.fees + other.fees, self.net + other.net
        )


@dataclass(frozen=True, slots=True)
class Following:
    """A subscription's day: `result` is closed trades and the open position as it stands, which is what its loss limit counts."""

    key: int
    public_id: uuid.UUID
    strategy: str
    slug: str
    symbol: str
    currency: str
    closed: Closed
    result: Decimal
    gauges: tuple[Gauge, ...] = ()


@dataclass(frozen=True, slots=True)
class Gauge:
    """How much of a day limit is used. Amounts of the loss are in the subscription's currency; `layer` set the limit."""

    subscription: uuid.UUID
    strategy: str
    symbol: str
    kind: str
    used: Decimal
    limit: Decimal
    currency: str
    layer: str

    @property
    def share(self) -> Decimal:
        """Used as a fraction of the limit."""
        return self.used / self.limit if self.limit else Decimal(1)


def day(now: datetime, worth: Worth) -> list[Following]:
    """The day of every subscription of these accounts that is live or ended today. Five queries.

    An open position without a price counts with what it has realised.
    """
    midnight = datetime.combine(now.date(), time.min, now.tzinfo)
    accounts = {account.key: account for account in worth.accounts}
    since = fast.prepared(Subscription, "ended_at", midnight)
    mine, ids = fast.among("account_id", sorted(accounts))
    rows = (
        fast.select(Subscription, f"{mine} AND (status <> 'ENDED' OR ended_at >= %s) ORDER BY id", [*ids, since])
        if accounts
        else []
    )
    keys = [row.pk for row in rows]
    strategies = {
        strategy.pk: strategy for strategy in fast.select_ids(Strategy, sorted({r.strategy_id for r in rows}))
    }
    markets = instruments({row.instrument_id for row in rows})
    closed, entries = _closed(keys, now), entries_today(keys, now)
    open_net: dict[uuid.UUID, Decimal] = defaultdict(lambda: ZERO)
    for position in worth.positions:
        open_net[position.follower.subscription] += position.holding.net + (position.result or ZERO)
    found = []
    for row in rows:
        following = Following(
            row.pk,
            row.public_id,
            strategies[row.strategy_id].name,
            strategies[row.strategy_id].slug,
            markets[row.instrument_id].symbol,
            accounts[row.account_id].currency,
            closed[row.pk],
            closed[row.pk].net + open_net[row.public_id],
        )
        gauges = _gauges(row, following, entries.get(row.pk, 0), accounts[row.account_id].began)
        found.append(replace(following, gauges=tuple(gauges) if row.status != SubscriptionStatus.ENDED else ()))
    return found


def nearest(days: Iterable[Following], most: int) -> list[Gauge]:
    """The gauges nearest to their limits, the nearest first."""
    gauges = [gauge for following in days for gauge in following.gauges]
    return sorted(gauges, key=lambda gauge: (-gauge.share, gauge.strategy, gauge.kind))[:most]


def _closed(keys: Sequence[int], now: datetime) -> dict[int, Closed]:
    """By subscription: what `measure` has folded, and what it has not come to yet."""
    found: dict[int, Closed] = defaultdict(Closed)
    # Fresh trades before folded days: one that is folded in between is counted twice for a moment, never not at all.
    for trade in fast.select_ids(Trade, keys, "NOT measured", column="subscription_id"):
        if trade.closed_at.date() == now.date():
            found[trade.subscription_id] += Closed(1, trade.gross, trade.fees, trade.net)
    for row in fast.select_ids(DailyResult, keys, f"day = '{now.date().isoformat()}'", column="subscription_id"):
        found[row.subscription_id] += Closed(row.trades, row.gross, row.fees, row.net)
    return found


def _gauges(row: Subscription, following: Following, entries: int, began: Decimal | None) -> Iterable[Gauge]:
    """The subscription's own limits, or the platform's where it set none that is stricter. `began`: the account's worth then."""
    names = (following.public_id, following.strategy, following.symbol)
    own = row.limits()
    losses = [own.daily_loss_amount] if own.daily_loss_amount is not None else []
    if own.daily_loss_fraction is not None and began is not None:
        losses.append(own.daily_loss_fraction * began)
    if losses:
        used = max(-following.result, ZERO)
        yield Gauge(*names, "Daily loss", used, min(losses), following.currency, "subscription")
    layers = (("platform", PLATFORM.daily_entries), ("subscription", own.daily_entries))
    most, layer = min((most, layer) for layer, most in layers if most is not None)
    yield Gauge(*names, "Entries", Decimal(entries), Decimal(most), following.currency, layer)
