"""Venues where an order has no name of ours: one at a time per market, found again by what the venue's history and positions tell."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from signalist.accounts.models import Account, AccountState, PaperOrder
from signalist.accounts.sessions import Sessions
from signalist.db import fast
from signalist.db.wakes import wakes
from signalist.domain.orders import OrderStatus, OrderType, Side
from signalist.domain.protection import Plan
from signalist.domain.rules import Limits
from signalist.engine.database import DatabaseInline
from signalist.engine.loop import Engine
from signalist.engine.strategies import StrategyPool
from signalist.execution import nameless
from signalist.execution.claims import claim
from signalist.execution.decide import decide
from signalist.execution.fan_out import fan_out
from signalist.execution.reported import write_reports
from signalist.markets.models import Instrument
from signalist.strategies.models import Schedule
from signalist.trading.actions import subscribe
from signalist.trading.answers import answer
from signalist.trading.discrepancies import Answer, ForeignFill, Kind
from signalist.trading.models import Fill, Order, OrderAttempt, Reservation, Subscription
from signalist.trading.terms import Terms
from signalist.venues.base import OrderRequest, PastOrder
from signalist.venues.errors import NoAnswer
from signalist.venues.paper.venue import CAPABILITIES, PAPER
from tests.cast import person
from tests.flows.by_hand import differences, looks, seen, trades
from tests.flows.scene import EXIT_LONG, LONG, NOON, Scene, entry, opened, statuses

NAMELESS = replace(CAPABILITIES, order_identity="none")
BUY = entry(LONG, "39600", "40800")
ALL = Decimal("2.5")
PROTECTED = [("ENTRY", "FILLED"), ("STOP", "WORKING"), ("TARGET", "WORKING")]


@pytest.fixture
def world(transactional_db: None) -> Iterator[Scene]:
    """The scene at a venue that knows no ids of ours, a minute after noon."""
    with opened(capabilities=NAMELESS) as scene:
        scene.minute()
        yield scene


def placed(world: Scene, *legs: str) -> list[str]:
    """The legs of what was sent, in order."""
    return [leg for method, leg in world.venue.asked("place") if not legs or leg in legs]


def polls(world: Scene, seconds: float = 11, times: int = 3) -> None:
    """Time passes, and the engine looks again, so often."""
    for _ in range(times):
        world.later(seconds)
        world.price(str(world._prices["BTC-PERP"]))
        world.poll()


def beside(world: Scene, other: Subscription, schedule: Schedule) -> Subscription:
    """A second subscription of the same account, as at a venue that does not net."""
    terms = Terms(Decimal(1000), Decimal("0.01"), None, Decimal(10), Limits(), Plan())
    begun = NOON - timedelta(hours=1)
    return subscribe(other.account, schedule, schedule.instrument, terms, begun, nets=False)


def works_side_by_side(world: Scene) -> None:
    """The engine from now on is one that keeps calls under way, and reads reports meanwhile."""
    wakes.clear()
    world.drive(world.engine.stop())
    world.engine = Engine(Sessions({PAPER: world.venue}), world.clock, DatabaseInline(), StrategyPool(), patient=False)
    world.drive(world.engine.start())


async def working(engine: Engine) -> None:
    """Some turns of an engine that keeps calls under way."""
    for _ in range(5):
        await engine.drain()
        await asyncio.sleep(0.005)


def by_hand(
    side: Side, quantity: Decimal, trigger: str | None, *, name: str = "theirs-1", tag: str = "theirs"
) -> OrderRequest:
    """An order in the market as the venue takes it."""
    kind = OrderType.MARKET if trigger is None else OrderType.STOP
    level = None if trigger is None else Decimal(trigger)
    return OrderRequest(name, "BTC-PERP", side, kind, quantity, None, level, False, Decimal(10), tag)


# --- What works as ever --------------------------------------------------------------------------


def test_a_position_is_entered_protected_and_closed_by_the_venues_own_ids(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    assert statuses(world.orders(theo)) == PROTECTED
    assert all(order.venue_order_id.startswith("P-") and order.nameless for order in world.orders(theo))
    world.minute()
    world.signal(EXIT_LONG)
    assert world.trade(theo).exit_type == "SIGNAL"
    assert (world.net(theo), world.resting(theo)) == (0, {})
    assert placed(world) == ["ENTRY", "STOP", "TARGET", "EXIT"]


def test_a_stop_that_the_market_reaches_is_booked_by_the_venues_own_id(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    world.minute(low="39500", close="39550")
    assert world.trade(theo).exit_type == "STOP_LOSS"
    assert Fill.objects.filter(order__leg="STOP").count() == 1
    assert differences(None) == []


def test_books_that_agree_open_nothing_however_often_they_are_looked_at(world: Scene) -> None:
    world.subscriber()
    world.signal(BUY)
    looks(world, 4)
    assert differences(None) == []


# --- One at a time -------------------------------------------------------------------------------


def test_the_target_waits_until_the_venue_has_told_the_id_of_the_stop(world: Scene) -> None:
    theo = world.subscriber()
    world.venue.refuses(NoAnswer("Down."), "history", times=50)
    world.venue.loses_the_answer(leg="STOP")
    world.signal(BUY)
    assert statuses(world.orders(theo)) == [("ENTRY", "FILLED"), ("STOP", "UNKNOWN"), ("TARGET", "CREATED")]
    assert placed(world) == ["ENTRY", "STOP"]


def test_an_entry_waits_while_a_stop_in_its_market_is_in_flight_and_goes_after_it(world: Scene) -> None:
    theo = world.subscriber()
    vera = beside(world, theo, world.strategy("second", world.btc))
    eth = world.instrument("ETH-PERP", "2000", pair="ETH/USD")
    otto = beside(world, theo, world.strategy("third", eth))
    world.venue.loses_the_answer(leg="STOP")
    world.venue.refuses(NoAnswer("Down."), "history", times=2)
    world.signal(BUY)
    world.signal(entry(LONG, "39600"), schedule=vera.schedule)
    world.signal(entry(LONG, "1980"), schedule=otto.schedule)
    assert statuses(world.orders(vera)) == [("ENTRY", "CREATED")]  # the same market
    assert world.order(otto, "ENTRY").status == "FILLED"  # another one
    world.venue.calls.clear()
    polls(world, seconds=1, times=2)
    assert placed(world)[:2] == ["TARGET", "ENTRY"]  # protection before entries
    assert world.order(vera, "ENTRY").status == "FILLED"


def test_an_entry_that_waits_past_its_deadline_is_not_sent_late(world: Scene) -> None:
    theo = world.subscriber()
    vera = beside(world, theo, world.strategy("second", world.btc))
    world.venue.loses_the_answer(leg="STOP")
    world.venue.refuses(NoAnswer("Down."), "history", times=50)
    world.signal(BUY)
    world.signal(entry(LONG, "39600"), schedule=vera.schedule)
    polls(world, seconds=61, times=2)
    assert world.order(vera, "ENTRY").status == "EXPIRED"
    assert placed(world, "ENTRY") == ["ENTRY"]


# --- In doubt ------------------------------------------------------------------------------------


@pytest.mark.parametrize("leg", ["ENTRY", "STOP", "TARGET"])
def test_an_order_whose_answer_was_lost_is_found_in_the_history_and_never_sent_again(world: Scene, leg: str) -> None:
    theo = world.subscriber()
    world.venue.loses_the_answer(leg=leg)
    world.signal(BUY)
    world.poll()
    assert statuses(world.orders(theo)) == PROTECTED
    assert placed(world) == ["ENTRY", "STOP", "TARGET"]
    assert world.resting(theo) == {"STOP": ALL, "TARGET": ALL}
    assert differences(None) == []


def test_an_order_that_never_arrived_is_given_up_after_the_venues_time_and_several_looks(world: Scene) -> None:
    theo = world.subscriber()
    world.venue.loses_the_request(leg="ENTRY")
    world.signal(BUY)
    for _ in range(5):
        world.later(1)
        world.poll()
    assert world.order(theo, "ENTRY").status == "UNKNOWN"  # the venue may still carry it out
    polls(world)
    lost = world.order(theo, "ENTRY")
    assert (lost.status, lost.reason, lost.looks) == ("REJECTED", "the venue never received it", NAMELESS.looks)
    assert Reservation.objects.get(order=lost).released
    assert placed(world) == ["ENTRY"]
    world.minute()
    world.signal(BUY)
    assert world.order(theo, "ENTRY").status == "FILLED"  # the market is free again


def test_a_position_that_has_moved_is_never_taken_for_an_order_that_did_not_arrive(world: Scene) -> None:
    theo = world.subscriber()
    world.venue.hides_history(times=99)
    world.venue.loses_the_answer(leg="ENTRY")
    world.signal(BUY)
    polls(world, times=6)
    assert world.order(theo, "ENTRY").status == "UNKNOWN"
    (row,) = [row for row in differences() if row.kind == Kind.ORDER_IN_DOUBT]
    assert row.pauses
    world.books_agree = False  # what the venue holds beyond ours is a difference that asks


def test_a_trade_of_the_users_own_does_not_keep_an_order_in_doubt_that_never_arrived(world: Scene) -> None:
    theo = world.subscriber()
    world.venue.loses_the_request(leg="ENTRY")
    world.signal(BUY)
    trades(world, theo, Side.BUY, "0.3")
    polls(world, times=6)
    assert world.order(theo, "ENTRY").status == "REJECTED"


def test_a_look_that_fails_is_not_a_look_that_finds_nothing(world: Scene) -> None:
    theo = world.subscriber()
    world.venue.refuses(NoAnswer("Down."), "history", times=3)
    world.venue.loses_the_answer(leg="ENTRY")
    world.signal(BUY)
    polls(world, times=2)
    doubtful = world.order(theo, "ENTRY")
    assert (doubtful.status, doubtful.looks) == ("UNKNOWN", 0)
    polls(world, times=6)
    assert statuses(world.orders(theo)) == PROTECTED


def test_an_order_from_before_the_attempt_or_with_other_terms_is_not_ours(world: Scene) -> None:
    theo = world.subscriber()
    ref, alike = theo.account.venue_ref, replace(by_hand(Side.SELL, ALL, "39600"), reduce_only=True)
    world.drive(world.exchange.place(ref, replace(alike, client_order_id="early")))
    world.later(20)
    world.venue.loses_the_request(leg="STOP")
    world.signal(BUY)
    other: list[dict[str, Any]] = [
        {"quantity": Decimal("2.4")},
        {"trigger": Decimal(39500)},
        {"reduce_only": False},
    ]
    for number, changes in enumerate(other):
        world.drive(world.exchange.place(ref, replace(alike, client_order_id=f"late-{number}", **changes)))
    polls(world)
    lost, stands = world.orders(theo, "STOP")
    assert (lost.status, stands.status) == ("REJECTED", "WORKING")


def test_an_order_from_long_after_the_attempt_is_not_ours(world: Scene) -> None:
    theo = world.subscriber()
    world.venue.loses_the_request(leg="STOP")
    world.venue.refuses(NoAnswer("Down."), "history")
    world.signal(BUY)
    world.later(30)
    late = replace(by_hand(Side.SELL, ALL, "39600"), reduce_only=True)
    world.drive(world.exchange.place(theo.account.venue_ref, late))
    polls(world)
    assert [(o.n, o.status) for o in world.orders(theo, "STOP")] == [(0, "REJECTED")]
    assert world.trade(theo).exit_type == "EMERGENCY", "it had no stop for a minute"


def test_an_order_that_another_of_ours_is_known_as_is_no_candidate(world: Scene) -> None:
    theo = world.subscriber()
    vera, otto = (beside(world, theo, world.strategy(slug, world.btc)) for slug in ("second", "third"))
    world.signal(entry(LONG, "39600"), schedule=vera.schedule)
    world.venue.loses_the_answer(leg="ENTRY")
    world.signal(entry(LONG, "39600"), schedule=otto.schedule)
    world.poll()
    first, second = world.order(vera, "ENTRY"), world.order(otto, "ENTRY")
    assert first.quantity == second.quantity
    assert (first.status, second.status) == ("FILLED", "FILLED")
    assert first.venue_order_id != second.venue_order_id
    assert Account.objects.get(pk=theo.account_id).state == AccountState.ACTIVE


# --- Several candidates --------------------------------------------------------------------------


def in_question(world: Scene, *, arrives: bool = True) -> Subscription:
    """An entry whose answer was lost while the user bought as much by hand."""
    theo = world.subscriber()
    (world.venue.loses_the_answer if arrives else world.venue.loses_the_request)(leg="ENTRY")
    world.venue.refuses(NoAnswer("Down."), "history")
    world.signal(BUY)
    trades(world, theo, Side.BUY, "2.5")
    if not arrives:
        trades(world, theo, Side.BUY, "2.5", name="2")
    polls(world, seconds=2, times=1)
    return theo


def test_of_two_orders_that_may_be_ours_none_is_taken_and_the_account_is_halted_and_asks(world: Scene) -> None:
    theo = in_question(world)
    doubtful = world.order(theo, "ENTRY")
    account = Account.objects.get(pk=theo.account_id)
    assert (doubtful.status, doubtful.venue_order_id) == ("UNKNOWN", "")
    assert (account.state, account.state_reason) == (
        AccountState.HALTED,
        "several orders at the venue may be ours; say what is to be done and resume",
    )
    (row,) = [row for row in differences() if row.kind == Kind.ORDER_IN_DOUBT]
    assert (row.subject, row.pauses) == (doubtful.client_order_id, True)
    assert len(row.facts["candidates"].split(", ")) == 2
    assert [event["account"] for event in world.events("account_halted")] == [account.pk]
    polls(world, seconds=61, times=3)
    assert world.order(theo, "ENTRY").status == "UNKNOWN"
    assert len(world.events("account_halted")) == 1  # it is asked once
    assert placed(world) == ["ENTRY"]


def test_what_two_candidates_filled_is_kept_as_fills_that_are_not_ours(world: Scene) -> None:
    theo = in_question(world)
    polls(world, times=2)
    assert Fill.objects.count() == 0
    assert sum(fill.quantity for fill in ForeignFill.objects.all()) == 2 * ALL
    assert world.net(theo) == 2 * ALL


def test_a_person_gives_the_order_up_and_what_is_there_asks_for_itself(world: Scene) -> None:
    theo = in_question(world)
    polls(world, times=2)
    (row,) = [row for row in differences() if row.kind == Kind.ORDER_IN_DOUBT]
    answer(row, Answer.GIVE_UP, None, world.clock.now(), person("Olivia"))
    polls(world, times=1)
    lost = world.order(theo, "ENTRY")
    assert (lost.status, lost.reason) == ("REJECTED", "given up by hand")
    assert Reservation.objects.get(order=lost).released
    looks(world)
    assert [(kind, theirs) for kind, theirs in seen("kind", "theirs")] == [(Kind.POSITION_LARGER, 2 * ALL)]


def test_of_two_resting_candidates_the_one_that_is_left_is_ours_after_a_person_took_the_other_down(
    world: Scene,
) -> None:
    theo = world.subscriber()
    world.venue.refuses(NoAnswer("Down."), "history")
    world.venue.loses_the_answer(leg="STOP")
    world.signal(BUY)
    request = replace(by_hand(Side.SELL, ALL, "39600"), reduce_only=True)
    other = world.drive(world.exchange.place(theo.account.venue_ref, request))
    polls(world, seconds=2, times=1)
    assert world.order(theo, "STOP").status == "UNKNOWN"
    assert Account.objects.get(pk=theo.account_id).state == AccountState.HALTED
    world.drive(world.exchange.cancel(theo.account.venue_ref, other.client_order_id))
    (row,) = [row for row in differences() if row.kind == Kind.ORDER_IN_DOUBT]
    answer(row, Answer.CHECK, None, world.clock.now(), person("Olivia"))
    polls(world, seconds=1, times=2)
    stop = world.order(theo, "STOP")
    assert stop.status == "WORKING"
    assert stop.venue_order_id != other.venue_order_id
    looks(world)
    assert differences() == []


def test_fills_that_were_taken_for_strangers_are_ours_once_the_order_is_known(world: Scene) -> None:
    theo = world.subscriber()
    world.venue.loses_the_answer(leg="ENTRY")
    world.venue.hides_history(times=3)
    world.signal(BUY)
    polls(world, seconds=31, times=1)
    assert (Fill.objects.count(), ForeignFill.objects.count()) == (0, 1)
    polls(world, seconds=31, times=4)
    assert statuses(world.orders(theo)) == PROTECTED
    assert world.position(theo).quantity == ALL
    looks(world)
    assert differences() == []


# --- Streams and crashes -------------------------------------------------------------------------


def test_a_fill_that_is_told_before_the_answer_is_written_waits_for_it(world: Scene) -> None:
    theo = world.subscriber()

    async def told() -> None:
        """The stream tells of the fill while the call is still under way."""
        ref = theo.account.venue_ref
        lost = Order.objects.get(leg="ENTRY")
        assert lost.status == "SENDING"
        said = await world.venue.open(ref).reports("")
        assert said.fills
        assert write_reports({theo.account_id: ("", said)}, world.clock.now(), world.engine.id) == 0
        assert (Fill.objects.count(), ForeignFill.objects.count()) == (0, 0)

    world.venue.after(told, "place", leg="ENTRY")
    world.signal(BUY)
    assert statuses(world.orders(theo)) == PROTECTED
    assert (Fill.objects.count(), ForeignFill.objects.count()) == (1, 0)
    assert differences(None) == []


def test_an_engine_that_hears_streams_while_it_calls_books_each_fill_as_ours(world: Scene) -> None:
    theo = world.subscriber()
    works_side_by_side(world)
    for leg in ("ENTRY", "STOP", "TARGET"):
        world.venue.after(partial(asyncio.sleep, 0.05), "place", leg=leg)
    world.signal(BUY, wait=True)
    for _ in range(20):
        world.drive(working(world.engine))
    assert statuses(world.orders(theo)) == PROTECTED
    assert (Fill.objects.count(), ForeignFill.objects.count()) == (1, 0)
    assert placed(world) == ["ENTRY", "STOP", "TARGET"]
    assert differences(None) == []


def test_a_fill_of_an_order_in_doubt_is_booked_once_when_the_order_is_found(world: Scene) -> None:
    theo = world.subscriber()
    world.venue.loses_the_answer(leg="ENTRY")
    world.venue.hides_history()
    world.signal(BUY)
    assert (Fill.objects.count(), ForeignFill.objects.count()) == (0, 0)
    polls(world, seconds=2, times=2)
    assert statuses(world.orders(theo)) == PROTECTED
    assert Fill.objects.count() == 1
    assert differences(None) == []


@pytest.mark.parametrize("arrives", [True, False])
def test_an_engine_that_dies_between_sending_and_the_answer_leaves_an_order_that_the_next_one_finds(
    world: Scene, arrives: bool
) -> None:
    theo = world.subscriber()
    world.signal(BUY, wait=True)
    for stage in ("fan_out", "decide"):
        world.stage({"fan_out": fan_out, "decide": lambda now: decide(now, engine=world.engine.id)}[stage])
    work = world.stage(lambda now: claim(world.engine.id, now, abilities=lambda venue: NAMELESS))
    (errand,) = work.errands
    if arrives:
        order = errand.order
        request = by_hand(Side.BUY, ALL, None, name=order.client_order_id, tag=order.tag)
        world.drive(world.exchange.place(theo.account.venue_ref, request))
    world.starts_again()
    polls(world, times=3)
    expected = PROTECTED if arrives else [("ENTRY", "REJECTED")]
    assert statuses(world.orders(theo)) == expected
    assert OrderAttempt.objects.filter(order__leg="ENTRY").count() == 1
    assert differences(None) == []


def test_a_stop_that_vanished_while_no_engine_ran_is_replaced(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    stop = world.order(theo, "STOP")
    PaperOrder.objects.filter(venue_order_id=stop.venue_order_id).delete()
    world.store.transact((), (), lambda book: None)  # the venue itself knows that its book has changed
    assert world.unprotected() != ()
    world.starts_again()
    polls(world)
    assert [(o.n, o.status) for o in world.orders(theo, "STOP")] == [(0, "REJECTED"), (1, "WORKING")]
    assert world.unprotected() == ()
    assert differences() == []


# --- Cost ----------------------------------------------------------------------------------------


def test_a_claim_asks_the_same_number_of_questions_for_one_order_and_for_many(world: Scene) -> None:
    counts = []
    for names in (["Theo"], ["Vera", "Otto", "Olaf"]):
        for name in names:
            world.subscriber(name)
        world.signal(BUY, wait=True)
        world.stage(fan_out)
        world.stage(lambda now: decide(now, engine=world.engine.id))
        with CaptureQueriesContext(
            connection,
        ) as asked:
            work = world.stage(lambda now: claim(world.engine.id, now, abilities=lambda venue: NAMELESS))
        assert len(work.errands) == len(Order.objects.filter(status="SENDING")) - sum(n for _, n in counts)
        counts.append((len(asked), len(work.errands)))
        world.minute()
    (few, one), (many, three) = counts
    assert (one, three) == (1, 4 - 1)
    assert many == few
    world.books_agree = False


@pytest.mark.parametrize(
    ("leg", "n", "reached", "held", "alike"),
    [
        ("EXIT", 0, False, "1.5", True),
        ("EXIT", 1, False, "1.5", True),
        ("STOP", 0, True, "1.5", True),
        ("STOP", 0, False, "1.5", False),
        ("ENTRY", 0, False, "1.5", False),
        ("EXIT", 0, False, "3", False),
        ("ENTRY", 0, False, "2.5", True),
    ],
)
def test_what_closes_at_market_may_have_been_sent_for_less(
    leg: str, n: int, reached: bool, held: str, alike: bool
) -> None:
    now = datetime(2022, 1, 1, 12, tzinfo=UTC)
    order = fast.new(
        Order, leg=leg, n=n, side="SELL", type="MARKET", quantity=Decimal("2.5"), reduce_only=leg != "ENTRY"
    )
    order.price_at = now if reached else None
    fast.relate(order, "instrument", fast.new(Instrument, symbol="BTC-PERP"))
    past = PastOrder(
        venue_order_id="V-1",
        symbol="BTC-PERP",
        side=Side.SELL,
        type=OrderType.MARKET,
        quantity=Decimal(held),
        filled=Decimal(0),
        status=OrderStatus.WORKING,
        price=None,
        trigger=None,
        reduce_only=order.reduce_only,
        time=now,
    )
    assert nameless._is_alike(past, order) is alike
