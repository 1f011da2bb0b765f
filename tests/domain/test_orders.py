"""Orders: the table that their status moves through, their id, and what the public sees of them."""

from __future__ import annotations

import uuid
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalist.domain.errors import DomainError
from signalist.domain.orders import (
    ACTIVE,
    AT_VENUE,
    PUBLIC_STATUS,
    TRANSITIONS,
    Leg,
    OrderStatus,
    Side,
    can_move,
    client_order_id,
    closing_side,
    moved,
    opening_side,
)
from signalist.domain.signals import Direction

S = OrderStatus
FINAL = {S.FILLED, S.CANCELLED, S.DENIED, S.REJECTED, S.EXPIRED}
natural_keys = st.text(min_size=1, max_size=80)


# --- Transitions ---------------------------------------------------------------------------------


def test_every_status_has_its_row_in_the_table() -> None:
    assert set(TRANSITIONS) == set(OrderStatus)


@pytest.mark.parametrize(("current", "to"), list(product(OrderStatus, OrderStatus)))
def test_an_order_moves_where_the_table_says_and_nowhere_else(current: OrderStatus, to: OrderStatus) -> None:
    assert can_move(current, to) == (to in TRANSITIONS[current])
    if can_move(current, to) or current is to:
        assert moved(current, to) is to
    else:
        with pytest.raises(DomainError, match=f"An order cannot move from {current} to {to}"):
            moved(current, to)


@pytest.mark.parametrize("status", OrderStatus)
def test_filled_cancelled_rejected_and_expired_are_final_and_nothing_else_is(status: OrderStatus) -> None:
    assert status.is_final == (status in FINAL)
    assert status.is_open == (status in {S.WORKING, S.PARTIAL})


def test_an_order_that_has_not_been_sent_can_still_be_dropped() -> None:
    assert TRANSITIONS[S.CREATED] == {S.SENDING, S.CANCELLED, S.EXPIRED}


def test_what_is_final_stays_so_but_for_an_order_that_was_given_up_and_turns_up_all_the_same() -> None:
    assert {status: TRANSITIONS[status] for status in FINAL if TRANSITIONS[status]} == {S.REJECTED: {S.WORKING}}


def _reachable(*begin: OrderStatus) -> set[OrderStatus]:
    """Everything that an order in one of these states can still come to be, these included."""
    reached, new = set[OrderStatus](), set(begin)
    while new:
        reached |= new
        new = set().union(*(TRANSITIONS[status] for status in new)) - reached
    return reached


def test_an_order_that_is_in_doubt_or_was_taken_is_never_sent_again() -> None:
    assert _reachable(S.UNKNOWN, S.WORKING, S.PARTIAL).isdisjoint({S.CREATED, S.SENDING})


def test_only_an_order_that_the_venue_did_not_look_at_may_be_sent_once_more() -> None:
    """`venues.errors.Next.RETRY`: certainly not carried out."""
    assert {status for status in OrderStatus if S.CREATED in TRANSITIONS[status]} == {S.SENDING}
    assert {status for status in OrderStatus if S.SENDING in TRANSITIONS[status]} == {S.CREATED}


def test_only_what_nobody_was_sent_is_denied() -> None:
    assert {status for status in OrderStatus if S.DENIED in TRANSITIONS[status]} == {S.SENDING}


def test_every_order_at_a_venue_can_come_to_be_filled_cancelled_or_in_doubt() -> None:
    for status in AT_VENUE - {S.UNKNOWN}:
        assert {S.FILLED, S.CANCELLED, S.UNKNOWN} <= TRANSITIONS[status]
    assert {S.WORKING, S.PARTIAL, S.FILLED, S.CANCELLED, S.REJECTED, S.EXPIRED} == TRANSITIONS[S.UNKNOWN]


def test_an_order_is_active_until_it_is_final_and_at_the_venue_from_the_moment_it_is_sent() -> None:
    assert set(OrderStatus) - FINAL == ACTIVE
    assert ACTIVE - {S.CREATED} == AT_VENUE


# --- Identity ------------------------------------------------------------------------------------


@given(natural_keys)
def test_the_id_at_the_venue_has_36_characters_and_is_made_from_the_natural_key_alone(key: str) -> None:
    made = client_order_id(key)
    assert len(made) == 36
    assert uuid.UUID(made).version == 5
    assert client_order_id(key) == made


def test_the_id_is_the_same_on_every_machine_for_ever() -> None:
    assert client_order_id("run 1|acme|ENTRY|0") == "1d00b50f-86df-50c9-a0c0-7bfcba6e65e2"


@given(natural_keys, natural_keys)
def test_two_orders_have_two_ids(one: str, other: str) -> None:
    assert (client_order_id(one) == client_order_id(other)) == (one == other)


# --- Words ---------------------------------------------------------------------------------------


def test_the_public_sees_the_seven_states() -> None:
    assert set(PUBLIC_STATUS) == set(OrderStatus)
    assert set(PUBLIC_STATUS.values()) == set("PENDING SUBMITTED PARTIAL FILLED CANCELLED REJECTED EXPIRED".split())


def test_what_is_on_its_way_or_in_doubt_is_shown_as_submitted() -> None:
    submitted = {status for status, shown in PUBLIC_STATUS.items() if shown == "SUBMITTED"}
    assert submitted == {S.SENDING, S.WORKING, S.UNKNOWN}


@pytest.mark.parametrize("direction", Direction)
def test_what_closes_a_position_is_the_opposite_of_what_opens_it(direction: Direction) -> None:
    assert opening_side(direction).sign == direction.sign
    assert closing_side(direction).sign == -direction.sign


def test_a_long_is_bought_and_a_short_is_sold() -> None:
    assert opening_side(Direction.LONG) is Side.BUY
    assert opening_side(Direction.SHORT) is Side.SELL


def test_stops_and_targets_protect_and_entries_and_exits_do_not() -> None:
    assert {leg for leg in Leg if leg.protects} == {Leg.STOP, Leg.TARGET}
