"""Kraken's protocol as its two sides know it: addresses, the signature, how bodies are written, what its refusals mean, what calls cost.

A private request is a POST to `/0/private/<Method>` with a form as its body, whose first field is the nonce. `API-Sign` is

    base64( HMAC-SHA512( base64decode(secret), path ‖ SHA-256( nonce ‖ body ) ) )

over the bytes as they are sent (Kraken, "Spot REST authentication"). An answer is `{"error": [text, …], "result": …}` with status 200
also where it refuses; each text is `E<category>:<what>[:detail]`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from urllib.parse import quote, urlsplit

from signalist.domain.money import plain
from signalist.venues import errors
from signalist.venues.errors import VenueError
from signalist.venues.transport.budgets import Budget

REST = "https://api.kraken.com"
PUBLIC_STREAM = "wss://ws.kraken.com/v2"
PRIVATE_STREAM = "wss://ws-auth.kraken.com/v2"

HERE = frozenset({"127.0.0.1", "::1", "localhost"})


def is_here(base: str) -> bool:
    """Whether this is a server on this machine, which trades play money, and not Kraken."""
    return urlsplit(base).hostname in HERE


def streams_of(base: str) -> tuple[str, str]:
    """Where the public and the private stream are: Kraken's own, or, of a server on this machine, one path of it."""
    if not is_here(base):
        return PUBLIC_STREAM, PRIVATE_STREAM
    here = base.rstrip("/").replace("http", "ws", 1) + "/v2"
    return here, here


PRIVATE = "/0/private/"
PUBLIC = "/0/public/"


def key_bytes(secret: str) -> bytes:
    """A secret as it is shown to people, as the bytes that sign. Raises BadCredential where it is none."""
    try:
        return base64.b64decode(secret.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise errors.BadCredential("The API secret is not the text in base64 that Kraken shows once.") from None


def signature(secret: bytes, nonce: str, path: str, body: bytes) -> str:
    """What `API-Sign` says."""
    inner = hashlib.sha256(nonce.encode() + body).digest()
    return base64.b64encode(hmac.digest(secret, path.encode() + inner, "sha512")).decode()


def form(fields: Mapping[str, object]) -> bytes:
    """Fields as they are signed and sent, in their order. Brackets in names stay as they are, all else is escaped."""
    return "&".join(
        f"{quote(name, safe='[]')}={quote(_text(value), safe='')}" for name, value in fields.items()
    ).encode()


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    # What a database gives has ten decimals, and Kraken takes as many as the pair has ("can only be specified up to 1 decimals").
    return plain(value) if isinstance(value, Decimal) else str(value)


# --- What refusals mean --------------------------------------------------------------------------


class WrongNonce(errors.Busy):
    """The nonce was not above the last: nothing was looked at, and the next one may do."""

    code = "wrong_nonce"


class LockedOut(errors.Busy):
    """Too many bad requests with this key: Kraken looks at none of it for a while."""

    code = "locked_out"


class Closed(errors.Busy):
    """The market takes no such orders now (maintenance, cancel only, post only)."""

    code = "closed"


class NoRight(errors.Refused):
    """The key may not do this."""

    code = "no_right"


LOCKED_OUT = 900.0
"""Seconds: Kraken's temporary lockout lasts about fifteen minutes."""
AGAIN = 5.0
"""Seconds to the next try in maintenance, as Kraken asks for."""

_E = errors
_TABLE: Mapping[str, type[VenueError]] = {
    # Arguments: the same again is refused again.
    "EGeneral:Invalid arguments": _E.Refused,
    "EGeneral:Unknown method": _E.Refused,
    "EAPI:Bad request": _E.Refused,
    "ETrade:Invalid request": _E.Refused,
    "EQuery:Unknown asset pair": _E.UnknownInstrument,
    "EQuery:Invalid asset pair": _E.UnknownInstrument,
    "EQuery:Unknown asset": _E.UnknownInstrument,
    "EOrder:Order minimum not met": _E.Refused,
    "EOrder:Cost minimum not met": _E.Refused,
    "EOrder:Tick size check failed": _E.Refused,
    "EOrder:Invalid price": _E.Refused,
    "EOrder:Invalid order": _E.Refused,
    "EOrder:Unknown position": _E.Refused,
    "EOrder:Cannot open position": _E.Refused,
    "EOrder:Cannot open opposing position": _E.Refused,
    "EOrder:Reduce only": _E.Refused,
    "EOrder:Positions limit exceeded": _E.Refused,
    "EOrder:Orders limit exceeded": _E.Refused,
    "EOrder:Scheduled orders limit exceeded": _E.Refused,
    "EBM:limit exceeded": _E.Refused,
    "EFunding": _E.Refused,
    "EService:Deadline elapsed": _E.Refused,
    # Money.
    "EOrder:Insufficient funds": _E.InsufficientFunds,
    "EOrder:Insufficient margin": _E.InsufficientFunds,
    "EOrder:Margin allowance exceeded": _E.InsufficientFunds,
    "EOrder:Margin level too low": _E.InsufficientFunds,
    "EOrder:Margin position size exceeded": _E.InsufficientFunds,
    # Orders.
    "EOrder:Unknown order": _E.OrderNotOpen,
    # The key.
    "EAPI:Invalid key": _E.BadCredential,
    "EAPI:Invalid signature": _E.BadCredential,
    "EAuth:Account temporary disabled": _E.BadCredential,
    "EAuth:Account unconfirmed": _E.BadCredential,
    "EAuth:Failed": _E.BadCredential,
    "ETrade:User Locked": _E.BadCredential,
    "EGeneral:Permission denied": NoRight,
    "EAccount:Invalid permissions": NoRight,
    # Not looked at; later it may be.
    "EAPI:Invalid nonce": WrongNonce,
    "EGeneral:Temporary lockout": LockedOut,
    "EAPI:Rate limit exceeded": _E.Busy,
    "EGeneral:Too many requests": _E.Busy,
    "EAuth:Rate limit exceeded": _E.Busy,
    "EAuth:Too many requests": _E.Busy,
    "EOrder:Rate limit exceeded": _E.Busy,
    "EOrder:Domain rate limit exceeded": _E.Busy,
    "EService:Throttled": _E.Busy,
    "EService:Market in cancel_only mode": Closed,
    "EService:Market in post_only mode": Closed,
    "EService:Market in limit_only mode": Closed,
    "EService:Unavailable": Closed,
    "EService:Busy": Closed,
    # The session.
    "ESession:Invalid session": _E.SessionLost,
    "Token(s) not found": _E.SessionLost,
    # May have been carried out.
    "EService:Timeout": _E.NoAnswer,
    "EGeneral:Internal error": _E.NoAnswer,
    "EDatabase:Internal error": _E.NoAnswer,
    # Sentences of the stream.
    "Currency pair not supported": _E.UnknownInstrument,
    "Unsupported": _E.Refused,
    "Already subscribed": _E.Refused,
}
TEXTS = tuple(_TABLE)
_DUPLICATE = ("cl_ord_id", "client order id")
_LONGEST = 300


def error(text: str, now: float | None = None) -> VenueError:
    """What a refusal means; one that the table does not know leaves the request in doubt.

    `now`, seconds since the epoch, tells how long to wait where the text names a moment ("EService:Throttled: 1700000000").
    """
    said, small = text[:_LONGEST], text.lower()
    if any(word in small for word in _DUPLICATE) and ("duplicate" in small or "exist" in small or "unique" in small):
        return errors.DuplicateOrder(said)
    kind = next((found for known, found in _TABLE.items() if text.startswith(known)), None)
    if kind is None:
        # "Limit_price field must be a number_float" and its kin are what the stream says of a field.
        kind = errors.Refused if "field must be" in small else errors.NoAnswer
    if issubclass(kind, errors.Busy):
        return kind(said, after=_wait(kind, text, now))
    return kind(said)


def _wait(kind: type[VenueError], text: str, now: float | None) -> float | None:
    if kind is LockedOut:
        return LOCKED_OUT
    if kind is Closed:
        return AGAIN
    moment = text.rpartition(":")[2].strip()
    if text.startswith("EService:Throttled") and moment.isdecimal() and now is not None:
        return min(max(int(moment) - now, 0.1), 3600.0)
    return None


# --- What calls cost -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tier:
    """How much an account may ask: the counter of its key's calls, and the one of each pair's orders, as Kraken publishes them."""

    name: str
    calls: Budget
    orders: Budget
    open_orders: int


def _calls(size: float, per_second: float) -> Budget:
    """A key's counter. Orders and cancels do not count in it, so questions need not leave room for them."""
    return Budget(size, per_second, 0.0, 0.1)


TIERS: Mapping[str, Tier] = {
    tier.name: tier
    for tier in (
        Tier("starter", _calls(15, 0.33), Budget(60, 1.0, 0.3), 60),
        Tier("intermediate", _calls(20, 0.5), Budget(125, 2.34, 0.3), 80),
        Tier("pro", _calls(20, 1.0), Budget(180, 3.75, 0.3), 225),
    )
}

CARE = 0.9
"""How much of a counter we use: requests arrive closer together than they were sent."""


def carefully(budget: Budget) -> Budget:
    """What we allow ourselves of what Kraken allows."""
    return replace(budget, size=budget.size * CARE)


PUBLIC_CALLS = Budget(5, 1.0)
"""Of our address: about one call a second is safe; Kraken publishes no number."""

CONNECTIONS = Budget(100, 150 / 600)
"""Of our address: 150 connections to a stream in ten minutes, then a ban of ten minutes."""

HISTORY = 4.0
"""What a page of a history counts (Kraken's sites say 2 and 4)."""
_HISTORIES = frozenset({"TradesHistory", "QueryTrades", "Ledgers", "QueryLedgers"})
ORDERS = frozenset(
    {"AddOrder", "AddOrderBatch", "AmendOrder", "EditOrder", "CancelOrder", "CancelAll", "CancelOrderBatch"}
)
"""Methods that count in the counters of the pairs, not in that of the key."""

_AMENDED = ((5.0, 3.0), (10.0, 2.0), (15.0, 1.0))
_CANCELLED = ((5.0, 8.0), (10.0, 6.0), (15.0, 5.0), (45.0, 4.0), (90.0, 2.0), (300.0, 1.0))


def call_cost(method: str) -> float:
    """What a private call adds to the counter of its key."""
    if method in ORDERS:
        return 0.0
    return HISTORY if method in _HISTORIES else 1.0


def order_cost(method: str, age: float | None = None) -> float:
    """What a call adds to the counter of its pair, for an order `age` seconds old (None: unknown, so taken for fresh)."""
    if method == "AddOrder":
        return 1.0
    steps, fixed = (_AMENDED, 1.0) if method == "AmendOrder" else (_CANCELLED, 0.0)
    old = 0.0 if age is None else age
    return fixed + next((cost for under, cost in steps if old < under), 0.0)
