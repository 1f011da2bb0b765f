"""What people answer to a difference is done as it was meant: by the numbers that they were shown, or not at all."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from signalist.accounts.models import Account, PaperAccount, PaperOrder
from signalist.db.units import unit
from signalist.domain.errors import DomainError
from signalist.domain.orders import OrderType, Side
from signalist.domain.signals import Direction
from signalist.execution.carrying_out import carry_out
from signalist.markets.models import Instrument
from signalist.trading.answers import answer
from signalist.trading.discrepancies import POSITION, Answer, Discrepancy, Kind, State
from signalist.trading.models import Order, Position, Reservation, Subscription
from signalist.trading.noting import CHANGED
from signalist.trading.tickets import Ticket, give
from signalist.venues.errors import Busy
from tenants.models import User
from tests.cast import person
from tests.flows.by_hand import differences, looks, trades
from tests.flows.scene import EXIT_LONG, LONG, Scene, entry

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
    comparer = world.engine.calls.comparer
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
    world.price("40000")
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


# --- Dust beside what is held --------------------------------------------------------------------


@pytest.mark.parametrize(("sold", "left"), [("2.51", "0"), ("2.5", "0"), ("1", "1.5")])
def test_a_close_is_adopted_where_dust_lies_in_the_market(world: Scene, olga: User, sold: str, left: str) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    world.minute()
    world.signal(EXIT_LONG)
    Position.objects.update(dust=Decimal("0.01"))
    world.minute()
    world.signal(BUY)
    holds(world, theo, "2.51")
    looks(world)
    assert differences(None) == [], "dust is counted in"
    trades(world, theo, Side.SELL, sold)
    looks(world)
    row = answered(world, olga, Answer.ADOPT)
    assert (row.subject, row.ours) == (POSITION, Decimal("2.51"))
    world.poll()
    row.refresh_from_db()
    assert (row.state, row.answer_problem) == (State.RESOLVED, "")
    open_now = Position.objects.filter(is_open=True)
    assert [p.quantity for p in open_now] == ([Decimal(left)] if Decimal(left) else [])


# --- Orders that a venue has lost ----------------------------------------------------------------


@pytest.fixture
def lost(world: Scene) -> Order:
    """An entry by hand that has filled in part, and that its venue then forgets; the difference is open."""
    theo = world.subscriber()
    ticket = Ticket(world.btc, Direction.LONG, OrderType.LIMIT, Decimal(2), None, Decimal(39_800), Decimal(39_000))
    give(theo.account, ticket, "lost", world.clock.now(), None, nets=False)
    world.settle()
    order = Order.objects.get(leg="ENTRY")
    Order.objects.filter(pk=order.pk).update(status="PARTIAL")
    PaperOrder.objects.filter(client_order_id=order.client_order_id).delete()
    world.exchange.store.transact(set(), set(), lambda book: None)
    looks(world, 5)
    assert [row.kind for row in differences()] == [Kind.LOST_ORDER]
    return order


def test_giving_up_an_order_that_filled_in_part_ends_it(world: Scene, olga: User, lost: Order) -> None:
    row = answered(world, olga, Answer.GIVE_UP)
    world.poll()
    row.refresh_from_db()
    lost.refresh_from_db()
    assert (lost.status, lost.reason, row.state) == ("CANCELLED", "given up by hand", State.RESOLVED)
    assert Reservation.objects.get(order=lost).released, "the money that it was promised is free again"
    looks(world, 5)
    assert differences() == [], "it does not come back"


def test_an_order_in_doubt_is_not_said_to_be_given_up(world: Scene, olga: User, lost: Order) -> None:
    row = answered(world, olga, Answer.GIVE_UP)
    Order.objects.filter(pk=lost.pk).update(status="UNKNOWN")

    def work(now: datetime) -> None:
        with unit("compare.answers"):
            carry_out({row.pk: ""}, None, now)

    world.stage(work)
    row.refresh_from_db()
    assert (row.state, row.answer) == (State.OPEN, "")
    assert "in doubt again" in row.answer_problem


# --- A price that is named -----------------------------------------------------------------------


@pytest.fixture
def untold(world: Scene) -> Subscription:
    """The venue holds 1.5 of 2.5 and has told no fill; the market stands at 40,000."""
    theo = world.subscriber()
    world.signal(BUY)
    holds(world, theo, "1.5")
    looks(world)
    return theo


@pytest.mark.parametrize(
    ("price", "said"),
    [
        ("3990", "more than 50 % away from the market, which stands at 40000"),
        ("399000", "more than 50 % away"),
        ("39900.123", "must be a multiple of 0.1 USD"),
        ("0", "Name the price"),
        (None, "Name the price"),
    ],
)
def test_a_slip_of_the_finger_is_not_booked(
    world: Scene, olga: User, untold: Subscription, price: str | None, said: str
) -> None:
    with pytest.raises(DomainError, match=said):
        answered(world, olga, Answer.ADOPT, price)
    world.poll()
    assert world.position(untold).quantity == Decimal("2.5")
    assert differences()[0].answer == ""


def test_a_price_is_not_measured_by_one_that_is_old(world: Scene, olga: User, untold: Subscription) -> None:
    world.later(91)
    with pytest.raises(DomainError, match="no fresh price of BTC-PERP"):
        answered(world, olga, Answer.ADOPT, "39900")
    Instrument.objects.update(is_active=False)
    answered(world, olga, Answer.ADOPT, "39900")
    world.poll()
    assert world.position(untold).quantity == Decimal("1.5"), "of a market that has ended the last price is the newest"


# --- What went wrong, in words -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (Busy("Not now: api_secret=hunter2hunter2 was sent."), "did not cancel it: Not now: api_secret="),
        (TimeoutError(), "did not say in time whether it is cancelled"),
        (RuntimeError(), "did not cancel it: RuntimeError"),
    ],
)
def test_a_cancel_that_fails_says_why_and_tells_no_secret(
    world: Scene, olga: User, error: Exception, said: str
) -> None:
    theo = world.subscriber()
    trades(world, theo, Side.BUY, "1", OrderType.LIMIT, level="30000")
    looks(world)
    world.venue.refuses(error, "take_down")  # type: ignore[arg-type]  # what breaks need not be a venue's own error
    row = answered(world, olga, Answer.CANCEL)
    world.poll()
    row.refresh_from_db()
    assert said in row.answer_problem
    assert "hunter2" not in row.answer_problem


def test_the_money_of_some_accounts_is_reckoned_without_reading_the_trades_of_others(world: Scene) -> None:
    world.subscriber()
    looks(world, 1)
    with CaptureQueriesContext(connection) as queries:
        looks(world, 1)
    read = [q["sql"] for q in queries if 'FROM "trading_trade"' in q["sql"] and "MAX(" not in q["sql"]]
    assert read and all('"account_id" ' in sql.partition("WHERE")[2] for sql in read)
