"""How well the tenant's orders were carried out in a period: per venue, account and instrument, and over all (EXE-30, EXE-31)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count

from signalist.accounts.models import Account
from signalist.domain.execution_quality import Quality, SentOrder, quality
from signalist.domain.money import settle
from signalist.domain.orders import Leg, OrderStatus, Side
from signalist.markets.selectors import instruments
from signalist.trading.labels import Market
from signalist.trading.models import AttemptAction, Execution, ExecutionStatus, Order, OrderAttempt
from signalist.venues.errors import Busy, NotOpened, NotSent

MOST_ORDERS = 20_000
"""So many orders are looked at, the newest of the period; with more the page says so."""
NOT_MISSED = ("position_open", "entry_under_way", "filled", "not_replaced")
"""Rules by which an entry was not made because there was one already: nobody missed anything."""

DENIED, TOO_LATE = "account_not_opened", "turn_came_too_late"
"""The rules by which entries count as missed that were decided: whose orders we could send nobody, or not before their deadline."""

NOT_TAKEN_IN = (NotSent.code, Busy.code, NotOpened.code)
"""What a placing ended in that the venue has certainly not carried out: the order went back to wait for its next turn."""
_DROPPED = (OrderStatus.CANCELLED, OrderStatus.EXPIRED)
OUTAGE = "lost_in_outages"
"""The rule by which entries count as missed that a strategy would have said while nobody looked: nothing was written of them."""

Place = tuple[int, int]
"""(account, instrument)."""


@dataclass(frozen=True, slots=True)
class Line:
    """One account in one instrument."""

    venue: str
    account: str
    is_paper: bool
    market: Market
    quality: Quality


@dataclass(frozen=True, slots=True)
class Part:
    """All of the paper accounts, or all of those with real money, which are never added up."""

    is_paper: bool
    quality: Quality


@dataclass(frozen=True, slots=True)
class Metrics:
    """The figures of a period. `cut`: there were more orders than are looked at, and the oldest are left out."""

    lines: Sequence[Line]
    parts: Sequence[Part]
    cut: bool


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which orders: since when, and of which venue, account and instrument; empty words and None let everything through."""

    since: datetime
    venue: str = ""
    account: int | None = None
    instrument: int | None = None


_COLUMNS = "account_id instrument_id side leg status attempts venue_order_id reference_price trigger filled filled_value fees".split()


def metrics(chosen: Chosen, lost: Mapping[Place, int]) -> Metrics:
    """The figures of what is chosen, of which outages cost the entries that were `lost` (`risk.outages`); six queries at most however much
    there is. What never left the house by our own doing is left out."""
    accounts = {row.pk: row for row in _accounts(chosen)}
    found = list(_orders(chosen, accounts).values_list("pk", *_COLUMNS)[: MOST_ORDERS + 1])
    orders = found[:MOST_ORDERS]
    unsent = _unsent(orders)
    latencies = _latencies(chosen, accounts, {row[0]: (row[1], row[2]) for row in orders})
    missed = _missed(chosen, accounts)
    for place, count in lost.items():
        if place[0] in accounts:
            missed[place][OUTAGE] += count
    for row in orders:
        if row[4] == Leg.ENTRY and (why := _why_missed(row[5], row[0] in unsent)):
            missed[row[1], row[2]][why] += 1
    markets = instruments({row[2] for row in orders} | {place[1] for place in missed})
    sent: dict[Place, list[SentOrder]] = defaultdict(list)
    for row in orders:
        if row[0] not in unsent:
            sent[row[1], row[2]].append(_sent(dict(zip(_COLUMNS, row[1:], strict=True)), markets))
    places = sorted(
        sent.keys() | missed.keys(), key=lambda p: (accounts[p[0]].venue, accounts[p[0]].name, markets[p[1]].symbol, p)
    )
    lines = [_line(accounts[p[0]], Market.of(markets[p[1]]), quality(sent[p], latencies[p], missed[p])) for p in places]
    return Metrics(lines, _parts(places, accounts, sent, latencies, missed), len(found) > MOST_ORDERS)


def _accounts(chosen: Chosen) -> Sequence[Account]:
    found = Account.objects.order_by("pk")
    if chosen.venue:
        found = found.filter(venue=chosen.venue)
    return list(found if chosen.account is None else found.filter(pk=chosen.account))


def _orders(chosen: Chosen, accounts: Mapping[int, Account]) -> Any:
    found = Order.objects.filter(created_at__gte=chosen.since, account__in=sorted(accounts)).order_by(
        "-created_at", "-pk"
    )
    return found if chosen.instrument is None else found.filter(instrument=chosen.instrument)


def _unsent(orders: Sequence[tuple[Any, ...]]) -> Collection[int]:
    """Which of these orders never left the house: taken back, run out or denied before they were sent.

    A try is counted before its bytes leave. So what was dropped and never seen at the venue is measured by what its tries came to; one
    query where there is such an order.
    """
    rows = {row[0]: dict(zip(_COLUMNS, row[1:], strict=True)) for row in orders}
    never = {key for key, row in rows.items() if not row["attempts"] or row["status"] == OrderStatus.DENIED}
    dropped = {
        key
        for key, row in rows.items()
        if key not in never and row["status"] in _DROPPED and not row["venue_order_id"] and not row["filled"]
    }
    if not dropped:
        return never
    tried = OrderAttempt.objects.filter(order__in=sorted(dropped), action=AttemptAction.PLACE)
    return never | dropped.difference(tried.exclude(error_type__in=NOT_TAKEN_IN).values_list("order_id", flat=True))


def _why_missed(status: str, unsent: bool) -> str:
    """Why an entry that was decided never left; "" for what left, or was taken back."""
    if status == OrderStatus.DENIED:
        return DENIED
    return TOO_LATE if status == OrderStatus.EXPIRED and unsent else ""


def _sent(row: Mapping[str, Any], markets: Mapping[int, Any]) -> SentOrder:
    return SentOrder(
        side=Side(row["side"]),
        status=OrderStatus(row["status"]),
        taken=bool(row["venue_order_id"]) or row["filled"] > 0,
        # What rests is measured by the level at which it was to trigger: a stop that slips is what people want to know.
        reference=row["reference_price"] if row["trigger"] is None else row["trigger"],
        average=settle(row["filled_value"] / row["filled"]) if row["filled"] else None,
        fees=row["fees"],
        currency=markets[row["instrument_id"]].quote,
    )


def _latencies(
    chosen: Chosen, accounts: Mapping[int, Account], places: Mapping[int, Place]
) -> dict[Place, list[float]]:
    """Of placings that the venue answered with yes, in milliseconds."""
    asked = OrderAttempt.objects.filter(
        order__created_at__gte=chosen.since,
        order__account__in=sorted(accounts),
        action=AttemptAction.PLACE,
        success=True,
        latency_ms__isnull=False,
    )
    if chosen.instrument is not None:
        asked = asked.filter(order__instrument=chosen.instrument)
    found: dict[Place, list[float]] = defaultdict(list)
    for order_id, latency in asked.order_by("-order_id").values_list("order_id", "latency_ms")[:MOST_ORDERS]:
        if order_id in places and latency is not None:
            found[places[order_id]].append(latency)
    return found


def _missed(chosen: Chosen, accounts: Mapping[int, Account]) -> defaultdict[Place, Counter[str]]:
    """Entries that were skipped or denied, by the rule that did it."""
    skipped = Execution.objects.filter(
        decided_at__gte=chosen.since,
        account__in=sorted(accounts),
        status__in=[ExecutionStatus.SKIPPED, ExecutionStatus.DENIED],
        kind__in=["LONG", "SHORT"],
    ).exclude(rule__in=NOT_MISSED)
    if chosen.instrument is not None:
        skipped = skipped.filter(subscription__instrument=chosen.instrument)
    found: defaultdict[Place, Counter[str]] = defaultdict(Counter)
    # Counted where they lie: a strategy that is denied every minute makes as many rows as there are minutes.
    by_rule = skipped.order_by().values_list("account_id", "subscription__instrument_id", "rule")
    for account_id, instrument_id, rule, count in by_rule.annotate(count=Count("pk")):
        found[account_id, instrument_id][rule] = count
    return found


def _line(account: Account, market: Market, figures: Quality) -> Line:
    return Line(account.venue, account.name, account.is_paper, market, figures)


def _parts(
    places: Sequence[Place],
    accounts: Mapping[int, Account],
    sent: Mapping[Place, list[SentOrder]],
    latencies: Mapping[Place, list[float]],
    missed: Mapping[Place, Counter[str]],
) -> list[Part]:
    parts = []
    for paper in (False, True):
        mine = [place for place in places if accounts[place[0]].is_paper == paper]
        if mine:
            orders = [order for place in mine for order in sent[place]]
            times = [latency for place in mine for latency in latencies[place]]
            rules = sum((missed[place] for place in mine), Counter[str]())
            parts.append(Part(paper, quality(orders, times, rules)))
    return parts
