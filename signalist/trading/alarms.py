"""What somebody must know soon of a workspace's trading: the alarms among its events, in words."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from signalist.accounts.models import Account
from signalist.db import fast
from signalist.events.models import Event
from signalist.markets.selectors import instruments
from signalist.trading.discrepancy_words import title as difference_title
from signalist.trading.labels import Follower, attach_followers, subscriptions
from signalist.trading.models import Position, Subscription

SHOWN_FOR = timedelta(days=1)
MOST = 5
"""Of more alarms than these pages show the newest."""
MISSED = "signals_missed"
"""What an outage cost a follower; about a subscription, and no position of it."""

_WORDS: Mapping[str, tuple[str, str]] = {
    "emergency_exit": ("Emergency exit", "It is closed at market: {reason}."),
    "exit_overtakes": (
        "An exit overtook its protection",
        "It waited for a stop or target to be withdrawn, and went without that, for no more than the venue was seen to hold.",
    ),
    "protection_blind": (
        "Protection without a price",
        "Nothing told a new price of it, so that what the engine watches could not act.",
    ),
    "books_differ": ("The venue keeps cancelling a stop", "The account was halted; compare the position there."),
    "account_halted": ("The account was halted", "{reason}."),
    MISSED: ("Signals were missed in an outage", "{lost} missed. {held}{asked}"),
    "difference_found": ("", "In {symbol}; the page of the account tells of it until it is over."),
}
_HELD = "The position was not closed and keeps what protects it: close it, or leave it to the next exit. "
_ASKED = "No entry is taken until somebody has looked, and resumes it under Stop trading."


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm. `position` is the key of the one that it is about, None where it is about an account as a whole; `about` names the market
    and the account, or the account. `subscription` is the one that missed what candles would have said that closed from `since` to
    `until`."""

    event: int
    tenant: int
    at: datetime
    title: str
    sentence: str
    position: int | None
    about: str
    subscription: uuid.UUID | None = None
    since: datetime | None = None
    until: datetime | None = None


def alarms(tenant_id: int, now: datetime) -> list[Alarm]:
    """Those of the last day, the newest first. One query, and a constant number more where there are any."""
    rows = Event.objects.filter(is_alarm=True, tenant_id=tenant_id, at__gt=now - SHOWN_FOR).order_by("-pk")
    return worded(list(rows[:MOST]))


def worded(events: Sequence[Event]) -> list[Alarm]:
    """These events in words, in their order. A constant number of queries."""
    positions = _positions({event.payload["position"] for event in events if event.payload.get("position")})
    following = _subscriptions({event.payload["subscription"] for event in events if event.kind == MISSED})
    ids = {event.payload["account"] for event in events if event.payload.get("account")}
    accounts = {row.pk: row.name for row in fast.select_ids(Account, sorted(ids))} if ids else {}
    found = []
    for event in events:
        said = event.payload
        if event.kind == MISSED:
            found.append(_missed(event, following.get(said["subscription"])))
        else:
            found.append(_worded(event, positions.get(said.get("position")), accounts.get(said.get("account"), "")))
    return found


def _positions(ids: set[int]) -> dict[int | None, Position]:
    rows = fast.select_ids(Position, sorted(ids)) if ids else []
    attach_followers(rows)
    return {row.pk: row for row in rows}


def _subscriptions(ids: set[int]) -> dict[int, Subscription]:
    found = subscriptions(ids) if ids else {}
    markets = instruments({row.instrument_id for row in found.values()})
    for row in found.values():
        row.instrument = markets[row.instrument_id]
    return found


def _worded(event: Event, position: Position | None, account: str) -> Alarm:
    title, sentence = _WORDS.get(event.kind, (event.kind.replace("_", " ").capitalize(), ""))
    if event.kind == "difference_found":
        title = difference_title(str(event.payload.get("kind")))
    reason = str(event.payload.get("reason") or "no reason was given").rstrip(".")
    said: dict[str, Any] = {"reason": reason, "symbol": event.payload.get("symbol") or "its orders"}
    if position is not None:
        account = f"{position.instrument.symbol}, {Follower.of(position.subscription).label}"
    return _alarm(event, title, sentence.format(**said), None if position is None else position.pk, account)


def _missed(event: Event, row: Subscription | None) -> Alarm:
    """What an outage cost a follower, what was done about it, and what is theirs to do."""
    title, sentence = _WORDS[MISSED]
    said = event.payload
    entries = int(said["entries"])
    lost = [f"{entries} {'entry' if entries == 1 else 'entries'}"] if entries else []
    lost += ["an exit of what is held"] if said["exit"] else []
    what = f"{' and '.join(lost) or 'No signal that is known'} {'were' if entries + said['exit'] > 1 else 'was'}"
    held, asked = _HELD if said["held"] else "", _ASKED if said["asked"] else ""
    text = sentence.format(lost=what, held=held, asked=asked).rstrip()
    about = ""
    if row is not None:
        follower = Follower.of(row)
        about = f"{follower.strategy}, {row.instrument.symbol}, {follower.label}"
    return replace(
        _alarm(event, title, text, None, about),
        subscription=None if row is None else row.public_id,
        since=datetime.fromisoformat(said["since"]),
        until=datetime.fromisoformat(said["until"]),
    )


def _alarm(event: Event, title: str, text: str, position: int | None, about: str) -> Alarm:
    sentence = text[:1].upper() + text[1:]
    return Alarm(event.pk, event.tenant_id or 0, event.at, title, sentence, position, about)
