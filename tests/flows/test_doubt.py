"""When a venue gives no clear answer: nothing is sent twice, what it has is adopted, what it has not is given up, and nobody else waits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import pytest

from signalist.accounts.models import Account
from signalist.clock import monotonic
from signalist.execution.decide import decide
from signalist.execution.fan_out import fan_out
from signalist.execution.place import Placer
from signalist.trading.models import OrderAttempt, Reservation, Subscription
from signalist.venues.base import OrderRequest
from signalist.venues.errors import Busy, NoAnswer, NotOpened, Refused
from signalist.venues.kraken.venue import CAPABILITIES as KRAKEN
from signalist.venues.paper.venue import CAPABILITIES
from signalist.venues.transport.fence import Tenure
from tests.flows.scene import EXIT_LONG, HALVING, LONG, Scene, entry, opened, statuses

BUY = entry(LONG, "39600", "40800")
ALL = Decimal("2.5")
PROTECTED = [("ENTRY", "FILLED"), ("STOP", "WORKING"), ("TARGET", "WORKING")]


@pytest.fixture
def world(scene: Scene) -> Scene:
    """The scene a minute after noon."""
    scene.minute()
    return scene


@pytest.fixture
def impatient(transactional_db: None) -> Iterator[Scene]:
    """The scene with a venue that is given a twentieth of a second to answer."""
    with opened(capabilities=replace(CAPABILITIES, answer_within=0.05)) as world:
        world.minute()
        yield world


def placed(world: Scene, subscription: Subscription) -> list[str]:
    """The ids of the orders that were sent for the subscription's account, as often as they were sent."""
    ref = subscription.account.venue_ref
    return [call.order_id for call in world.venue.calls if call.method == "place" and call.ref == ref]


# --- Entries -------------------------------------------------------------------------------------


def test_an_entry_whose_answer_was_lost_is_adopted_and_never_sent_again(world: Scene) -> None:
    theo = world.subscriber()
    world.venue.loses_the_answer(leg="ENTRY")
    world.signal(BUY)
    assert statuses(world.orders(theo)) == PROTECTED
    assert len(placed(world, theo)) == len(set(placed(world, theo))) == 3
    assert world.net(theo) == ALL


def test_an_entry_that_never_arrived_is_rejected_after_several_looks(world: Scene) -> None:
    theo = world.subscriber()
    world.venue.loses_the_request(leg="ENTRY")
    world.signal(BUY)
    lost = world.order(theo, "ENTRY")
    assert (lost.status, lost.reason, lost.looks) == ("REJECTED", "the venue never received it", 2)
    assert placed(world, theo) == [lost.client_order_id]
    assert world.venue.asked("look_up") == [("look_up", "ENTRY")] * CAPABILITIES.looks
    assert Reservation.objects.get(order=lost).released
    assert world.net(theo) == 0
    assert world.events("order_never_arrived") == [{"order": lost.pk, "leg": "ENTRY"}]


def test_what_kraken_lists_late_is_found_while_a_request_may_still_be_carried_out(transactional_db: None) -> None:
    with opened(capabilities=replace(CAPABILITIES, looks=KRAKEN.looks, look_interval=KRAKEN.look_interval)) as world:
        world.minute()
        theo, begun = world.subscriber(), world.clock.now()
        world.venue.lists_late(lambda: (world.clock.now() - begun).total_seconds() > KRAKEN.answer_within)
        world.venue.loses_the_answer(leg="ENTRY")
        world.signal(BUY)
        for _ in range(int(KRAKEN.answer_within)):
            world.later(1)
            world.poll()
            assert world.order(theo, "ENTRY").status == "UNKNOWN"
        assert len(world.venue.asked("look_up")) == KRAKEN.looks - 1, "each look costs two calls of fifteen"
        for _ in range(4):
            world.later(1)
            world.poll()
        assert statuses(world.orders(theo)) == PROTECTED


def test_what_may_not_leave_the_house_is_not_claimed(world: Scene) -> None:
    theo, engine, tenure = world.subscriber(), world.engine, Tenure(60.0)
    placer = Placer(engine.sessions, world.clock, engine.id, engine.database, news=engine.news.set, tenure=tenure)
    tenure.lapse()
    world.signal(BUY, wait=True)
    world.stage(fan_out)
    world.stage(decide)
    assert world.drive(placer.send()) == 0
    waiting = world.order(theo, "ENTRY")
    assert (waiting.status, waiting.attempts, waiting.setbacks) == ("CREATED", 0, 0)
    tenure.renewed(monotonic())
    assert world.drive(placer.send()) == 1
    world.drive(placer.under_way.end(5.0))
    world.drive(placer.write())
    world.poll()
    assert statuses(world.orders(theo)) == PROTECTED


def test_a_venue_that_is_too_slow_is_not_waited_for(impatient: Scene) -> None:
    theo, vera = impatient.subscriber("Theo"), impatient.subscriber("Vera")
    impatient.venue.hangs(leg="ENTRY", ref=theo.account.venue_ref)
    impatient.signal(BUY)
    assert statuses(impatient.orders(theo)) == statuses(impatient.orders(vera)) == PROTECTED
    assert len(placed(impatient, theo)) == 3
    attempt = OrderAttempt.objects.get(order=impatient.order(theo, "ENTRY"), action="PLACE")
    assert (attempt.success, attempt.error_type, attempt.error_message) == (
        False,
        "no_answer",
        "The venue did not answer in time.",
    )


def test_a_look_that_fails_is_not_a_look_that_finds_nothing(world: Scene) -> None:
    theo = world.subscriber()
    world.venue.loses_the_answer(leg="ENTRY")
    world.venue.refuses(NoAnswer("Down."), "look_up", times=5)
    world.venue.refuses(NoAnswer("Down."), "reports", times=5)
    world.signal(BUY)
    doubtful = world.order(theo, "ENTRY")
    assert (doubtful.status, doubtful.looks) == ("UNKNOWN", 0)
    for _ in range(5):
        world.poll()
    assert statuses(world.orders(theo)) == PROTECTED


def test_nothing_new_is_entered_while_an_entry_is_in_doubt(world: Scene) -> None:
    theo = world.subscriber()
    world.venue.loses_the_answer(leg="ENTRY")
    for method in ("look_up", "reports"):
        world.venue.refuses(NoAnswer("Down."), method, times=50)
    world.signal(BUY)
    world.minute()
    world.signal(BUY)
    assert (world.execution(theo).status, world.execution(theo).rule) == ("SKIPPED", "entry_under_way")
    assert not Reservation.objects.get(order__subscription=theo).released
    assert len(placed(world, theo)) == 1


def test_an_exit_behind_an_entry_in_doubt_waits_for_its_fate(world: Scene) -> None:
    theo = world.subscriber()
    world.venue.loses_the_answer(leg="ENTRY")
    for method in ("look_up", "reports"):
        world.venue.refuses(NoAnswer("Down."), method, times=3)
    world.signal(BUY)
    world.minute()
    world.signal(EXIT_LONG)
    assert world.execution(theo).status == "PENDING"
    for _ in range(4):
        world.poll()
    assert world.trade(theo).exit_type == "SIGNAL"
    assert world.net(theo) == 0


def test_an_order_that_turns_up_after_it_was_given_up_is_ours_all_the_same(world: Scene) -> None:
    theo = world.subscriber()
    world.venue.loses_the_request(leg="ENTRY")
    world.signal(BUY)
    lost = world.order(theo, "ENTRY")
    _, side, kind = lost.words
    late = OrderRequest(
        lost.client_order_id, "BTC-PERP", side, kind, ALL, None, None, False, lost.leverage, lost.tag, None
    )
    world.drive(world.exchange.place(theo.account.venue_ref, late))
    world.settle()
    assert world.position(theo).quantity == ALL
    assert world.resting(theo) == {"STOP": ALL, "TARGET": ALL}


def test_an_adapter_that_breaks_leaves_its_order_in_doubt_and_the_others_alone(world: Scene) -> None:
    theo, vera = world.subscriber("Theo"), world.subscriber("Vera")
    world.venue.breaks(leg="ENTRY", ref=theo.account.venue_ref)
    world.signal(BUY)
    assert statuses(world.orders(theo)) == [("ENTRY", "REJECTED")]  # looked up, and the venue does not have it
    assert statuses(world.orders(vera)) == PROTECTED
    attempt = OrderAttempt.objects.get(order=world.order(theo, "ENTRY"))
    assert attempt.error_message == "ZeroDivisionError while talking to the venue"


# --- Protection and exits ------------------------------------------------------------------------


@pytest.mark.parametrize("leg", ["STOP", "TARGET"])
def test_protection_whose_answer_was_lost_is_adopted(world: Scene, leg: str) -> None:
    theo = world.subscriber()
    world.venue.loses_the_answer(leg=leg)
    world.signal(BUY)
    assert statuses(world.orders(theo)) == PROTECTED
    assert world.resting(theo) == {"STOP": ALL, "TARGET": ALL}


def test_a_stop_that_never_arrived_is_replaced_under_a_new_name(world: Scene) -> None:
    theo = world.subscriber()
    world.venue.loses_the_request(leg="STOP")
    world.signal(BUY)
    lost, stands = world.orders(theo, "STOP")
    assert (lost.status, stands.status) == ("REJECTED", "WORKING")
    assert lost.client_order_id != stands.client_order_id
    assert world.unprotected() == ()


@pytest.mark.parametrize("arrives", [True, False])
def test_an_exit_in_doubt_closes_once(world: Scene, arrives: bool) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    world.minute()
    if arrives:
        world.venue.loses_the_answer(leg="EXIT")
    else:
        world.venue.loses_the_request(leg="EXIT")
    world.signal(EXIT_LONG)
    assert world.net(theo) == 0
    assert world.trade(theo).exit_type == "SIGNAL"
    assert [o.status for o in world.orders(theo, "EXIT")] == (["FILLED"] if arrives else ["REJECTED", "FILLED"])


@pytest.mark.parametrize("arrives", [True, False])
def test_a_cancel_without_an_answer_is_asked_again(world: Scene, arrives: bool) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    world.minute()
    (world.venue.loses_the_answer if arrives else world.venue.loses_the_request)("cancel", leg="STOP")
    world.signal(EXIT_LONG)
    world.later(5)
    world.poll()
    assert world.order(theo, "STOP").status == "CANCELLED"
    assert world.trade(theo).exit_type == "SIGNAL"
    assert world.net(theo) == 0


def test_a_venue_that_is_busy_is_not_asked_again_and_again_in_one_breath(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    world.minute()
    world.venue.refuses(Busy("Too many requests."), "cancel", leg="STOP", times=500)
    world.signal(EXIT_LONG)
    assert len([call for call in world.venue.asked("cancel") if call[1] == "STOP"]) <= 3
    assert world.resting(theo) == {"STOP": ALL}
    world.poll()
    assert len([call for call in world.venue.asked("cancel") if call[1] == "STOP"]) <= 6


def test_a_resize_without_an_answer_is_asked_again(transactional_db: None) -> None:
    with opened(HALVING) as world:
        theo = world.subscriber()
        world.minute()
        world.signal(BUY)
        world.venue.loses_the_answer("amend", leg="STOP")
        world.minute()
        world.later(5)
        world.poll()
        assert world.resting(theo) == {"STOP": ALL, "TARGET": ALL}


# --- The others ----------------------------------------------------------------------------------


def test_a_venue_that_refuses_one_subscribers_orders_stops_nobody_else(world: Scene) -> None:
    theo, vera, otto = (world.subscriber(name) for name in ("Theo", "Vera", "Otto"))
    world.venue.refuses(Refused("Your account is closed."), ref=vera.account.venue_ref, times=99)
    world.signal(BUY)
    assert statuses(world.orders(theo)) == statuses(world.orders(otto)) == PROTECTED
    refused = world.order(vera, "ENTRY")
    assert (refused.status, refused.reason) == ("REJECTED", "refused: Your account is closed.")
    assert Reservation.objects.get(order=refused).released
    world.minute()
    world.signal(EXIT_LONG)
    assert [world.trade(one).exit_type for one in (theo, otto)] == ["SIGNAL", "SIGNAL"]


def test_what_we_can_send_to_nobody_is_denied_by_us_and_not_rejected_by_the_venue(world: Scene) -> None:
    theo, vera = world.subscriber("Theo"), world.subscriber("Vera")
    world.poll()
    world.venue.shut[theo.account.venue_ref] = NotOpened("There is no key for this account.")
    world.drive(world.engine.sessions.leave(theo.account))  # its key was revoked
    world.signal(BUY)
    denied = world.order(theo, "ENTRY")
    assert (denied.status, denied.reason) == ("DENIED", "There is no key for this account.")
    assert placed(world, theo) == []
    assert Reservation.objects.get(order=denied).released
    attempt = OrderAttempt.objects.get(order=denied)
    assert (attempt.success, attempt.error_type) == (False, "not_opened")
    assert statuses(world.orders(vera)) == PROTECTED
    del world.venue.shut[theo.account.venue_ref]
    world.minute()
    world.poll()
    world.signal(BUY)
    world.poll()
    assert statuses(world.orders(theo)) == [("ENTRY", "DENIED"), *PROTECTED], "the next one goes"


@pytest.mark.parametrize("leg", ["STOP", "EXIT"])
def test_what_protects_or_closes_waits_for_an_account_that_cannot_be_opened_for_a_while(world: Scene, leg: str) -> None:
    theo = world.subscriber()
    ref = theo.account.venue_ref

    async def shut() -> None:
        world.venue.shut[ref] = NotOpened("There is no key for this account yet.")
        await world.engine.sessions.leave(theo.account)

    async def once_the_fill_is_told() -> None:
        world.venue.after(shut, "reports")

    if leg == "STOP":
        world.venue.after(once_the_fill_is_told, "place", leg="ENTRY")
        world.signal(BUY)
    else:
        world.signal(BUY)
        world.minute()
        world.venue.after(shut, "cancel", leg="STOP")
        world.signal(EXIT_LONG)
    for _ in range(4):
        world.later(5)
        world.poll()
    assert [o.status for o in world.orders(theo, leg)] == ["CREATED"], "not one after the other, and not denied"
    del world.venue.shut[ref]
    for _ in range(3):
        world.later(9)
        world.poll()
    assert Account.objects.get(pk=theo.account_id).state == "ACTIVE"
    if leg == "STOP":
        assert statuses(world.orders(theo)) == PROTECTED
    else:
        assert (world.net(theo), world.trade(theo).exit_type) == (0, "SIGNAL")


def test_what_waits_on_an_account_that_is_taken_over_is_sent_with_its_key_in_hand(world: Scene) -> None:
    theo = world.subscriber("Theo")
    world.signal(BUY, wait=True)
    world.stage(fan_out)
    world.stage(decide)
    assert world.order(theo, "ENTRY").status == "CREATED"

    async def look() -> None:
        world.venue.shut.clear()

    world.venue.shut[theo.account.venue_ref] = NotOpened("There is no key for this account yet.")
    world.drive(world.engine.sessions.leave(theo.account))
    world.engine.before_listening = look
    Account.objects.update(lease_owner=None)
    world.drive(world.engine.take_over())
    world.drive(world.engine.drain())
    world.poll()
    assert statuses(world.orders(theo)) == PROTECTED


def test_an_account_whose_reports_cannot_be_read_stops_nobody_else(world: Scene) -> None:
    theo, vera = world.subscriber("Theo"), world.subscriber("Vera")
    world.venue.refuses(NoAnswer("Down."), "reports", ref=theo.account.venue_ref, times=6)
    world.signal(BUY)
    assert statuses(world.orders(vera)) == PROTECTED
    assert statuses(world.orders(theo)) == [("ENTRY", "WORKING")]
    for _ in range(6):
        world.poll()
    assert statuses(world.orders(theo)) == PROTECTED


def test_each_request_is_recorded_with_its_answer(world: Scene) -> None:
    theo = world.subscriber()
    world.venue.refuses(Refused("Not now."), leg="STOP")
    world.signal(BUY)
    attempts = OrderAttempt.objects.filter(order__subscription=theo).order_by("pk")
    told = [(a.order.leg, a.order.n, a.action, a.success, a.error_type) for a in attempts]
    assert told == [
        ("ENTRY", 0, "PLACE", True, ""),
        ("STOP", 0, "PLACE", False, "refused"),
        ("TARGET", 0, "PLACE", True, ""),
        ("STOP", 1, "PLACE", True, ""),
    ]
    first = attempts[0]
    assert first.request["client_order_id"] == world.order(theo, "ENTRY").client_order_id
    assert first.request["quantity"] == "2.5"
    assert first.response == {"venue_order_id": world.order(theo, "ENTRY").venue_order_id}
    assert first.latency_ms is not None and first.latency_ms >= 0
