"""The loopback venue's protocol, as both of its sides know it: paths, the signature, and what its words are.

Requests are HTTP/1.1 POSTs with a JSON body. A private one carries three headers: `API-Key` (the account), `API-Nonce` (a whole number
that is used once; the venue refuses what it has seen, and what is below the last few hundred) and `API-Sign`, the HMAC-SHA512 in
hexadecimal of

    nonce LF path LF body

under the account's secret, over the bytes as they are sent. Numbers are decimal texts, times ISO 8601 in UTC. An answer below 300 is
what was asked for; 400 and above holds {"error": code, "message": sentence}, with the codes of `signalist.venues.errors`. Each names
the venue's time (`Venue-Time`, seconds since the epoch).

The stream is one for the whole process that reads it, whatever the number of its accounts: GET `STREAM` answers without an end, one
JSON document a line, the first of which names the stream; POST `JOIN` adds accounts to it, each with a signature of its own over the
stream's name. A line {"ref", "from", "to", "rows"} holds what was written on an account's tape behind `from` up to `to`, so that a
reader notices what it has missed; an empty line says that the venue lives.
"""

from __future__ import annotations

import hmac

PLACE = "/v1/order/place"
CANCEL = "/v1/order/cancel"
AMEND = "/v1/order/amend"
LOOK_UP = "/v1/order/look-up"
REPORTS = "/v1/reports"
BALANCE = "/v1/balance"
POSITIONS = "/v1/positions"
HISTORY = "/v1/order/history"
OPEN_ORDERS = "/v1/order/open"
TAKE_DOWN = "/v1/order/take-down"
RIGHTS = "/v1/rights"
TIME = "/v1/time"
STREAM = "/v1/stream"
JOIN = "/v1/stream/join"
CONTROL = "/control/"

PRIVATE = frozenset(
    {PLACE, CANCEL, AMEND, LOOK_UP, REPORTS, BALANCE, POSITIONS, HISTORY, OPEN_ORDERS, TAKE_DOWN, RIGHTS}
)

BEAT_EVERY = 1.0
"""Seconds between two empty lines of a stream."""

ROW = (
    "client_order_id venue_order_id symbol side status order_quantity filled reason time fill_id quantity price fee balance available"
).split()
"""The places of a tape row, as it goes over the wire."""


def signature(secret: bytes, nonce: str, path: str, body: bytes) -> str:
    """What `API-Sign` says."""
    # Not `hmac.digest`, which lets go of the interpreter for a few microseconds of work, and waits milliseconds to have it back.
    return hmac.new(secret, b"\n".join((nonce.encode(), path.encode(), body)), "sha512").hexdigest()
