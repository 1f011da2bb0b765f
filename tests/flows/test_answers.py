"""What people answer to a difference is done as it was meant: by the numbers that they were shown, or not at all."""

from __future__ import annotations

from decimal import Decimal

import pytest

from signalist.accounts.models import Account, PaperAccount
from signalist.domain.orders import OrderType, Side
from signalist.trading.answers import answer
from signalist.trading.discrepancies import Answer, Discrepancy, Kind, State
from signalist.trading.models import Subscription
from signalist.trading.noting import CHANGED
from tenants.models import User
from tests.cast import person
from tests.flows.by_hand import differences, looks, trades
from tests.flows.scene import LONG, Scene, entry

BUY = entry(LONG, "39600", "40800")


@pytest.fixture
def world(scene: Scene) -> Scene:
    """The scene a minute after noon."""
    scene.minute()
    return scene


@pytest.fixture
def olga() -> User:
    return person("Olga")


def holds(world: Scene, theo: Subscription, quantity: str) -> None:
    """The venue holds so much from now on, and tells no fill of how it came to that."""

    def changed(book: object) -> None:
        for position in book.positions.values():  # type: ignore[attr-defined]
            position.quantity, position.changed = Decimal(quantity), True

    world.store.transact({theo.account.venue_ref}, set(), changed)


def answered(world: Scene, by: User, said: Answer, price: str | None = None) -> Discrepancy:
    """Somebody answers the first difference that is open; no engine has carried it out yet."""
    row = differences()[0]
    answer(row, said, None if price is None else Decimal(price), world.clock.now(), by)
    return row


def looks_before_it_answers(world: Scene, times: int = 2) -> None:
    """Looks that were under way when the answer came: they are concluded before the engine reads it."""
    comparer = world.engine.comparer
    assert comparer is not None
    for _ in range(times):
        world.later(61)
        comparer.wants(list(Account.objects.values_list("pk", flat=True)))
        world.drive(comparer.look())


# --- Numbers that change under an answer ---------------------------------------------------------


def test_a_price_that_was_named_for_a_small_part_is_not_used_for_a_large_one(world: Scene, olga: User) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    holds(world, theo, "2.4")
    looks(world)
    row = answered(world, olga, Answer.ADOPT, "39900")
    holds(world, theo, "0.4")
    looks_before_it_answers(world)
    world.poll()
    row.refresh_from_db()
    assert (row.state, row.answer, row.answer_problem, row.theirs) == (State.OPEN, "", CHANGED, Decimal("0.4"))
    assert world.position(theo).quantity == Decimal("2.5"), "nothing is booked"
    answered(world, olga, Answer.ADOPT, "39900")
    world.poll()
    assert world.position(theo).quantity == Decimal("0.4")


def test_what_was_kept_as_more_is_not_kept_when_it_has_become_less(world: Scene, olga: User) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    trades(world, theo, Side.BUY, "0.5")
    looks(world)
    row = answered(world, olga, Answer.KEEP)
    trades(world, theo, Side.SELL, "2", name="2")
    looks_before_it_answers(world, 3)
    world.poll()
    row.refresh_from_db()
    assert (row.kind, row.state, row.answer, row.answer_problem) == (Kind.MANUAL_CLOSE, State.OPEN, "", CHANGED)


def test_money_is_not_taken_in_by_another_figure_than_was_shown(world: Scene, olga: User) -> None:
    world.subscriber()
    looks(world, 1)
    PaperAccount.objects.update(cash=Decimal(90_000))
    looks(world)
    row = answered(world, olga, Answer.KEEP)
    PaperAccount.objects.update(cash=Decimal(10_000))
    looks_before_it_answers(world)
    world.poll()
    row.refresh_from_db()
    assert (row.state, row.answer, row.answer_problem, row.theirs) == (State.OPEN, "", CHANGED, Decimal(10_000))


def test_an_answer_stands_where_the_numbers_do(world: Scene, olga: User) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    holds(world, theo, "2.4")
    looks(world)
    row = answered(world, olga, Answer.ADOPT, "39900")
    looks_before_it_answers(world)
    row.refresh_from_db()
    assert (row.answer, row.answer_problem) == (Answer.ADOPT, "")
    world.poll()
    assert world.position(theo).quantity == Decimal("2.4")


def test_a_cancel_means_the_order_whatever_is_left_of_it(world: Scene, olga: User) -> None:
    theo = world.subscriber()
    trades(world, theo, Side.BUY, "1", OrderType.LIMIT, level="30000")
    looks(world)
    row = answered(world, olga, Answer.CANCEL)
    Discrepancy.objects.filter(pk=row.pk).update(theirs=Decimal(2))
    looks_before_it_answers(world, 1)
    world.poll()
    row.refresh_from_db()
    assert (row.state, row.resolution) == (State.RESOLVED, "cancelled at the venue")
