"""What the server checks and counts, written from Kraken's own description and not from our client: a mistake that both sides made alike
would be seen by nobody. Of the client nothing is imported here.

Sources: "Spot REST authentication", "Spot rate limits" and "Spot trading rate limits", "WebSocket v2 book checksum", Kraken's support site.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import zlib
from collections.abc import Iterable, Mapping
from decimal import Decimal
from urllib.parse import unquote_plus


def is_signed(secret: bytes, path: str, nonce: str, body: bytes, sent: str) -> bool:
    """Whether `API-Sign` is the HMAC-SHA512, keyed with the decoded secret, of the path's bytes and the SHA-256 of the nonce's digits and
    the body as it came; in base64, with its padding."""
    try:
        seal = base64.b64decode(sent, validate=True)
    except (binascii.Error, ValueError):
        return False
    inner = hashlib.sha256()
    inner.update(nonce.encode("ascii", "replace"))
    inner.update(body)
    outer = hmac.new(secret, digestmod=hashlib.sha512)
    outer.update(path.encode("utf-8"))
    outer.update(inner.digest())
    return hmac.compare_digest(outer.digest(), seal)


def fields_of(body: bytes, content_type: str) -> dict[str, str]:
    """A private request's fields: a form, or an object of JSON, as its content type says. Raises ValueError for what is neither."""
    kind = content_type.partition(";")[0].strip().lower()
    text = body.decode("utf-8")
    if kind == "application/json":
        said = json.loads(text, parse_float=str)
        if not isinstance(said, Mapping):
            raise ValueError("The body is no object.")
        return {str(name): _plain(value) for name, value in said.items()}
    if kind != "application/x-www-form-urlencoded":
        raise ValueError(f"{content_type} is no type of a body.")
    found = {}
    for part in text.split("&") if text else ():
        name, _, value = part.partition("=")
        found[unquote_plus(name)] = unquote_plus(value)  # a plus is a space: "+5%" has to be escaped
    return found


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value)


HISTORIES = ("TradesHistory", "QueryTrades", "Ledgers", "QueryLedgers")
IN_ENGINE = ("AddOrder", "AddOrderBatch", "AmendOrder", "EditOrder", "CancelOrder", "CancelAll", "CancelOrderBatch")
AMEND, CANCEL = (3.0, 2.0, 1.0, 0.0, 0.0, 0.0), (8.0, 6.0, 5.0, 4.0, 2.0, 1.0)
YOUNGER_THAN = (5, 10, 15, 45, 90, 300)


def counts(method: str) -> float:
    """What a call adds to its key's counter: orders nothing, a ledger or a history of trades 4, anything else 1."""
    return 0.0 if method in IN_ENGINE else 4.0 if method in HISTORIES else 1.0


def counts_in_pair(method: str, seconds_old: float) -> float:
    """What an amendment or a cancel of an order of this age adds to its pair's counter."""
    steps, fixed = (AMEND, 1.0) if method == "AmendOrder" else (CANCEL, 0.0)
    for limit, cost in zip(YOUNGER_THAN, steps, strict=True):
        if seconds_old < limit:
            return fixed + cost
    return fixed


Levels = Iterable[tuple[Decimal, Decimal]]


def checksum(asks: Levels, bids: Levels, price_decimals: int, quantity_decimals: int) -> int:
    """The CRC-32 of the ten best asks, the lowest first, then the ten best bids, the highest first: of each level the price and the
    quantity in units of their last decimal: written so there is no point, and there are no leading zeros."""
    best = sorted(asks)[:10] + sorted(bids, reverse=True)[:10]
    units = ((price.scaleb(price_decimals), quantity.scaleb(quantity_decimals)) for price, quantity in best)
    return zlib.crc32("".join(f"{int(price)}{int(quantity)}" for price, quantity in units).encode("ascii"))
