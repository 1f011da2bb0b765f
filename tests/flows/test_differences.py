"""What a venue holds and our books do not, or the other way round: it becomes a difference that denies entries and asks."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from signalist.accounts.models import Account, AccountState, PaperAccount, PaperOrder
from signalist.domain.errors import DomainError
from signalist.domain.orders import OrderType, Side
from signalist.domain.protection import Plan, Rung
from signalist.trading.answers import answer
from signalist.trading.discrepancies import AccountLook, Answer, ForeignFill, Kind, State
from signalist.venues.errors import Busy
from tenants.models import User
from tests.cast import person
from tests.flows.by_hand import differences, looks, seen, trades
from tests.flows.scene import EXIT_LONG, LONG, Scene, entry

VERBS = {"SELECT", "INSERT", "UPDATE", "DELETE"}
BUY = entry(LONG, "39600", "40800")
ALL = Decimal("2.5")


@pytest.fixture
def world(scene: Scene) -> Scene:
    """The scene a minute after noon."""
    scene.minute()
    return scene


# --- No false alarm ------------------------------------------------------------------------------


def test_books_that_agree_open_nothing_however_often_they_are_looked_at(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    looks(world, 4)
    assert differences(None) == []
    (look,) = AccountLook.objects.all()
    assert look.agrees
    assert look.sums == [
        {"symbol": "BTC-PERP", "held": {str(theo.pk): "2.5"}, "ours": "2.5", "own": "0", "venue": "2.5", "settled": "0"}
    ]


def test_what_two_looks_see_is_no_difference_yet(world: Scene) -> None:
    theo = world.subscriber()
    looks(world, 1)
    trades(world, theo, Side.BUY, "1", OrderType.LIMIT, level="30000")
    looks(world, 2)
    assert differences() == []
    looks(world, 1)
    assert len(differences()) == 1


# --- What is found -------------------------------------------------------------------------------


def test_looks_at_once_after_each_other_count_as_one(world: Scene) -> None:
    """A line that is interrupted time and again has its account looked at each time."""
    theo = world.subscriber()
    trades(world, theo, Side.BUY, "1", OrderType.LIMIT, level="30000")
    assert world.engine.calls.comparer is not None
    for _ in range(8):
        world.later(0.2)
        world.engine.calls.comparer.wants([theo.account_id])
        world.poll()
    assert differences() == []
    looks(world, 2)
    assert [row.kind for row in differences()] == [Kind.EXTERNAL_ORDER]


def test_an_order_that_is_not_ours_is_found_with_its_terms(world: Scene) -> None:
    theo = world.subscriber()
    order = trades(world, theo, Side.BUY, "1", OrderType.LIMIT, level="30000")
    looks(world)
    (row,) = differences()
    assert (row.kind, row.subject, row.ours, row.theirs) == (Kind.EXTERNAL_ORDER, order, None, Decimal(1))
    assert (row.facts["side"], row.facts["type"], row.facts["level"]) == ("BUY", "LIMIT", "30000")


def test_a_position_that_somebody_closed_is_a_manual_close_with_the_venues_price(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    trades(world, theo, Side.SELL, "2.5")
    looks(world)
    assert seen("kind", "ours", "theirs") == [(Kind.MANUAL_CLOSE, ALL, Decimal(0))]
    (fill,) = ForeignFill.objects.all()
    assert (fill.side, fill.quantity, fill.price) == ("SELL", ALL, Decimal(40_000))
    assert differences()[0].facts["told"] == "yes"


def test_more_than_we_hold_is_a_position_larger_than_the_books(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    trades(world, theo, Side.BUY, "0.5")
    looks(world)
    assert seen("kind", "ours", "theirs") == [(Kind.POSITION_LARGER, ALL, Decimal(3))]


# --- What follows --------------------------------------------------------------------------------


def test_entries_in_that_market_are_denied_by_name_and_the_account_goes_on(world: Scene) -> None:
    theo = world.subscriber()
    trades(world, theo, Side.BUY, "1", OrderType.LIMIT, level="30000")
    looks(world)
    world.signal(BUY)
    denied = world.execution(theo)
    assert (denied.status, denied.rule, denied.numbers) == ("DENIED", "difference", {"kind": "EXTERNAL_ORDER"})
    assert Account.objects.get().state == AccountState.ACTIVE


def test_exits_go_on(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    trades(world, theo, Side.BUY, "1", OrderType.LIMIT, level="30000")
    looks(world)
    world.signal(EXIT_LONG)
    assert world.trade(theo).exit_type == "SIGNAL"
    assert world.net(theo) == 0


def test_a_difference_that_goes_by_itself_lets_entries_in_again(world: Scene) -> None:
    theo = world.subscriber()
    trades(world, theo, Side.BUY, "1", OrderType.LIMIT, level="30000")
    looks(world)
    world.drive(world.exchange.cancel(theo.account.venue_ref, "by-hand-1"))
    looks(world, 1)
    assert differences() == []
    assert [row.state for row in differences(None)] == [State.GONE]
    assert len(world.events("difference_found")) == len(world.events("difference_gone")) == 1
    world.signal(BUY)
    assert world.position(theo).quantity == ALL


# --- What people answer --------------------------------------------------------------------------


@pytest.fixture
def olga() -> User:
    return person("Olga")


def answered(world: Scene, by: User, said: Answer, price: str | None = None) -> None:
    """Somebody answers the one difference that is open, and the engine carries it out."""
    (row,) = differences()
    answer(row, said, None if price is None else Decimal(price), world.clock.now(), by)
    world.poll()


def test_a_manual_close_that_is_adopted_is_a_trade_at_the_venues_price(world: Scene, olga: User) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    world.price("40100")
    trades(world, theo, Side.SELL, "2.5")
    looks(world)
    answered(world, olga, Answer.ADOPT)
    closed = world.trade(theo)
    assert (closed.exit_type, closed.exit_price, closed.quantity) == ("MANUAL", Decimal(40_100), ALL)
    assert closed.fees > 0
    assert world.resting(theo) == {}
    assert [row.state for row in differences(None)] == [State.RESOLVED]
    looks(world)
    assert differences() == [], "the money agrees, too"
    (told,) = world.events("difference_answered")
    assert (told["answer"], told["by"]) == ("ADOPT", str(olga.public_id))
    world.signal(BUY)
    assert world.position(theo).is_open, "entries are taken again"


def test_a_part_that_was_closed_is_booked_and_the_stop_follows(world: Scene, olga: User) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    trades(world, theo, Side.SELL, "1")
    looks(world)
    assert seen("kind") == [(Kind.MANUAL_CLOSE,)]
    answered(world, olga, Answer.ADOPT)
    assert world.position(theo).quantity == Decimal("1.5")
    assert world.resting(theo) == {"STOP": Decimal("1.5"), "TARGET": Decimal("1.5")}


def test_an_answer_to_numbers_that_have_changed_is_refused(world: Scene, olga: User) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    trades(world, theo, Side.SELL, "1")
    looks(world)
    (shown,) = differences()
    trades(world, theo, Side.SELL, "0.5", name="2")
    looks(world, 2)
    with pytest.raises(DomainError, match="changed meanwhile"):
        answer(shown, Answer.ADOPT, None, world.clock.now(), olga)


def test_an_order_of_somebody_else_is_cancelled_when_asked(world: Scene, olga: User) -> None:
    theo = world.subscriber()
    trades(world, theo, Side.BUY, "1", OrderType.LIMIT, level="30000")
    looks(world)
    answered(world, olga, Answer.CANCEL)
    assert world.resting(theo) == {}
    assert [(row.state, row.resolution) for row in differences(None)] == [(State.RESOLVED, "cancelled at the venue")]


def test_a_venue_that_does_not_cancel_says_why_and_the_difference_stays(world: Scene, olga: User) -> None:
    theo = world.subscriber()
    trades(world, theo, Side.BUY, "1", OrderType.LIMIT, level="30000")
    looks(world)
    world.venue.refuses(Busy("Too many requests."), "take_down")
    answered(world, olga, Answer.CANCEL)
    (row,) = differences()
    assert (row.answer, row.answer_problem) == ("", "The venue did not cancel it: Too many requests.")


def test_an_order_that_is_the_users_own_is_left_alone_and_entries_go_on(world: Scene, olga: User) -> None:
    theo = world.subscriber()
    trades(world, theo, Side.BUY, "1", OrderType.LIMIT, level="30000")
    looks(world)
    answered(world, olga, Answer.KEEP)
    looks(world)
    assert differences() == []
    world.signal(BUY)
    assert world.position(theo).quantity == ALL


def test_what_is_the_users_own_is_counted_in_until_it_is_gone(world: Scene, olga: User) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    trades(world, theo, Side.BUY, "0.5")
    looks(world)
    answered(world, olga, Answer.KEEP)
    looks(world)
    assert differences() == []
    assert AccountLook.objects.get().sums[0]["own"] == "0.5"
    trades(world, theo, Side.SELL, "0.5", name="2")
    looks(world)
    assert AccountLook.objects.get().sums[0]["own"] == "0"


def test_a_lack_of_money_stops_entries_on_the_whole_account_until_it_is_taken_in(world: Scene, olga: User) -> None:
    theo = world.subscriber()
    looks(world, 1)
    PaperAccount.objects.update(cash=Decimal(90_000))
    looks(world)
    assert seen("kind", "ours", "theirs") == [(Kind.BALANCE_GAP, Decimal(100_000), Decimal(90_000))]
    world.signal(BUY)
    assert (world.execution(theo).rule, world.execution(theo).numbers) == ("difference", {"kind": "BALANCE_GAP"})
    answered(world, olga, Answer.KEEP)
    looks(world)
    assert differences() == []


def test_what_a_target_brought_of_an_open_position_is_no_gap(world: Scene) -> None:
    theo = world.subscriber(plan=Plan(ladder=(Rung(Decimal(1), Decimal("0.5")),)))
    world.signal(BUY)
    world.minute(high="40500")
    assert world.net(theo) == ALL / 2
    looks(world)
    assert differences() == []
    PaperAccount.objects.update(cash=F("cash") - 1)
    looks(world)
    assert seen("kind") == [(Kind.BALANCE_GAP,)]


def test_money_that_came_in_asks_and_stops_nothing(world: Scene) -> None:
    theo = world.subscriber()
    looks(world, 1)
    PaperAccount.objects.update(cash=Decimal(110_000))
    looks(world)
    assert seen("kind", "pauses") == [(Kind.BALANCE_GAP, False)]
    world.signal(BUY)
    assert world.position(theo).quantity == ALL


# --- Orders that a venue has lost ----------------------------------------------------------------


def forgets(world: Scene, leg: str) -> str:
    """The venue drops an order from its book and denies that it ever was there; its id."""
    order = PaperOrder.objects.get(tag__endswith=f":{leg}")
    PaperOrder.objects.filter(pk=order.pk).delete()
    world.exchange.store.transact(set(), set(), lambda book: None)
    return order.client_order_id


def test_a_stop_that_the_venue_has_lost_is_replaced_and_said(world: Scene, olga: User) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    lost = forgets(world, "STOP")
    looks(world)
    (row,) = differences()
    assert (row.kind, row.subject, row.facts["leg"]) == (Kind.LOST_ORDER, lost, "STOP")
    old, new = world.orders(theo, "STOP")
    assert (old.status, old.reason, new.status) == ("REJECTED", "the venue does not know it any more", "WORKING")
    assert world.unprotected() == ()
    looks(world)
    assert len(differences()) == 1, "it does not go by itself"
    answered(world, olga, Answer.GIVE_UP)
    assert differences() == []


# --- What it costs -------------------------------------------------------------------------------


def test_a_look_at_many_accounts_takes_as_many_statements_as_one_at_a_few(world: Scene) -> None:
    def statements() -> int:
        looks(world, 1)
        with CaptureQueriesContext(connection) as queries:
            looks(world, 1)
        # The paper venue reads its own tables, once an account and in transactions of its own.
        ours = [q["sql"] for q in queries if "paper" not in q["sql"] and any(verb in q["sql"] for verb in VERBS)]
        return len(ours)

    for name in ("Theo", "Vera"):
        world.subscriber(name)
    world.signal(BUY)
    few = statements()
    for name in ("Otto", "Nora", "Emil", "Anna", "Ines", "Paul"):
        world.subscriber(name)
    world.minute()
    world.signal(BUY)
    assert statements() == few
