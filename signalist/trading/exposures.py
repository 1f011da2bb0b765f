"""What an account, or one of its subscriptions, holds and has working: what would be closed, for the page that asks first."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from signalist.accounts.models import Account
from signalist.domain.money import ZERO
from signalist.domain.orders import Leg
from signalist.trading.labels import attach_followers
from signalist.trading.marked_positions import OpenPosition
from signalist.trading.models import ACTIVE_ORDER, Order, Position, Subscription, SubscriptionStatus
from signalist.trading.open_positions import attach_entries, seen
from signalist.trading.order_book import OrderLine, lines


@dataclass(frozen=True, slots=True)
class Held:
    """Open positions at the newest prices, entries that work, and what follows strategies. `halted` is why nothing would be closed now."""

    account: Account
    positions: Sequence[OpenPosition]
    entries: Sequence[OrderLine]
    active: int
    halted: str

    @property
    def is_paper(self) -> bool:
        return self.account.is_paper

    @property
    def result(self) -> Decimal | None:
        """What closing would book at the marks, before fees, in the account's currency; None where a mark is missing."""
        results = [position.result for position in self.positions]
        return None if None in results else sum((r for r in results if r is not None), ZERO)

    @property
    def is_empty(self) -> bool:
        return not self.positions and not self.entries


def of_accounts(
    accounts: Sequence[Account],
    now: datetime,
    halt_over: Callable[[Account, Subscription | None], str],
    subscription: Subscription | None = None,
) -> list[Held]:
    """What each account holds, or of it only what is the subscription's. A constant number of queries however many accounts.

    `halt_over` says why nothing there would be closed now, "" where it would.
    """
    mine: dict[str, Any] = {"account__in": [account.pk for account in accounts]}
    following = Subscription.objects.filter(**mine, strategy__isnull=False, status=SubscriptionStatus.ACTIVE)
    active = Counter(following.values_list("account_id", flat=True))
    if subscription is not None:
        mine["subscription"] = subscription
    rows = list(Position.objects.filter(**mine, is_open=True).order_by("opened_at", "pk"))
    attach_followers(rows)
    attach_entries(rows)
    positions: dict[int, list[OpenPosition]] = defaultdict(list)
    for row, position in zip(rows, seen(rows, now), strict=True):
        positions[row.account_id].append(position)
    working = list(Order.objects.filter(**mine, leg=Leg.ENTRY.value, status__in=ACTIVE_ORDER).order_by("-pk"))
    entries: dict[int, list[OrderLine]] = defaultdict(list)
    for order, line in zip(working, lines(working), strict=True):
        entries[order.account_id].append(line)
    return [Held(a, positions[a.pk], entries[a.pk], active[a.pk], halt_over(a, subscription)) for a in accounts]
