"""The end of a position in stage `protect`: its legs go, an exit that was lost is written anew, and what no order can close is given up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from signalist.domain.orders import Leg, OrderStatus
from signalist.events.outbox import Fact
from signalist.execution.legs import Changes, Numbers, closing_order, cover, standing, withdraw
from signalist.execution.protection_plan import wanted_legs
from signalist.markets.selectors import instruments
from signalist.trading import stop_tries
from signalist.trading.halting import halted
from signalist.trading.keys import order_ids
from signalist.trading.models import Order, Position
from signalist.venues.base import Capabilities

MAX_EXITS = 5
LINGERING = (OrderStatus.WORKING, OrderStatus.PARTIAL, OrderStatus.UNKNOWN)


def see_closed(
    position: Position, active: Sequence[Order], numbers: Numbers, venue: Capabilities, changes: Changes
) -> None:
    """A position that is closed or being closed: its legs go; an exit that lingers leaves a stop under what is open."""
    exit_order = standing(active, Leg.EXIT)
    lingers = position.is_open and exit_order is not None and exit_order.state in LINGERING
    stop = standing(active, Leg.STOP)
    may_cover = stop is None or not stop.cancel_wanted
    if lingers and may_cover and not venue.one_exit_rests:
        for leg in wanted_legs(
            position, venue, {}, instruments({position.instrument_id})[position.instrument_id].spec()
        ):
            if leg.leg is Leg.STOP:
                cover(position, leg, stop, numbers, venue.amend, changes)
    for order in active:
        if order.leg == Leg.TARGET or (order.leg == Leg.STOP and (order.superseded or not lingers)):
            withdraw(order, changes)
    if position.is_open and exit_order is None:
        _exit_again(position, active, changes)


def give_up_rest(position: Position, active: Sequence[Order], changes: Changes) -> None:
    """Give up what is too small to be closed, once nothing works at the venue that may still change how much it is."""
    for order in active:
        if Leg(order.leg).protects or (order.leg == Leg.EXIT and order.state is OrderStatus.CREATED):
            withdraw(order, changes, "what is left is too small for it")
    if all(order.state.is_final for order in active):
        changes.dust.append(position)


def _exit_again(position: Position, active: Sequence[Order], changes: Changes) -> None:
    """A position that is to be closed has no exit under way: its exit was refused or never arrived. Write the next one, a few times."""
    last = (
        Order.objects.filter(position_id=position.pk, leg=Leg.EXIT.value)
        .order_by("-pk")
        .select_related("execution__signal", "execution__instruction", "execution__subscription")
        .first()
    )
    spec = instruments({position.instrument_id})[position.instrument_id].spec()
    refused = last is not None and last.state is OrderStatus.REJECTED
    if refused and spec.too_small(position.quantity, position.holding().average_entry) is not None:
        give_up_rest(position, active, changes)
        return
    if last is None or last.n + 1 >= MAX_EXITS:
        # It stays open for a person to close: then at least with its stop, which is tried anew, and closed again where none can be had.
        position.is_closing, position.protection_due = False, True
        position.refused_stops, position.bare_since = 0, changes.now
        position.exit_rounds = min(position.exit_rounds + 1, 1000)
        changes.stuck.append(position)
        return
    order = closing_order(position, Leg.EXIT, last.n + 1, position.quantity, changes.now)
    order.execution = last.execution
    order.reference_price = last.reference_price  # what the tries before it lost on the way is slippage, too
    order.client_order_id, order.tag = order_ids(last.execution, Leg.EXIT, last.n + 1)
    pause = stop_tries.pause_of_exit(last.n + 1)
    order.not_before = changes.now + pause if pause else None
    changes.created.append(order)


def halted_for(position: Position, now: datetime) -> Sequence[Fact]:
    account = position.account
    fact = halted(account, "a position cannot be closed; close it at the venue and resume", now)
    if fact is None:
        return []
    account.save(update_fields=["state", "state_reason"])
    return [replace(fact, payload=fact.payload | {"position": position.pk})]
