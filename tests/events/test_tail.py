"""Reading the log: in order, each event once, and none missed that was committed late."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime

import pytest
from django.db import connection, transaction

from signalist.events.models import Event
from signalist.events.outbox import Fact, emit
from signalist.events.tail import Cursor, read
from tenants.doors import across_tenants

NOON = datetime(2022, 1, 1, 12, tzinfo=UTC)


def _tell(*kinds: str) -> None:
    with across_tenants("tests", one_transaction=True):
        emit([Fact(kind, None, NOON, {}) for kind in kinds])
    settle()


def settle() -> None:
    """Wait until no transaction that is older runs anywhere on the server: other tests have databases of their own there."""
    if connection.vendor != "postgresql":
        return
    settled = "SELECT (pg_snapshot_xmin(pg_current_snapshot())::text)::bigint > COALESCE(MAX(xid), 0) FROM events_event"
    deadline = time.monotonic() + 30
    with across_tenants("tests"), connection.cursor() as cursor:
        while cursor.execute(settled) and not cursor.fetchone()[0]:
            assert time.monotonic() < deadline, "somebody on this server has been writing for half a minute"
            time.sleep(0.02)


class Reader:
    """Follows the log from its beginning and keeps what it has heard."""

    def __init__(self) -> None:
        self.cursor = Cursor()
        self.heard: list[str] = []

    def follow(self, limit: int = 500) -> list[str]:
        """What is new."""
        with across_tenants("tests"):
            events, self.cursor = read(self.cursor, limit)
        new = [event.kind for event in events]
        self.heard += new
        return new


class Writer:
    """A transaction of its own, in a thread of its own, that is committed when it is told to."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._stack = ExitStack()

    def begin(self, *kinds: str) -> None:
        """Emit, without committing."""
        self._thread.submit(self._begin, kinds).result()

    def end(self, *, commit: bool = True) -> None:
        """Commit or roll back."""
        if not commit:
            self._thread.submit(transaction.set_rollback, True).result()
        self._thread.submit(self._stack.close).result()

    def close(self) -> None:
        """Give the connection back."""
        self._thread.submit(lambda: connection.close()).result()  # noqa: PLW0108 -- the thread's own connection
        self._thread.shutdown()

    def _begin(self, kinds: tuple[str, ...]) -> None:
        self._stack.enter_context(across_tenants("tests", one_transaction=True))
        emit([Fact(kind, None, NOON, {}) for kind in kinds])


@pytest.fixture
def writers(transactional_db: None) -> Iterator[list[Writer]]:
    made = [Writer() for _ in range(4)]
    yield made
    for writer in made:
        writer.close()


# --- On both databases ---------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_events_are_read_in_the_order_in_which_they_happened() -> None:
    reader = Reader()
    assert reader.follow() == []
    _tell("one", "two")
    _tell("three")
    assert reader.follow() == ["one", "two", "three"]


@pytest.mark.django_db(transaction=True)
def test_an_event_is_read_once() -> None:
    reader = Reader()
    _tell("one")
    reader.follow()
    before = reader.cursor
    assert reader.follow() == []
    assert reader.cursor == before
    _tell("two")
    assert reader.follow() == ["two"]


@pytest.mark.django_db(transaction=True)
def test_a_long_log_is_read_in_pieces() -> None:
    reader = Reader()
    _tell(*"abc")
    _tell(*"de")
    pieces = [reader.follow(limit=2) for _ in range(4)]
    assert pieces == [["a", "b"], ["c", "d"], ["e"], []]


@pytest.mark.django_db(transaction=True)
def test_every_reader_has_its_own_place() -> None:
    early, late = Reader(), Reader()
    _tell("one")
    early.follow()
    _tell("two")
    assert (early.follow(), late.follow()) == (["two"], ["one", "two"])


@pytest.mark.django_db(transaction=True)
def test_a_reader_takes_up_where_it_was_after_a_restart() -> None:
    _tell("one", "two")
    with across_tenants("tests"):
        (event,), cursor = read(Cursor(), limit=1)
        assert event.kind == "one"
        again = Cursor(cursor.xid, cursor.id)
        assert [event.kind for event in read(again)[0]] == ["two"]


# --- Where transactions overlap ------------------------------------------------------------------


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_two_transactions_committed_in_the_reverse_order_of_their_ids_are_both_read_once(
    writers: list[Writer],
) -> None:
    first, second, *_ = writers
    reader = Reader()
    first.begin("first")
    second.begin("second")
    second.end()
    between = reader.follow()
    first.end()
    settle()
    reader.follow()
    with across_tenants("tests"):
        ids = dict(Event.objects.values_list("kind", "id"))
    assert ids["first"] < ids["second"], "the scene is not the one that is meant"
    assert between == [], "what lies behind an open transaction must wait for it"
    assert reader.heard == ["first", "second"]


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_transaction_that_emits_early_and_commits_late_is_not_passed_over(writers: list[Writer]) -> None:
    slow, quick, *_ = writers
    reader = Reader()
    _tell("before")
    slow.begin("slow")
    for kind in ("one", "two"):
        quick.begin(kind)
        quick.end()
        reader.follow()
    slow.end()
    settle()
    reader.follow()
    assert sorted(reader.heard) == ["before", "one", "slow", "two"]


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_transaction_that_is_rolled_back_holds_nobody_up(writers: list[Writer]) -> None:
    broken, other, *_ = writers
    reader = Reader()
    broken.begin("never happened")
    other.begin("happened")
    other.end()
    broken.end(commit=False)
    settle()
    assert reader.follow() == ["happened"]


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_ones_own_uncommitted_events_are_not_read() -> None:
    reader = Reader()
    with across_tenants("tests", one_transaction=True):
        emit([Fact("told", None, NOON, {})])
        assert reader.follow() == []
    settle()
    assert reader.follow() == ["told"]


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("seed", range(5))
def test_in_any_crowd_every_committed_event_is_read_exactly_once(writers: list[Writer], seed: int) -> None:
    draw, reader = random.Random(seed), Reader()
    idle, busy, committed, told = list(writers), list[tuple[Writer, list[str]]](), list[str](), 0
    for _ in range(60):
        if idle and draw.random() < 0.5:
            writer = idle.pop(draw.randrange(len(idle)))
            kinds = [f"event {told + n}" for n in range(draw.randint(1, 3))]
            told += len(kinds)
            writer.begin(*kinds)
            busy.append((writer, kinds))
        elif busy:
            writer, kinds = busy.pop(draw.randrange(len(busy)))
            commit = draw.random() < 0.8
            writer.end(commit=commit)
            committed += kinds if commit else []
            idle.append(writer)
        if draw.random() < 0.5:
            reader.follow(limit=draw.randint(1, 4))
    for writer, kinds in busy:
        writer.end()
        committed += kinds
    settle()
    while reader.follow():
        pass
    assert committed, "nothing was told"
    assert sorted(reader.heard) == sorted(committed)
