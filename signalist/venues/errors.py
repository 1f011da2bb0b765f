"""What can go wrong at a venue, in one table: every error says what may be done next.

An adapter translates its venue's texts and codes to these classes; nothing above it looks at a venue's own words.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar


class Next(StrEnum):
    """RETRY: the request was certainly not carried out and may be sent again. FINAL: the venue said no.
    RECONNECT: open the session anew first. UNKNOWN: it may have been carried out; look it up, never send it again."""

    RETRY = "retry"
    FINAL = "final"
    RECONNECT = "reconnect"
    UNKNOWN = "unknown"


class VenueError(Exception):
    """A request that the venue did not answer with success. `code` is a stable word, the message a sentence for people."""

    next: ClassVar[Next] = Next.UNKNOWN
    code: ClassVar[str] = "unknown"


class NoAnswer(VenueError):
    """Time-out, 5xx, empty or malformed answer: the order may exist."""

    next = Next.UNKNOWN
    code = "no_answer"


class Busy(VenueError):
    """The venue refused to look at the request (rate limit, maintenance); `after` seconds it may again, None where it did not say."""

    next = Next.RETRY
    code = "busy"

    def __init__(self, message: str, *, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after


class NotSent(Busy):
    """No byte of the request has left the house; `silent` where that is because the venue does not answer."""

    code = "not_sent"

    def __init__(self, message: str, *, after: float | None = None, silent: bool = False) -> None:
        super().__init__(message, after=after)
        self.silent = silent


class CannotKnow(VenueError):
    """The venue cannot say: it knows orders under its own ids only, and was asked for one of ours."""

    next = Next.UNKNOWN
    code = "cannot_know"


class SessionLost(VenueError):
    """The session must be opened anew before anything else."""

    next = Next.RECONNECT
    code = "session_lost"


class Refused(VenueError):
    """The venue said no and would say it again."""

    next = Next.FINAL
    code = "refused"


class InsufficientFunds(Refused):
    code = "insufficient_funds"


class UnknownInstrument(Refused):
    code = "unknown_instrument"


class NoMarket(Refused):
    """There is no price to trade at."""

    code = "no_market"


class DuplicateOrder(Refused):
    """The venue already holds an order under this client order id: since each is sent once, it is ours, and is looked up."""

    next = Next.UNKNOWN
    code = "duplicate_order"


class BadCredential(Refused):
    """The venue does not accept the key, or what is stored is none."""

    code = "bad_credential"


class NotOpened(Refused):
    """We do not open the account: its venue was not asked, and nothing is said about its key."""

    code = "not_opened"


class OrderNotOpen(Refused):
    """A cancel or an amendment came too late, or the order never existed."""

    code = "order_not_open"
