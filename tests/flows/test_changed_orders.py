"""Orders of ours that somebody changes at the venue, past us: seen, explained, and followed or put back as it is answered."""

from __future__ import annotations

from decimal import Decimal

import pytest

from signalist.accounts.models import PaperOrder
from signalist.domain.errors import DomainError
from signalist.domain.orders import OrderType
from signalist.domain.signals import Direction
from signalist.trading.account_books import difference
from signalist.trading.answers import answer, possible
from signalist.trading.discrepancies import Answer, Discrepancy, Kind, State
from signalist.trading.models import Order, Subscription
from signalist.trading.noting import CHANGED
from signalist.trading.tickets import Ticket, give
from tests.cast import person
from tests.flows.by_hand import differences, looks
from tests.flows.scene import LONG, Scene, entry
from tests.flows.test_answers import looks_before_it_answers

ALL = Decimal("2.5")


@pytest.fixture
def world(scene: Scene) -> Scene:
    scene.minute()
    return scene


@pytest.fixture
def theo(world: Scene) -> Subscription:
    """He holds 2.5, with a stop at 39600 and a target at 40800."""
    theo = world.subscriber()
    world.signal(entry(LONG, "39600", "40800"))
    return theo


def changed(world: Scene, order: Order, **terms: str) -> None:
    """Somebody gives the order other terms at the venue."""

    values = {name: Decimal(value) for name, value in terms.items()}
    PaperOrder.objects.filter(client_order_id=order.client_order_id).update(**values)
    world.exchange.store.transact(set(), set(), lambda book: None)


def told(world: Scene) -> Discrepancy:
    """The one difference, after it has lasted, and that it is explained."""
    looks(world, 4)
    (row,) = differences()
    assert row.kind == Kind.ORDER_CHANGED
    assert "Somebody changed it at the venue, past us." in difference(row)[0].text
    return row


def answers(world: Scene, row: Discrepancy, said: Answer) -> None:
    answer(row, said, None, world.clock.now(), person("Olga"))
    world.poll()
    world.poll()
    row.refresh_from_db()
    assert (row.state, row.answer_problem) == (State.RESOLVED, "")
    looks(world, 4)
    assert differences() == [], "it does not come back"


def test_a_stop_that_was_moved_is_followed(world: Scene, theo: Subscription) -> None:
    stop = world.order(theo, "STOP")
    changed(world, stop, trigger="39400")
    row = told(world)
    assert (row.ours, row.theirs, possible(row)) == (39_600, 39_400, (Answer.KEEP, Answer.CANCEL, Answer.CHECK))
    world.signal(entry(LONG, "39000", "41000"))
    assert world.position(theo).stop == 39_600, "nothing is taken over unasked"
    answers(world, row, Answer.KEEP)
    stop.refresh_from_db()
    assert (world.position(theo).stop, stop.trigger, stop.status) == (39_400, 39_400, "WORKING")
    assert world.resting(theo) == {"STOP": ALL, "TARGET": ALL}


def test_a_stop_that_covers_less_is_put_back(world: Scene, theo: Subscription) -> None:
    stop = world.order(theo, "STOP")
    changed(world, stop, quantity="1")
    row = told(world)
    assert (row.ours, row.theirs, possible(row)) == (ALL, 1, (Answer.CANCEL, Answer.CHECK))
    with pytest.raises(DomainError):
        answer(row, Answer.KEEP, None, world.clock.now(), person("Otto"))
    answers(world, row, Answer.CANCEL)
    assert world.resting(theo) == {"STOP": ALL, "TARGET": ALL}
    assert world.order(theo, "STOP").pk != stop.pk


def test_what_is_changed_again_was_not_answered(world: Scene, theo: Subscription) -> None:
    target = world.order(theo, "TARGET")
    changed(world, target, trigger="40900")
    row = told(world)
    answer(row, Answer.KEEP, None, world.clock.now(), person("Olga"))
    changed(world, target, quantity="2")
    looks_before_it_answers(world)
    world.poll()
    row.refresh_from_db()
    assert (row.state, row.answer, row.answer_problem) == (State.OPEN, "", CHANGED)
    assert world.position(theo).target == 40_800


@pytest.mark.parametrize(
    ("terms", "kept"),
    [({"price": "39700"}, True), ({"price": "39700", "quantity": "1"}, True), ({"quantity": "3"}, False)],
)
def test_an_entry_is_followed_where_it_did_not_get_larger(world: Scene, terms: dict[str, str], kept: bool) -> None:
    theo = world.subscriber()
    ticket = Ticket(world.btc, Direction.LONG, OrderType.LIMIT, Decimal(2), None, Decimal(39_800), Decimal(39_000))
    give(theo.account, ticket, "limit", world.clock.now(), None, nets=False)
    world.settle()
    order = Order.objects.get(leg="ENTRY")
    changed(world, order, **terms)
    row = told(world)
    if not kept:
        assert Answer.KEEP not in possible(row), "that was never decided"
        answers(world, row, Answer.CANCEL)
        order.refresh_from_db()
        assert order.status == "CANCELLED"
        return
    answers(world, row, Answer.KEEP)
    order.refresh_from_db()
    assert (order.price, order.quantity) == (39_700, Decimal(terms.get("quantity", "2")))
    world.minute(low="39690")
    assert Order.objects.get(leg="STOP").quantity == order.quantity
