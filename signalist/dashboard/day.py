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
from signalist.execution.standing import Closed, closed_today, entries_today
from signalist.markets.selectors import instruments
from signalist.strategies.models import Strategy
from signalist.trading.labels import BY_HAND
from signalist.trading.models import Subscription, SubscriptionStatus

# One look into an index for each: of what has ended, only what is still at work.
_HAS_A_DAY = """(status <> 'ENDED' OR ended_at >= %s
    OR EXISTS (SELECT 1 FROM trading_position p WHERE p.subscription_id = trading_subscription.id AND p.is_open)
    OR EXISTS (SELECT 1 FROM trading_dailyresult d WHERE d.subscription_id = trading_subscription.id AND d.day = %s)
    OR EXISTS (SELECT 1 FROM trading_trade t
        WHERE t.subscription_id = trading_subscription.id AND NOT t.measured AND t.closed_at >= %s))"""


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
    """The day of every subscription of these accounts that has one (`_chosen`). Five queries.

    An open position without a price counts with what it has realised.
    """
    accounts = {account.key: account for account in worth.accounts}
    rows = _chosen(sorted(accounts), now)
    keys = [row.pk for row in rows]
    strategies = {
        strategy.pk: strategy
        for strategy in fast.select_ids(Strategy, sorted({r.strategy_id for r in rows if r.strategy_id}))
    }
    markets = instruments({row.instrument_id for row in rows})
    closed, entries = closed_today(keys, now), entries_today(keys, now)
    open_net: dict[uuid.UUID, Decimal] = defaultdict(lambda: ZERO)
    for position in worth.positions:
        open_net[position.follower.subscription] += position.holding.net + (position.result or ZERO)
    found = []
    for row in rows:
        following = Following(
            row.pk,
            row.public_id,
            strategies[row.strategy_id].name if row.strategy_id else BY_HAND,
            strategies[row.strategy_id].slug if row.strategy_id else "",
            markets[row.instrument_id].symbol,
            accounts[row.account_id].currency,
            closed[row.pk],
            closed[row.pk].net + open_net[row.public_id],
        )
        gauges = _gauges(row, following, entries.get(row.pk, 0), accounts[row.account_id].began)
        found.append(replace(following, gauges=tuple(gauges) if row.status != SubscriptionStatus.ENDED else ()))
    return found


def _chosen(account_ids: Sequence[int], now: datetime) -> list[Subscription]:
    """The subscriptions of these accounts that are live, ended today, hold something still, or closed a trade today."""
    if not account_ids:
        return []
    midnight = fast.prepared(Subscription, "ended_at", datetime.combine(now.date(), time.min, now.tzinfo))
    mine, ids = fast.among("account_id", account_ids)
    return fast.select(
        Subscription, f"{mine} AND {_HAS_A_DAY} ORDER BY id", [*ids, midnight, now.date().isoformat(), midnight]
    )


def nearest(days: Iterable[Following], most: int) -> list[Gauge]:
    """The gauges nearest to their limits, the nearest first."""
    gauges = [gauge for following in days for gauge in following.gauges]
    return sorted(gauges, key=lambda gauge: (-gauge.share, gauge.strategy, gauge.kind))[:most]


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
