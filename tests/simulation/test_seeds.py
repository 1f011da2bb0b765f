"""Seeds of the whole pipeline at a venue that misbehaves, with engines killed on the way: a few each time, a thousand by `make soak`."""

from __future__ import annotations

from collections import Counter

import pytest

from signalist.domain.orders import OrderStatus
from signalist.engine.simulation.faults import Fault
from signalist.engine.simulation.watching import LEGAL, Move
from tests.simulation.seeds import assert_hold, few_elsewhere

# So rare that they need not come within these seeds.
RARE = {
    (OrderStatus.SENDING, OrderStatus.DENIED),
    (OrderStatus.SENDING, OrderStatus.EXPIRED),
    (OrderStatus.REJECTED, OrderStatus.WORKING),
}


@pytest.mark.django_db(transaction=True)
def test_a_few_seeds_hold() -> None:
    assert_hold(few_elsewhere(range(1, 6)))


@pytest.mark.soak
@pytest.mark.django_db(transaction=True)
def test_fifty_seeds_hold_and_leave_no_fault_and_no_transition_out() -> None:
    outcomes = assert_hold(range(1, 51))
    moves, faults = Counter[Move](), Counter[Fault]()
    for outcome in outcomes:
        moves.update(outcome.moves)
        faults.update(outcome.faults)
    assert {move for move in LEGAL if not moves[move]} <= RARE
    assert set(faults) == set(Fault)
    assert sum(outcome.kills for outcome in outcomes)


@pytest.mark.soak
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("hundred", range(10))
def test_a_thousand_seeds_hold(hundred: int) -> None:
    assert_hold(range(hundred * 100 + 1, hundred * 100 + 101))
