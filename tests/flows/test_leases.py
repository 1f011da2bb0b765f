"""Leases of accounts: one engine decides for an account and talks to its venue, and another goes on when it is no longer seen."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from signalist.accounts.models import Account
from signalist.clock import ReplayClock
from signalist.execution import inheriting, leases
from signalist.execution.answered import write_answers
from signalist.execution.claims import claim
from signalist.execution.decide import decide
from signalist.execution.engines import MAY_SEND, SILENT_AFTER, dead_engines, hangs, heartbeat, living_engines
from signalist.execution.fan_out import fan_out
from signalist.execution.leases import Taken
from signalist.execution.models import EngineProcess
from signalist.trading.models import Execution, Order, OrderAttempt
from signalist.venues.base import Ack
from tests.flows.scene import LONG, Scene, entry, opened

BUY = entry(LONG, "39600", "40800")
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def scene(transactional_db: None) -> Iterator[Scene]:
    with opened() as world:
        world.minute()
        yield world


class Fleet:
    """Engines that exist as rows, seen when a test says so; the machine's clock is the test's."""

    def __init__(self) -> None:
        self.clock = ReplayClock(datetime(2024, 5, 6, 12, tzinfo=UTC))

    def engine(self) -> EngineProcess:
        """Another engine on another machine."""
        now = self.clock.now()
        return EngineProcess.objects.create(boot="elsewhere", pid=1, started_at=now, seen_at=now)

    def later(self, seconds: float, *seen: EngineProcess) -> None:
        """Time passes, and only these show that they live."""
        self.clock.advance_to(self.clock.now() + timedelta(seconds=seconds))
        for engine in seen:
            heartbeat(engine, self.clock)


@pytest.fixture
def fleet(scene: Scene) -> Fleet:
    """No engine but those of the test: the scene's own is forgotten, and what it held is free."""
    EngineProcess.objects.all().delete()
    Account.objects.update(lease_owner=None)
    return Fleet()


def held(engine: EngineProcess) -> int:
    return len(leases.held(engine.pk))


# --- Who holds what ------------------------------------------------------------------------------


def test_one_engine_takes_all_accounts_and_then_nothing_more(scene: Scene, fleet: Fleet) -> None:
    for name in ("One", "Two", "Three"):
        scene.subscriber(name)
    Account.objects.update(lease_owner=None)
    only = fleet.engine()
    assert len(leases.acquire(only.pk, fleet.clock).fresh) == 3
    assert leases.acquire(only.pk, fleet.clock) == Taken()


def test_two_engines_share_all_accounts_and_none_is_held_twice(scene: Scene, fleet: Fleet) -> None:
    for n in range(5):
        scene.subscriber(f"Account {n}")
    Account.objects.update(lease_owner=None)
    first, second = fleet.engine(), fleet.engine()
    leases.acquire(first.pk, fleet.clock)
    leases.acquire(second.pk, fleet.clock)
    assert (held(first), held(second)) == (3, 2)
    assert not set(leases.held(first.pk)) & set(leases.held(second.pk))


def test_a_new_engine_gets_its_share_of_what_another_holds(scene: Scene, fleet: Fleet) -> None:
    for n in range(6):
        scene.subscriber(f"Account {n}")
    Account.objects.update(lease_owner=None)
    first = fleet.engine()
    leases.acquire(first.pk, fleet.clock)
    second = fleet.engine()
    assert leases.acquire(second.pk, fleet.clock) == Taken()
    assert leases.share_out(first.pk, fleet.clock) == 3
    assert len(leases.acquire(second.pk, fleet.clock).fresh) == 3
    assert leases.share_out(first.pk, fleet.clock) == leases.share_out(second.pk, fleet.clock) == 0


def test_an_account_with_something_in_hand_is_not_given_away(scene: Scene, fleet: Fleet) -> None:
    busy = scene.subscriber("Busy")
    for n in range(3):
        scene.subscriber(f"Account {n}")
    first = fleet.engine()
    Account.objects.update(lease_owner=first.pk)
    scene.signal(BUY, wait=True)
    scene.stage(fan_out)
    scene.stage(decide)
    found = claim(first.pk, scene.clock.now(), limit=1)
    fleet.engine()
    leases.share_out(first.pk, fleet.clock)
    assert found.errands[0].order.account_id in leases.held(first.pk)
    assert Account.objects.filter(lease_owner=None).exists()
    assert busy.account_id
    write_answers(_taken(found.errands), scene.clock.now(), first.pk)


def test_the_accounts_of_one_that_is_not_seen_move_within_ten_seconds_with_a_higher_token(
    scene: Scene, fleet: Fleet
) -> None:
    account = scene.subscriber().account
    first, second = fleet.engine(), fleet.engine()
    Account.objects.update(lease_owner=first.pk)
    before = Account.objects.get(pk=account.pk).lease_token
    fleet.later(SILENT_AFTER.total_seconds(), second)
    assert leases.acquire(second.pk, fleet.clock) == Taken(), "not a moment too early"
    fleet.later(0.1, second)
    assert leases.acquire(second.pk, fleet.clock) == Taken(left_behind=(account.pk,))
    assert SILENT_AFTER + timedelta(seconds=1.1) < timedelta(seconds=10)
    assert Account.objects.get(pk=account.pk).lease_token == before + 1


def test_one_that_says_that_it_hangs_loses_its_accounts_at_once_and_lives_again_with_its_next_beat(
    scene: Scene, fleet: Fleet
) -> None:
    account = scene.subscriber().account
    first, second = fleet.engine(), fleet.engine()
    Account.objects.update(lease_owner=first.pk)
    assert leases.acquire(second.pk, fleet.clock) == Taken()
    hangs(first, fleet.clock)
    assert leases.acquire(second.pk, fleet.clock) == Taken(left_behind=(account.pk,))
    assert first.pk in dead_engines(fleet.clock)
    heartbeat(first, fleet.clock)
    assert {one.pk for one in living_engines(fleet.clock)} >= {first.pk, second.pk}


def test_it_stops_writing_to_venues_well_before_it_can_have_lost_its_accounts() -> None:
    assert SILENT_AFTER.total_seconds() - MAY_SEND >= 2


def test_what_is_given_up_in_good_order_is_free_at_once(scene: Scene, fleet: Fleet) -> None:
    account = scene.subscriber().account
    first, second = fleet.engine(), fleet.engine()
    Account.objects.update(lease_owner=first.pk)
    leases.give_up(first.pk)
    assert leases.acquire(second.pk, fleet.clock) == Taken(fresh=(account.pk,))


# --- Late writes ---------------------------------------------------------------------------------


def _taken(errands: list[object]) -> list[object]:
    for errand in errands:
        errand.answer = Ack(errand.order.client_order_id, "V-1")  # type: ignore[attr-defined]
    return errands


def test_only_the_holder_decides_and_sends(scene: Scene, fleet: Fleet) -> None:
    theo = scene.subscriber()
    holder, other = uuid.uuid4(), uuid.uuid4()
    Account.objects.update(lease_owner=holder)
    scene.signal(BUY, wait=True)
    scene.stage(fan_out)
    assert scene.stage(lambda now: decide(now, engine=other)) == 0
    assert Execution.objects.get().status == "PENDING"
    assert scene.stage(lambda now: decide(now, engine=holder)) == 1
    assert claim(other, scene.clock.now()).errands == []
    (errand,) = claim(holder, scene.clock.now()).errands
    write_answers(_taken([errand]), scene.clock.now(), holder)  # type: ignore[arg-type]
    assert scene.order(theo, "ENTRY").status == "WORKING"
    scene.books_agree = False


def test_an_answer_that_comes_after_the_account_has_moved_changes_no_order(scene: Scene, fleet: Fleet) -> None:
    theo = scene.subscriber()
    frozen, successor = uuid.uuid4(), uuid.uuid4()
    Account.objects.update(lease_owner=frozen)
    scene.signal(BUY, wait=True)
    scene.stage(fan_out)
    scene.stage(decide)
    (errand,) = claim(frozen, scene.clock.now()).errands
    Account.objects.update(lease_owner=successor)
    assert inheriting.take_over([theo.account_id], successor, scene.clock.now()) == 1
    assert scene.order(theo, "ENTRY").status == "UNKNOWN"
    write_answers(_taken([errand]), scene.clock.now(), frozen)  # type: ignore[arg-type]
    order = Order.objects.get(pk=errand.order.pk)
    assert (order.status, order.venue_order_id) == ("UNKNOWN", ""), "its successor looks it up"
    attempt = OrderAttempt.objects.get(order=order)
    assert (attempt.success, attempt.response) == (True, {"venue_order_id": "V-1"}), "what was answered is on record"


def test_what_is_in_an_engines_own_hands_is_no_orphan(scene: Scene, fleet: Fleet) -> None:
    theo, engine = scene.subscriber(), uuid.uuid4()
    Account.objects.update(lease_owner=engine)
    scene.signal(BUY, wait=True)
    scene.stage(fan_out)
    scene.stage(decide)
    (errand,) = claim(engine, scene.clock.now()).errands
    assert inheriting.orphaned(engine, scene.clock.now(), under_way=[errand.order.pk]) == 0
    assert inheriting.orphaned(engine, scene.clock.now()) == 1
    assert scene.order(theo, "ENTRY").status == "UNKNOWN"
