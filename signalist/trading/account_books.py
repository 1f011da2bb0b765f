"""Accounts beside their venues, for pages: whether both say the same, who holds what of it, and the differences. Constant numbers of
queries."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from signalist.accounts.models import Account
from signalist.domain.money import ZERO
from signalist.markets.models import Instrument
from signalist.markets.selectors import instruments
from signalist.trading import discrepancy_words as words
from signalist.trading.answers import needs_price, possible
from signalist.trading.discrepancies import AccountLook, Discrepancy, ForeignFill, State
from signalist.trading.labels import BY_HAND, Market
from signalist.trading.models import Subscription
from signalist.trading.order_book import FillLine

MOST_PAST = 20


@dataclass(frozen=True, slots=True)
class BookLine:
    """An account in the list. `looked_at` is None before its venue was asked for the first time."""

    public_id: uuid.UUID
    name: str
    venue: str
    currency: str
    is_paper: bool
    state: str
    state_reason: str
    looked_at: datetime | None
    total: Decimal | None
    orders: int
    open: int

    @property
    def look(self) -> tuple[str, str]:
        """The class of `.state` and the word."""
        if self.open:
            return "bad", f"{self.open} difference{'s' if self.open > 1 else ''}"
        return ("idle", "Not looked at yet") if self.looked_at is None else ("ok", "Agrees")


@dataclass(frozen=True, slots=True)
class Held:
    """What one subscription holds, signed; `subscription` is None for what was ordered by hand."""

    subscription: uuid.UUID | None
    strategy: str
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class SumLine:
    """A symbol of an account at its last look, signed quantities; `own` is what is known to be the user's."""

    symbol: str
    market: Market | None
    held: Sequence[Held]
    ours: Decimal
    own: Decimal
    venue: Decimal

    @property
    def gap(self) -> Decimal:
        """What nobody has explained; zero where the parts sum to what the venue holds."""
        return self.venue - self.ours - self.own

    @property
    def lot(self) -> Decimal:
        """The step that the quantities are written in."""
        return words.step(self.market, self.ours, self.own, self.venue)


@dataclass(frozen=True, slots=True)
class DifferenceLine:
    """One difference, explained."""

    public_id: uuid.UUID
    account: uuid.UUID
    account_name: str
    currency: str
    market: Market | None
    symbol: str
    kind: str
    title: str
    text: str
    consequence: str
    ours: Decimal | None
    theirs: Decimal | None
    state: str
    looks: int
    first_seen_at: datetime
    last_seen_at: datetime
    closed_at: datetime | None
    resolution: str
    answer: str
    problem: str
    by: str
    choices: Sequence[words.Choice]
    needs_price: bool

    @property
    def is_open(self) -> bool:
        return self.state == State.OPEN

    @property
    def lot(self) -> Decimal:
        """The step that the quantities are written in."""
        return words.step(self.market, self.ours, self.theirs)

    @property
    def base(self) -> str:
        """What the quantities count; empty in a market that we do not trade, whose symbol says it."""
        return "" if self.market is None else self.market.base

    @property
    def look(self) -> tuple[str, str]:
        """The class of `.state` and the word."""
        if self.is_open and self.answer:
            return "info", "Being done"
        return {
            "OPEN": ("bad", "Open"),
            "KEPT": ("info", "Your own"),
            "RESOLVED": ("ok", "Resolved"),
            "GONE": ("idle", "Gone by itself"),
        }[self.state]


@dataclass(frozen=True, slots=True)
class AccountBooks:
    """One account beside its venue."""

    line: BookLine
    sums: Sequence[SumLine]
    standing: Sequence[DifferenceLine]
    past: Sequence[DifferenceLine]


def accounts() -> list[BookLine]:
    """The tenant's accounts by name; three queries."""
    rows = list(Account.objects.order_by("name", "pk"))
    looks = {look.account_id: look for look in AccountLook.objects.filter(account__in=rows)}
    counts: dict[int, int] = {}
    for key in Discrepancy.objects.filter(state=State.OPEN).values_list("account_id", flat=True):
        counts[key] = counts.get(key, 0) + 1
    return [_line(row, looks.get(row.pk), counts.get(row.pk, 0)) for row in rows]


def account_books(public_id: uuid.UUID) -> AccountBooks | None:
    """One of the tenant's accounts; None where there is none."""
    account = Account.objects.filter(public_id=public_id).first()
    if account is None:
        return None
    look = AccountLook.objects.filter(account=account).first()
    rows = Discrepancy.objects.filter(account=account).select_related("answered_by")
    standing = list(rows.filter(state__in=[State.OPEN, State.KEPT]).order_by("pk"))
    past = list(rows.filter(state__in=[State.RESOLVED, State.GONE]).order_by("-closed_at", "-pk")[:MOST_PAST])
    opened = sum(row.state == State.OPEN for row in standing)
    return AccountBooks(
        _line(account, look, opened),
        _sums(account, look.sums if look is not None else []),
        _lines(account, standing),
        _lines(account, past),
    )


def difference_row(account_id: uuid.UUID, public_id: uuid.UUID) -> Discrepancy | None:
    """One of the tenant's differences; None where there is none."""
    found = Discrepancy.objects.filter(public_id=public_id, account__public_id=account_id)
    return found.select_related("account", "answered_by").first()


def difference(row: Discrepancy) -> tuple[DifferenceLine, list[FillLine]]:
    """A difference, and the fills that its venue told of it, oldest first."""
    fills = ForeignFill.objects.filter(discrepancy=row).order_by("time", "pk")
    told = [FillLine(f.venue_fill_id, f.side, f.quantity, f.price, f.fee, f.fee_currency, f.time) for f in fills]
    return _lines(row.account, [row])[0], told


def _line(account: Account, look: AccountLook | None, opened: int) -> BookLine:
    return BookLine(
        account.public_id,
        account.name,
        account.venue,
        account.currency,
        account.is_paper,
        account.state,
        account.state_reason,
        None if look is None else look.looked_at,
        None if look is None else look.total,
        0 if look is None else look.orders,
        opened,
    )


def _sums(account: Account, sums: Sequence[Mapping[str, Any]]) -> list[SumLine]:
    symbols = [line["symbol"] for line in sums]
    markets = {i.symbol: Market.of(i) for i in Instrument.objects.filter(venue=account.venue, symbol__in=symbols)}
    keys = {int(key) for line in sums for key in line["held"]}
    followed = {s.pk: s for s in Subscription.objects.filter(pk__in=keys).select_related("strategy")}
    return [
        SumLine(
            line["symbol"],
            markets.get(line["symbol"]),
            [
                _held(followed[int(key)], Decimal(quantity))
                for key, quantity in line["held"].items()
                if int(key) in followed
            ],
            Decimal(line["ours"]),
            Decimal(line["own"]),
            Decimal(line["venue"]),
        )
        for line in sums
        if any(Decimal(line[side]) != ZERO for side in ("ours", "own", "venue"))
    ]


def _lines(account: Account, rows: Sequence[Discrepancy]) -> list[DifferenceLine]:
    known = instruments({row.instrument_id for row in rows if row.instrument_id})
    return [_difference(account, row, known) for row in rows]


def _difference(account: Account, row: Discrepancy, known: Mapping[int, Instrument]) -> DifferenceLine:
    market = Market.of(known[row.instrument_id]) if row.instrument_id else None
    by = row.answered_by
    return DifferenceLine(
        public_id=row.public_id,
        account=account.public_id,
        account_name=account.name,
        currency=account.currency,
        market=market,
        symbol=row.symbol,
        kind=row.kind,
        title=words.title(row.kind),
        text=words.explained(row, market, account.currency),
        consequence=words.consequence(row, market),
        ours=row.ours,
        theirs=row.theirs,
        state=row.state,
        looks=row.looks,
        first_seen_at=row.first_seen_at,
        last_seen_at=row.last_seen_at,
        closed_at=row.closed_at,
        resolution=row.resolution,
        answer=row.answer,
        problem=row.answer_problem,
        by="" if by is None else by.full_name or by.email,
        choices=words.choices(row, possible(row), needs_price(row)),
        needs_price=needs_price(row),
    )


def _held(subscription: Subscription, quantity: Decimal) -> Held:
    if subscription.strategy is None:
        return Held(None, BY_HAND, quantity)
    return Held(subscription.public_id, subscription.strategy.name, quantity)
