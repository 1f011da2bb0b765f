"""Orders: their words, their natural key and the table of transitions that their status moves through."""

from __future__ import annotations

import uuid
from enum import StrEnum

from .errors import DomainError
from .signals import Direction

NAMESPACE = uuid.UUID("5b0d5f6e-5d7c-5d0a-9c0b-7d1f6a1d3c11")


class Side(StrEnum):
    """What an order does to the account's stock."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        """+1 for BUY, -1 for SELL."""
        return 1 if self is Side.BUY else -1


def opening_side(direction: Direction) -> Side:
    """The side that opens a position in `direction`."""
    return Side.BUY if direction is Direction.LONG else Side.SELL


def closing_side(direction: Direction) -> Side:
    """The side that closes a position in `direction`."""
    return Side.SELL if direction is Direction.LONG else Side.BUY


class OrderType(StrEnum):
    """STOP and TAKE_PROFIT are trigger orders that become market orders when the market reaches their trigger."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"
    STOP = "STOP"
    TAKE_PROFIT = "TAKE_PROFIT"


class Leg(StrEnum):
    """What an order is for."""

    ENTRY = "ENTRY"
    EXIT = "EXIT"
    STOP = "STOP"
    TARGET = "TARGET"

    @property
    def protects(self) -> bool:
        return self in (Leg.STOP, Leg.TARGET)


class OrderStatus(StrEnum):
    """CREATED is committed and not sent; SENDING is committed right before the bytes leave. DENIED is ours: it never left; REJECTED is the
    venue's, or nobody's who got it. See TRANSITIONS."""

    CREATED = "CREATED"
    SENDING = "SENDING"
    WORKING = "WORKING"
    UNKNOWN = "UNKNOWN"
    PARTIAL = "PARTIAL"
    FILLED = "FILLED"
    CANCELLED = "CANCELLED"
    DENIED = "DENIED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"

    @property
    def is_open(self) -> bool:
        """Whether an order in this state rests at its venue."""
        return self in (OrderStatus.WORKING, OrderStatus.PARTIAL)

    @property
    def is_final(self) -> bool:
        return self in _FINAL


_S = OrderStatus
_FINAL = frozenset({_S.FILLED, _S.CANCELLED, _S.DENIED, _S.REJECTED, _S.EXPIRED})
_ANSWERED = frozenset({_S.WORKING, _S.PARTIAL, _S.FILLED, _S.CANCELLED, _S.REJECTED, _S.EXPIRED})

TRANSITIONS: dict[OrderStatus, frozenset[OrderStatus]] = {
    # Dropped before it was sent: cancelled (no longer wanted) or expired (past its deadline).
    _S.CREATED: frozenset({_S.SENDING, _S.CANCELLED, _S.EXPIRED}),
    # Back to CREATED only where the venue says that it did not look at the request, or where it never left: what is in doubt is never sent
    # again. DENIED where its account cannot be opened, an entry at once, what protects or closes after some tries. What has ended here
    # already was reported by the venue's stream before it answered.
    _S.SENDING: _ANSWERED | {_S.UNKNOWN, _S.CREATED, _S.DENIED},
    # An unknown order is never sent again; it is looked up until the venue says what became of it.
    _S.UNKNOWN: _ANSWERED,
    # An order whose cancel came too late is in doubt until it has been looked up.
    _S.WORKING: frozenset({_S.PARTIAL, _S.FILLED, _S.CANCELLED, _S.REJECTED, _S.EXPIRED, _S.UNKNOWN}),
    _S.PARTIAL: frozenset({_S.FILLED, _S.CANCELLED, _S.EXPIRED, _S.UNKNOWN}),
    _S.FILLED: frozenset(),
    # An order that turns up later under our id is adopted: what it filled is ours, whatever we had believed.
    _S.CANCELLED: frozenset(),
    _S.DENIED: frozenset(),
    # Given up as never received, and there all the same.
    _S.REJECTED: frozenset({_S.WORKING}),
    _S.EXPIRED: frozenset(),
}

REFUSED = frozenset({_S.DENIED, _S.REJECTED})
ACTIVE = frozenset({_S.CREATED, _S.SENDING, _S.WORKING, _S.UNKNOWN, _S.PARTIAL})
AT_VENUE = frozenset({_S.SENDING, _S.WORKING, _S.UNKNOWN, _S.PARTIAL})

PUBLIC_STATUS: dict[OrderStatus, str] = {
    _S.CREATED: "PENDING",
    _S.SENDING: "SUBMITTED",
    _S.WORKING: "SUBMITTED",
    _S.UNKNOWN: "SUBMITTED",
    _S.PARTIAL: "PARTIAL",
    _S.FILLED: "FILLED",
    _S.CANCELLED: "CANCELLED",
    _S.DENIED: "REJECTED",
    _S.REJECTED: "REJECTED",
    _S.EXPIRED: "EXPIRED",
}
"""The seven states of the public API (EXE-23)."""


def moved(current: OrderStatus, to: OrderStatus) -> OrderStatus:
    """`to`, if an order may move there from `current` (staying is no move and is allowed); DomainError otherwise."""
    if to is not current and to not in TRANSITIONS[current]:
        raise DomainError(f"An order cannot move from {current} to {to}.")
    return to


def can_move(current: OrderStatus, to: OrderStatus) -> bool:
    """Whether the table allows the move."""
    return to in TRANSITIONS[current]


def client_order_id(natural_key: str) -> str:
    """Our id of an order at the venue: 36 characters, the same for the same natural key on every machine (EXE-33, CON-32)."""
    return str(uuid.uuid5(NAMESPACE, natural_key))
