"""How the venues of a workspace's accounts answer, as pages show it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.db.models import OuterRef, Subquery

from signalist.accounts import own_fees
from signalist.accounts.actions import PAPER_VENUE
from signalist.accounts.connectors import FORBIDDEN, connectors
from signalist.accounts.inquiries import NOBODY, WITHIN
from signalist.accounts.models import Account, AccountHealth, Inquiry, InquiryState
from signalist.accounts.own_fees import OwnFee
from tenants.models import Credential

NOTED_WITHIN = timedelta(minutes=3)
"""An engine asks every few seconds and writes once a minute: what it wrote before that says nothing of now."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What somebody last asked of the venue by hand. `problem` is "" where it answered; `is_waiting` while an engine may still ask. What
    the venue does not tell of the key and the account is "" or empty; `facts_problem` is a sentence about what cannot be traded with."""

    asked_at: datetime
    is_waiting: bool
    problem: str
    latency_ms: int | None
    currency: str
    total: Decimal | None
    available: Decimal | None
    open_orders: int | None
    positions: int | None
    seen_from: str
    rights: tuple[str, ...] = ()
    tier: str = ""
    margin: str = ""
    held_as: str = ""
    facts_problem: str = ""

    @property
    def may_withdraw(self) -> bool:
        """Whether the key may do what no key that is stored here should."""
        return not FORBIDDEN.isdisjoint(self.rights)


@dataclass(frozen=True, slots=True)
class Health:
    """An account and its venue. `state` and `tone` say in a word and a colour how the venue answers; `since` and `problem` are of that
    state, and of none where no engine says."""

    public_id: uuid.UUID
    name: str
    venue_name: str
    currency: str
    switch: str
    state: str
    tone: str
    since: datetime | None
    seen_at: datetime | None
    failures: int
    interruptions: int
    problem: str
    stream_problem: str
    key: Credential | None
    last: Answer | None
    fees: tuple[OwnFee, ...]
    fees_at: datetime | None


def health(now: datetime, public_id: uuid.UUID | None = None) -> list[Health]:
    """The accounts behind the open door by name, or the one. Two queries."""
    newest = Inquiry.objects.filter(account=OuterRef("pk")).order_by("-pk").values("pk")[:1]
    rows = (
        Account.objects.select_related("credential", "health").annotate(newest=Subquery(newest)).order_by("name", "pk")
    )
    found = list(rows if public_id is None else rows.filter(public_id=public_id))
    asked = Inquiry.objects.in_bulk([row.newest for row in found if row.newest is not None])
    served = {code: one.name for code, one in connectors().items()} | {PAPER_VENUE: "Paper"}
    return [_health(row, asked.get(row.newest), served.get(row.venue, row.venue), now) for row in found]


def _health(row: Account, inquiry: Inquiry | None, venue_name: str, now: datetime) -> Health:
    noted: AccountHealth | None = getattr(row, "health", None)
    state, tone = _state(row, noted, now)
    said = None if tone == "warn" else noted
    return Health(
        public_id=row.public_id,
        name=row.name,
        venue_name=venue_name,
        currency=row.currency,
        switch=row.state,
        state=state,
        tone=tone,
        since=None if said is None else said.since,
        seen_at=_seen(noted, inquiry),
        failures=0 if said is None else said.failures,
        interruptions=0 if said is None else said.interruptions,
        problem="" if said is None or said.is_up else said.problem,
        stream_problem="" if said is None or not said.is_up else said.problem,
        key=row.credential,
        last=None if inquiry is None else _answer(inquiry, now),
        fees=own_fees.own_fees(row),
        fees_at=own_fees.told_at(row),
    )


def _state(row: Account, noted: AccountHealth | None, now: datetime) -> tuple[str, str]:
    if row.lease_owner is None:
        return "No engine", "warn"
    if noted is None:
        return "Not asked yet", "warn"
    if noted.is_up and (noted.seen_at is None or noted.seen_at < now - NOTED_WITHIN):
        return "Not asked lately", "warn"
    return ("Answers", "ok") if noted.is_up else ("Does not answer", "bad")


def _seen(noted: AccountHealth | None, inquiry: Inquiry | None) -> datetime | None:
    """When the venue last answered: what the engine notes is up to a minute old."""
    by_hand = inquiry.answered_at if inquiry is not None and inquiry.state == InquiryState.ANSWERED else None
    return max(filter(None, (by_hand, None if noted is None else noted.seen_at)), default=None)


def _answer(row: Inquiry, now: datetime) -> Answer:
    is_waiting = row.state == InquiryState.WAITING
    lost = is_waiting and row.asked_at < now - WITHIN
    said = row.answer
    return Answer(
        asked_at=row.asked_at,
        is_waiting=is_waiting and not lost,
        problem=NOBODY if lost else row.problem,
        latency_ms=row.latency_ms,
        currency=said.get("currency", ""),
        total=_money(said.get("total")),
        available=_money(said.get("available")),
        open_orders=said.get("open_orders"),
        positions=said.get("positions"),
        seen_from=said.get("seen_from", ""),
        rights=tuple(said.get("rights", ())),
        tier=said.get("tier", ""),
        margin=said.get("margin", ""),
        held_as=said.get("held_as", ""),
        facts_problem=said.get("problem", ""),
    )


def _money(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
