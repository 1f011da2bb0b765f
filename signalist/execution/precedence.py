"""In what order what waits for a venue leaves: cancels and amendments, exits, stops, entries, targets.

A target gives entries precedence, for a while: an entry ends with its deadline, a target takes the market's gain whenever it stands.
"""

from __future__ import annotations

import uuid
from datetime import datetime

from signalist.clock import monotonic
from signalist.db import fast
from signalist.domain.orders import Leg, OrderStatus
from signalist.execution import leases
from signalist.execution.full_venues import Full
from signalist.execution.overtaking import DOUBT_LASTS
from signalist.markets.selectors import instruments
from signalist.trading.models import ORDER_TURN, ORDER_WAITS, Order

AT_ONCE, EXITS, STOPS, ENTRIES, GAINS = range(5)
"""The turns: of cancels, withdrawals and amendments; of what closes, what protects, what opens; of targets."""
GAINS_WAIT = 10.0
"""Seconds for which targets let entries go before them, however many there are; after that they take turns."""
# Cancels and amendments first, then exits and stops, entries, targets; what the venue put off is left until its time. A cancel can be
# repeated, so what is in doubt is asked to be cancelled, too, the first time whenever it is looked for next. A target that is watched
# leaves when the market has reached it, and then closes like an exit. What is withdrawn before it was sent holds nobody up.
WAITING = (
    f"{ORDER_WAITS} AND (not_before IS NULL OR not_before <= %s OR (status = 'UNKNOWN' AND setbacks = 0)) AND"
    " (status IN ('CREATED', 'WORKING', 'PARTIAL')"
    " OR (status = 'UNKNOWN' AND cancel_wanted AND updated_at <= %s AND (NOT nameless OR venue_order_id <> '')))"
    f" AND ({ORDER_TURN}, id) > (%s, %s){{some}} AND {{mine}}{{open}} ORDER BY {ORDER_TURN}, id LIMIT %s"
)
ALL, NO_ENTRIES, PRESSING = "", f" AND {ORDER_TURN} <> {ENTRIES}", f" AND {ORDER_TURN} < {ENTRIES}"
"""Which of them a claim takes. `PRESSING`: what closes or protects, so that it finds room however many entries are under way."""


class Patience:
    """Of targets: whether the next claim is theirs, because there were always entries before them for too long."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._had_turn = False

    @property
    def is_over(self) -> bool:
        """Whether it is the targets' turn now: every other time, once they have waited for so long."""
        return not self._had_turn and self._since is not None and monotonic() - self._since > GAINS_WAIT

    def claimed(self, *, theirs: bool, all_of_it: bool) -> None:
        """Hear of a claim: whether it was theirs, and whether it left nothing behind that might have gone."""
        self._had_turn = theirs
        if all_of_it:
            self._since = None
        elif self._since is None:
            self._since = monotonic()


def waiting(
    engine: uuid.UUID, now: datetime, limit: int, behind: tuple[int, int], some: str, full: Full
) -> list[Order]:
    """Orders to send, cancel or amend behind this (turn, id), `ALL` or only some; those that another engine has in hand are passed over."""
    put_off, doubt = fast.prepared(Order, "not_before", now), fast.prepared(Order, "updated_at", now - DOUBT_LASTS)
    held, holder = leases.of(engine)
    is_open, venues = full.condition()
    orders = fast.select(
        Order,
        WAITING.format(mine=held, some=some, open=is_open),
        [put_off, doubt, *behind, *holder, *venues, limit],
        lock="skip",
    )
    known = instruments({order.instrument_id for order in orders})
    for order in orders:
        fast.relate(order, "instrument", known[order.instrument_id])
    return orders


def turn(order: Order) -> int:
    """The order's turn, as `WAITING` counts it, before it was claimed."""
    if order.state is not OrderStatus.CREATED or order.cancel_wanted:
        return AT_ONCE
    return turn_of_new(order)


def turn_of_new(order: Order) -> int:
    """The turn of an order that was not sent yet."""
    if order.leg == Leg.TARGET and not order.is_triggered:
        return GAINS
    return {Leg.EXIT: EXITS, Leg.ENTRY: ENTRIES}.get(Leg(order.leg), STOPS)
