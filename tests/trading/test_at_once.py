"""A subscriber changes their mind while an engine decides: whoever holds the account first is obeyed whole, by the other too."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from django.db import connection

from signalist.accounts.models import Account
from signalist.execution.actions import flatten
from signalist.execution.decide import decide
from signalist.execution.fan_out import fan_out
from signalist.trading.actions import cancel, pause
from signalist.trading.models import Subscription
from tenants.doors import across_tenants
from tests.flows.scene import LONG, Scene, entry, opened

# On SQLite there is one writer at a time, and nothing to race.
pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]
BUY = entry(LONG, "39600", "40800")


class Party:
    """One of two who work on the database at once: does something in a transaction and commits when told to."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._stack = ExitStack()
        self._pid = 0

    def does(self, work: Callable[[], object]) -> Future[None]:
        """Begin a transaction and do `work` in it."""
        self._thread.submit(self._open).result()
        return self._thread.submit(lambda: work() and None)

    def commits(self) -> None:
        """End what it does, after it is done."""
        self._thread.submit(self._stack.close).result()

    def waits(self) -> bool:
        """Whether it stands behind somebody's lock."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT COUNT(*) FROM pg_locks WHERE pid = %s AND NOT granted", [self._pid])
            return bool(cursor.fetchone()[0])

    def leaves(self) -> None:
        """Give the connection back."""
        self._thread.submit(lambda: connection.close()).result()  # noqa: PLW0108 -- the thread's own connection
        self._thread.shutdown()

    def _open(self) -> None:
        self._stack.enter_context(across_tenants("tests", one_transaction=True))
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            self._pid = cursor.fetchone()[0]


@pytest.fixture
def scene(transactional_db: None) -> Iterator[Scene]:
    with opened() as world:
        world.minute()
        yield world


@pytest.fixture
def subscriber() -> Iterator[Party]:
    party = Party()
    yield party
    party.leaves()


@pytest.fixture
def another() -> Iterator[Party]:
    party = Party()
    yield party
    party.leaves()


@pytest.fixture
def engine() -> Iterator[Party]:
    party = Party()
    yield party
    party.leaves()


def until_it_waits_or_is_done(party: Party, work: Future[None]) -> None:
    deadline = time.monotonic() + 30
    while not (party.waits() or work.done()):
        assert time.monotonic() < deadline, "neither stopped at the lock nor came through"
        time.sleep(0.01)


def waiting_entry(scene: Scene) -> Subscription:
    """A subscription with an entry that is not decided yet."""
    subscription = scene.subscriber()
    scene.signal(BUY, wait=True)
    scene.stage(fan_out)
    return subscription


@pytest.mark.parametrize(("change", "rule"), [(cancel, "ended"), (pause, "paused")])
def test_no_entry_is_decided_for_one_who_is_just_leaving(
    scene: Scene, subscriber: Party, engine: Party, change: Callable[..., None], rule: str
) -> None:
    theo, now = waiting_entry(scene), scene.clock.now()
    subscriber.does(lambda: change(theo, now)).result()
    deciding = engine.does(lambda: decide(now))
    until_it_waits_or_is_done(engine, deciding)
    subscriber.commits()
    deciding.result(timeout=30)
    engine.commits()
    assert (scene.execution(theo).status, scene.execution(theo).rule) == ("SKIPPED", rule)
    assert scene.orders(theo) == []


def test_an_entry_that_is_just_being_decided_is_taken_back_by_a_cancellation(
    scene: Scene, subscriber: Party, engine: Party
) -> None:
    theo, now = waiting_entry(scene), scene.clock.now()
    engine.does(lambda: decide(now)).result()
    leaving = subscriber.does(lambda: cancel(theo, now))
    until_it_waits_or_is_done(subscriber, leaving)
    engine.commits()
    leaving.result(timeout=30)
    subscriber.commits()
    (order,) = scene.orders(theo)
    assert order.cancel_wanted
    scene.settle()
    assert [order.status for order in scene.orders(theo)] == ["CANCELLED"]


def test_to_flatten_an_account_whose_entry_is_just_being_decided_waits_for_the_decision_and_takes_it_back(
    scene: Scene, subscriber: Party, another: Party, engine: Party
) -> None:
    """The engine has both executions and stands behind the first one's account, which somebody else holds."""
    vera, theo, now = scene.subscriber("Vera"), scene.subscriber("Theo"), scene.clock.now()
    scene.signal(BUY, wait=True)
    scene.stage(fan_out)
    another.does(lambda: Account.objects.select_for_update(no_key=True).get(pk=vera.account_id)).result()
    deciding = engine.does(lambda: decide(now))
    until_it_waits_or_is_done(engine, deciding)
    leaving = subscriber.does(lambda: flatten(theo.account, "flat-1", "going on holiday", now))
    until_it_waits_or_is_done(subscriber, leaving)
    another.commits()
    deciding.result(timeout=30)
    engine.commits()
    leaving.result(timeout=30)
    subscriber.commits()
    assert [scene.execution(one).status for one in (vera, theo)] == ["TAKEN", "TAKEN"]
    scene.settle()
    assert (scene.order(vera, "ENTRY").status, scene.order(theo, "ENTRY").status) == ("FILLED", "CANCELLED")


def test_an_entry_that_is_not_being_decided_yet_is_skipped_when_its_account_is_flattened(
    scene: Scene, subscriber: Party, engine: Party
) -> None:
    theo, now = waiting_entry(scene), scene.clock.now()
    subscriber.does(lambda: flatten(theo.account, "flat-1", "going on holiday", now)).result()
    deciding = engine.does(lambda: decide(now))
    until_it_waits_or_is_done(engine, deciding)
    subscriber.commits()
    deciding.result(timeout=30)
    engine.commits()
    assert (scene.execution(theo).status, scene.execution(theo).rule) == ("SKIPPED", "flattened")
