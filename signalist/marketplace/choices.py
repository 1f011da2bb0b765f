"""What a member may choose from when subscribing: the accounts of the workspace, and the markets where a strategy can be followed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.conf import settings
from django.db.models import QuerySet

from signalist.accounts.models import Account, AccountState
from signalist.markets.models import Instrument
from signalist.strategies.models import Schedule
from signalist.trading.models import Subscription, SubscriptionStatus
from signalist.venues.paper.venue import CAPABILITIES, PAPER

_CAPABILITIES = {PAPER: CAPABILITIES}


def nets(venue: str) -> bool:
    """Whether a venue keeps one net position per account and instrument; of one that is not known the stricter is assumed."""
    return _CAPABILITIES[venue].nets if venue in _CAPABILITIES else True


def amends(venue: str) -> bool:
    """Whether a venue changes an order's quantity in place; of one that is not known it is not assumed."""
    return venue in _CAPABILITIES and _CAPABILITIES[venue].amend


@dataclass(frozen=True, slots=True)
class AccountChoice:
    """An account as a card. `free` is None until the venue has reported; `refusal` says why it cannot be chosen, "" where it can.

    `taken` are the instruments that a live subscription of it trades, where its venue nets.
    """

    row: Account
    free: Decimal | None
    refusal: str
    taken: frozenset[int]

    @property
    def key(self) -> str:
        return str(self.row.public_id)

    @property
    def is_paper(self) -> bool:
        return self.row.is_paper


@dataclass(frozen=True, slots=True)
class MarketChoice:
    """Where to follow: the schedule whose signals are taken, and the instrument that is traded on them."""

    schedule: Schedule
    instrument: Instrument

    @property
    def key(self) -> str:
        return f"{self.schedule.pk}-{self.instrument.pk}"

    @property
    def words(self) -> str:
        """`BTC-PERP, 1m`, and where another instrument is traded, which."""
        source, frame = self.schedule.instrument, self.schedule.timeframe
        if source.pk == self.instrument.pk:
            return f"{source.symbol}, {frame}"
        return f"{source.symbol}, {frame}, traded as {self.instrument.symbol} ({self.instrument.quote})"


def accounts(strategy_id: int, offered: QuerySet[Account]) -> list[AccountChoice]:
    """The accounts that the member is `offered`, those that can be chosen first. Two queries."""
    live = Subscription.objects.filter(strategy__isnull=False).exclude(status=SubscriptionStatus.ENDED)
    following: set[int] = set()
    taken: dict[int, set[int]] = defaultdict(set)
    for account_id, strategy, instrument in live.values_list("account_id", "strategy_id", "instrument_id"):
        taken[account_id].add(instrument)
        if strategy == strategy_id:
            following.add(account_id)
    rows = offered.select_related("balance").order_by("name", "pk")
    found = [
        AccountChoice(
            row,
            row.balance.available if hasattr(row, "balance") else None,
            _refusal(row, following),
            frozenset(taken[row.pk] if nets(row.venue) else ()),
        )
        for row in rows
    ]
    return sorted(found, key=lambda choice: bool(choice.refusal))


def _refusal(row: Account, following: set[int]) -> str:
    if row.pk in following:
        return "Follows this strategy already."
    if row.state != AccountState.ACTIVE:
        return f"{row.state}{': ' if row.state_reason else ''}{row.state_reason}. It takes nothing new until it is resumed."
    if not row.is_paper and not settings.LIVE_ACCOUNTS_ALLOWED:
        return "Real money is not traded here yet."
    return ""


def markets(strategy_id: int, schedule_ids: Sequence[int]) -> list[MarketChoice]:
    """The schedules on offer, each with the instruments of its pair; its own first. Two queries."""
    rows = Schedule.objects.filter(pk__in=schedule_ids, version__strategy=strategy_id)
    schedules = list(
        rows.select_related("version__strategy", "instrument")
        .defer("version__source", "version__strategy__description")
        .order_by("pk")
    )
    pairs = {schedule.instrument.pair_id for schedule in schedules}
    siblings = list(Instrument.objects.filter(pair_id__in=pairs - {None}, is_active=True).order_by("pk"))
    found = []
    for schedule in schedules:
        own = schedule.instrument_id
        of_pair = [row for row in siblings if row.pair_id == schedule.instrument.pair_id]
        found += [MarketChoice(schedule, row) for row in sorted(of_pair, key=lambda row: (row.pk != own, row.pk))]
    return found
