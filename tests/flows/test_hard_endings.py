"""Endings that go wrong at the venue: an exit that fills nothing, a lost part, a fill that comes after everything was given up."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from signalist.accounts.models import Account, AccountState, PaperOrder
from signalist.domain.matching import Bar
from signalist.domain.orders import OrderStatus, OrderType
from signalist.domain.protection import Plan, Rung
from signalist.domain.signals import Direction
from signalist.execution import actions
from signalist.execution.watching import watch
from signalist.markets.models import Instrument
from signalist.markets.selectors import forget_instruments
from signalist.risk.actions import Where
from signalist.trading import tickets
from signalist.trading.answers import answer
from signalist.trading.discrepancies import Answer
from signalist.trading.models import Order, Reservation, Subscription
from signalist.venues.base import Ack, OrderReport
from signalist.venues.errors import NoAnswer, Refused
from signalist.venues.paper.exchange import SymbolBar
from signalist.venues.paper.venue import CAPABILITIES
from tests.cast import person
from tests.flows.by_hand import differences, looks
from tests.flows.scene import CALM, EXIT_LONG, LONG, Scene, entry, opened
from tests.flows.tricks import Trick

BUY = entry(LONG, "39600", "40800")
ALL = Decimal("2.5")


@pytest.fixture
def world(scene: Scene) -> Scene:
    """The scene a minute after noon."""
    scene.minute()
    return scene


def _acknowledges_without_taking(world: Scene) -> None:
    async def play(carry_out: Callable[[], Awaitable[object]]) -> object:
        return Ack([call.order_id for call in world.venue.calls if call.method == "place"][-1], "V-1")

    world.venue._tricks.append(Trick(play, "place", leg="EXIT"))


def test_an_exit_that_the_venue_ends_unfilled_is_followed_by_another(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    _acknowledges_without_taking(world)
    world.minute()
    world.signal(EXIT_LONG)
    first = world.order(theo, "EXIT")
    ended = OrderReport(first.client_order_id, "V-1", OrderStatus.CANCELLED, ALL, Decimal(0), "none", world.clock.now())
    world.venue.announced[theo.account.venue_ref] = [ended]
    world.poll()
    assert [order.status for order in world.orders(theo, "EXIT")] == ["CANCELLED", "FILLED"]
    assert world.trade(theo).exit_type == "SIGNAL"
    assert world.net(theo) == 0


def test_a_stop_that_is_lost_after_it_filled_in_part_is_over_and_ends_no_engine(world: Scene) -> None:
    world.books_agree = False
    theo = world.subscriber()
    world.signal(BUY)
    stop = world.order(theo, "STOP")
    Order.objects.filter(pk=stop.pk).update(status="PARTIAL", filled=Decimal(1), filled_value=Decimal(39600))
    PaperOrder.objects.filter(client_order_id=stop.client_order_id).delete()
    looks(world, 5)
    assert [order.status for order in world.orders(theo, "STOP")] == ["CANCELLED", "WORKING"]
    assert "LOST_ORDER" in {row.kind for row in differences(None)}


def test_a_stop_that_was_moved_often_is_still_withdrawn_before_its_exit(transactional_db: None) -> None:
    with opened(replace(CALM, reserves_exits=True), replace(CAPABILITIES, reserves_exits=True)) as world:
        world.minute()
        theo = world.subscriber(plan=Plan(trail=Decimal("0.01")))
        world.signal(entry(LONG, "39600", "60000"))
        for price in range(40_400, 44_500, 500):
            world.price(str(price))
            world.settle()
        assert world.order(theo, "STOP").attempts > 5
        world.venue.refuses(NoAnswer("The connection was cut."), "cancel", leg="STOP")
        before = len(world.venue.calls)
        world.minute()
        world.signal(EXIT_LONG)
        for _ in range(4):
            world.later(5)
            world.price("44400")
            world.poll()
        asked = [(call.method, call.leg) for call in world.venue.calls[before:] if call.method in ("place", "cancel")]
        assert asked == [("cancel", "STOP"), ("cancel", "STOP"), ("place", "EXIT")]
        assert world.net(theo) == 0


def test_what_is_too_small_is_written_off_only_when_nothing_of_it_works_any_more(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    Instrument.objects.filter(pk=world.btc.pk).update(min_quantity=Decimal(5))
    forget_instruments()
    stop, ref = world.order(theo, "STOP"), theo.account.venue_ref
    world.drive(world.exchange.cancel(ref, stop.client_order_id))
    gone = OrderReport(stop.client_order_id, "", OrderStatus.CANCELLED, ALL, Decimal(0), "", world.clock.now())
    world.venue.announced[ref] = [gone]
    world.venue.refuses(Refused("Under the minimum."), leg="STOP", times=99)

    async def the_target_fills() -> None:
        at = world.clock.now() + timedelta(seconds=5)
        await world.exchange.on_bars([SymbolBar("BTC-PERP", Bar.tick(Decimal(40_900)), at, at)])

    world.venue.before(the_target_fills, "cancel", leg="TARGET")
    world.poll()
    world.minute(high="40900", close="40900")
    world.poll()
    assert Account.objects.get(pk=theo.account_id).state == "ACTIVE"
    assert (world.trade(theo).exit_type, world.position(theo).dust) == ("TAKE_PROFIT", 0)


@pytest.mark.parametrize("how", ["flatten", "kill"])
def test_what_an_entry_fills_after_everything_was_to_be_closed_is_closed_too(world: Scene, how: str) -> None:
    theo = world.subscriber()
    account = Account.objects.get(pk=theo.account_id)
    world.venue.loses_the_answer(leg="ENTRY")
    world.venue.refuses(NoAnswer("down"), "look_up", times=1)
    world.venue.refuses(NoAnswer("down"), "reports", times=2)
    world.signal(BUY)
    assert world.order(theo, "ENTRY").status == "UNKNOWN"
    if how == "flatten":
        actions.flatten(account, "flat", "get out", world.clock.now())
    else:
        everything = actions.Beside(cancel_entries=True, close_positions=True)
        actions.kill(
            Where.of_account(account), AccountState.HALTED, "get out", world.clock.now(), who="Theo", beside=everything
        )
    world.settle()
    for _ in range(3):
        world.minute()
        world.poll()
    assert world.net(theo) == 0
    assert not world.position(theo).is_open


def test_a_lost_entry_that_is_given_up_gives_its_money_back(world: Scene) -> None:
    account = world.account("Hand")
    world.poll()
    limit = {"quantity": Decimal(1), "price": Decimal(39_000), "stop": Decimal(38_000), "leverage": Decimal(10)}
    ticket = tickets.Ticket(world.btc, Direction.LONG, OrderType.LIMIT, **limit)
    tickets.give(account, ticket, "o1", world.clock.now(), None, nets=True)
    world.settle()
    PaperOrder.objects.all().delete()
    looks(world, 5)
    (row,) = differences()
    answer(row, Answer.GIVE_UP, None, world.clock.now(), person("theo@acme.example"))
    world.poll()
    assert Order.objects.get().status == "REJECTED"
    assert Reservation.objects.get().released


def test_positions_that_outlive_their_time_together_cost_no_statement_each(world: Scene) -> None:
    every: list[Subscription] = []

    def statements(more: int) -> int:
        every.extend(world.subscriber(f"s{len(every) + n}", plan=Plan(minutes=1)) for n in range(more))
        world.minute()
        world.signal(BUY)
        world.later(120)
        world.price("40000")
        with CaptureQueriesContext(connection) as asked:
            world.stage(lambda now: watch(now, world.engine.sessions.capabilities, world.engine.id))
        world.settle()
        assert [world.trade(subscription).exit_type for subscription in every] == ["TIME_EXIT"] * len(every)
        assert not any(world.position(subscription).is_open for subscription in every)
        return len(asked)

    assert statements(2) == statements(4)


def test_a_stop_that_was_made_smaller_unheard_is_filled_when_that_is(world: Scene) -> None:
    theo = world.subscriber(plan=Plan(ladder=(Rung(Decimal(1), Decimal("0.5")),)))
    world.signal(entry(LONG, "39600", "42000"))
    world.venue.loses_the_answer("amend", leg="STOP")
    world.minute(high="40500", close="40500")
    assert world.order(theo, "STOP").quantity == ALL, "nobody has heard that it is half of that now"
    world.minute(low="39500", close="39500")
    for _ in range(3):
        world.later(60)
        world.price("39500")
        world.poll()
    stop = world.order(theo, "STOP")
    assert (stop.status, stop.quantity, stop.filled) == ("FILLED", ALL / 2, ALL / 2)
    assert not world.position(theo).is_open
    assert differences(None) == []
