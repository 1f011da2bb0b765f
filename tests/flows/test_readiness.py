"""What must be known before an account enters anew: that its protection stands after a change of hands, and nothing old is left."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from signalist.accounts.models import Account, AccountState, PaperDesk, PaperOrder, PaperPosition
from signalist.domain.orders import OrderStatus, OrderType, Side
from signalist.markets.models import Instrument
from signalist.markets.selectors import forget_instruments
from signalist.risk.actions import Where, switch
from signalist.trading.models import Position, Subscription
from signalist.venues.base import OrderReport
from signalist.venues.errors import NoAnswer, Refused
from signalist.venues.paper.venue import CAPABILITIES
from tests.flows.by_hand import differences, looks, seen, trades
from tests.flows.scene import CALM, LONG, Scene, entry, opened

BUY, BUY_ETHER = entry(LONG, "39600", "40800"), entry(LONG, "1980")
ALL = Decimal("2.5")
PLAIN_TYPES = frozenset({OrderType.MARKET, OrderType.LIMIT})


@pytest.fixture
def world(scene: Scene) -> Scene:
    """The scene a minute after noon."""
    scene.minute()
    return scene


def ether(world: Scene, holder: Subscription) -> Subscription:
    """Another subscription of the same account, on another market."""
    market = world.instrument("ETH-PERP", "2000", pair="ETH/USD")
    schedule = world.strategy("ether", market)
    return world.subscriber(account=Account.objects.get(pk=holder.account_id), schedule=schedule, capital="10000")


def vanishes(world: Scene, client_order_id: str) -> None:
    """The venue knows this order no more, and says nothing."""
    PaperOrder.objects.filter(client_order_id=client_order_id).delete()
    PaperDesk.objects.update(version=1_000_000)


# --- After a change of hands ---------------------------------------------------------------------


def test_a_stop_that_vanished_while_no_engine_ran_is_replaced_before_anything_is_entered(world: Scene) -> None:
    theo = world.subscriber()
    other = ether(world, theo)
    world.signal(BUY)
    vanishes(world, world.order(theo, "STOP").client_order_id)
    assert world.unprotected() != ()
    world.signal(BUY_ETHER, schedule=other.schedule, wait=True)
    world.venue.calls.clear()
    world.starts_again()
    assert [(o.n, o.status) for o in world.orders(theo, "STOP")] == [(0, "REJECTED"), (1, "WORKING")]
    placed = [leg for _, leg in world.venue.asked("place")]
    assert placed == ["STOP", "ENTRY", "STOP"]  # the lost one's, then the new entry with its own
    assert world.execution(other).status == "TAKEN"
    assert world.unprotected() == ()


def test_a_stop_that_stands_is_found_and_kept(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    world.starts_again()
    assert [(o.n, o.status) for o in world.orders(theo, "STOP")] == [(0, "WORKING")]
    assert world.resting(theo) == {"STOP": ALL, "TARGET": ALL}


def test_no_entry_is_decided_before_the_venue_was_heard(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY, wait=True)
    world.venue.refuses(NoAnswer("Down."), "reports", times=2)
    world.starts_again()
    world.drive(world.engine.watch())
    world.poll()
    assert world.execution(theo).status == "PENDING"
    world.drive(world.engine.watch())
    world.poll()
    assert world.execution(theo).status == "TAKEN"


def test_an_account_whose_venue_stays_silent_keeps_no_other_waiting(world: Scene) -> None:
    theo, vera = world.subscriber("Theo"), world.subscriber("Vera")
    world.signal(BUY, wait=True)
    world.venue.refuses(NoAnswer("Down."), "reports", ref=theo.account.venue_ref, times=500)
    world.starts_again()
    assert (world.execution(theo).status, world.execution(vera).status) == ("PENDING", "TAKEN")
    world.later(3600)
    world.poll()
    assert (world.execution(theo).status, world.execution(theo).rule) == ("SKIPPED", "late")


# --- What is left of a closed position -----------------------------------------------------------


def test_an_entry_waits_while_a_leg_of_the_closed_position_is_still_there(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    world.venue.loses_the_request("cancel", leg="TARGET")
    world.minute(low="39500", close="39700")
    assert (world.net(theo), world.resting(theo)) == (0, {"TARGET": ALL})
    world.signal(entry(LONG, "39400"))
    assert world.execution(theo).status == "PENDING"
    world.later(5)
    world.poll()
    assert world.execution(theo).status == "TAKEN"
    assert world.position(theo).is_open
    legs = [leg for method, leg in world.venue.asked("place", "cancel") if leg in ("TARGET", "ENTRY")]
    assert legs == ["ENTRY", "TARGET", "TARGET", "TARGET", "ENTRY"]


# --- Books and venue differ ----------------------------------------------------------------------


def test_stops_that_the_venue_takes_away_again_and_again_pause_and_then_halt_the_account(
    transactional_db: None,
) -> None:
    market = replace(CALM, order_types=PLAIN_TYPES)
    with opened(market, replace(CAPABILITIES, order_types=PLAIN_TYPES)) as world:
        world.minute()
        theo = world.subscriber()
        world.signal(BUY)
        # Somebody closed it at the venue, and the venue never said so: there is nothing left to reduce.
        PaperPosition.objects.update(quantity=0, value=0, margin=0)
        world.price("39500")
        world.settle()
        assert len([call for call in world.venue.asked("place") if call[1] == "STOP"]) == 2
        for _ in range(4):
            world.later(17)
            world.poll()
        assert len([call for call in world.venue.asked("place") if call[1] == "STOP"]) == 5
        account = Account.objects.get(pk=theo.account_id)
        assert (account.state, account.state_reason[:38]) == ("HALTED", "the venue keeps cancelling a stop; com")
        (told,) = world.events("books_differ")
        assert told["position"] == world.position(theo).pk
        world.later(60)
        world.poll()
        assert len([call for call in world.venue.asked("place") if call[1] == "STOP"]) == 5
        switch(Where.of_account(account), AccountState.ACTIVE, "put right", world.clock.now(), who="Theo")
        world.price("39500")
        world.poll()
        # Tried anew, and nobody having put it right the pauses begin again.
        assert len([call for call in world.venue.asked("place") if call[1] == "STOP"]) == 7


# --- Dust ----------------------------------------------------------------------------------------


def test_what_is_left_under_the_venues_minimum_is_closed_in_the_books_and_told(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    Instrument.objects.filter(pk=world.btc.pk).update(min_quantity=Decimal(5))
    forget_instruments()
    stop, ref = world.order(theo, "STOP"), theo.account.venue_ref
    world.drive(world.exchange.cancel(ref, stop.client_order_id))
    world.venue.announced[ref] = [
        OrderReport(stop.client_order_id, "", OrderStatus.CANCELLED, ALL, Decimal(0), "", world.clock.now())
    ]
    world.venue.refuses(Refused("Under the minimum."), leg="STOP", times=99)
    world.poll()
    position = Position.objects.get(subscription=theo)
    assert (position.is_open, position.quantity, position.dust) == (False, ALL, ALL)
    trade = world.trade(theo)
    assert (trade.exit_type, trade.gross, trade.net) == ("DUST", 0, -position.fees)
    (told,) = world.events("dust_written_off")
    assert told["quantity"] == "2.5"
    assert [o.status for o in world.orders(theo, "STOP")] == ["CANCELLED", "REJECTED"]
    assert world.resting(theo) == {}
    world.later(120)
    world.poll()
    assert len(world.orders(theo, "STOP")) == 2
    # The venue holds it still, and that is no difference.
    looks(world, 4)
    assert differences(None) == []


@pytest.mark.django_db(transaction=True)
def test_a_stop_that_the_engine_watches_hides_no_difference() -> None:
    market = replace(CALM, order_types=PLAIN_TYPES)
    with opened(market, replace(CAPABILITIES, order_types=PLAIN_TYPES)) as world:
        world.minute()
        theo = world.subscriber()
        world.signal(BUY)
        assert world.order(theo, "STOP").watched
        trades(world, theo, Side.SELL, "1")
        looks(world, 4)
        assert seen("symbol", "ours", "theirs") == [("BTC-PERP", ALL, ALL - 1)]
