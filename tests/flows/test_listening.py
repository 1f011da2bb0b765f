"""Whose streams an engine listens to: those of the accounts that it holds, anew when one comes back, and no others."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext

from signalist.accounts.models import Account
from signalist.accounts.sessions import Sessions
from signalist.clock import utc_now
from signalist.domain.orders import Side
from signalist.execution import compare, leases
from signalist.execution.models import EngineProcess
from signalist.trading.models import Subscription
from signalist.venues.base import Session
from signalist.venues.errors import Busy, NotSent, SessionLost, VenueError
from signalist.venues.paper.venue import PAPER
from tests.flows.by_hand import differences, looks, trades
from tests.flows.scene import LONG, Scene, entry, opened
from tests.flows.test_leases import Fleet
from tests.venues.battery import BUY, request
from tests.venues.loopback_bench import served, until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def scene(transactional_db: None) -> Iterator[Scene]:
    with opened() as world:
        world.minute()
        yield world


def listeners(scene: Scene, who: Subscription) -> int:
    """How many listen to the account at the venue."""
    return len(scene.exchange._listeners.get(who.account.venue_ref, ()))


def elsewhere() -> uuid.UUID:
    """An engine on another machine, which lives."""
    now = utc_now()
    return EngineProcess.objects.create(boot="elsewhere", pid=1, started_at=now, seen_at=now).pk


def moves_to(scene: Scene, who: Subscription, owner: uuid.UUID) -> None:
    """The account changes hands, and the engine looks what it holds."""
    account = Account.objects.get(pk=who.account_id)
    Account.objects.filter(pk=account.pk).update(lease_owner=owner, lease_token=account.lease_token + 1)
    scene.drive(scene.engine.watch())


def test_an_account_that_was_given_away_is_left_and_its_session_closed(scene: Scene) -> None:
    theo, vera = scene.subscriber("Theo"), scene.subscriber("Vera")
    assert (listeners(scene, theo), listeners(scene, vera)) == (1, 1)
    moves_to(scene, theo, elsewhere())
    assert (listeners(scene, theo), listeners(scene, vera)) == (0, 1)
    assert theo.account_id not in scene.engine._listening.known
    assert (PAPER, theo.account.venue_ref) not in scene.engine.sessions._open


def test_one_that_comes_back_is_listened_to_again_once(scene: Scene) -> None:
    theo = scene.subscriber()
    moves_to(scene, theo, elsewhere())
    moves_to(scene, theo, scene.engine.id)
    assert listeners(scene, theo) == 1
    scene.settle()
    scene.signal(entry(LONG, "39600", "40800"))
    assert scene.position(theo).is_open, "the stream told of the fill"


def test_one_that_was_elsewhere_between_two_looks_is_read_anew(scene: Scene) -> None:
    theo = scene.subscriber()
    scene.engine.calls.dirty.clear()
    before = scene.engine._listening.known[theo.account_id]
    moves_to(scene, theo, scene.engine.id)
    assert scene.engine._listening.known[theo.account_id] is not before
    assert theo.account_id in scene.engine.calls.dirty
    assert listeners(scene, theo) == 1


def test_a_session_that_the_venue_has_ended_is_opened_anew_and_listened_to(scene: Scene) -> None:
    theo = scene.subscriber()
    scene.venue.refuses(SessionLost("Log in again."), "reports", ref=theo.account.venue_ref)
    before = scene.engine.sessions.of(theo.account)
    for _ in range(2):
        scene.drive(scene.engine.watch())
        scene.settle()
    assert scene.engine.sessions.of(theo.account) is not before
    assert listeners(scene, theo) == 1, "nobody would hear of its fills but in turn"
    scene.signal(entry(LONG, "39600", "40800"))
    assert scene.position(theo).is_open


@pytest.mark.parametrize("error", [Busy("Too many."), NotSent("The breaker is open."), SessionLost("Log in again.")])
def test_an_account_that_is_heard_again_is_compared_at_once(scene: Scene, error: VenueError) -> None:
    theo, vera = scene.subscriber("Theo"), scene.subscriber("Vera")
    scene.signal(entry(LONG, "39600", "40800"))
    looks(scene, 2)

    def compared(who: Subscription) -> int:
        return len(
            [call for call in scene.venue.calls if (call.method, call.ref) == ("positions", who.account.venue_ref)]
        )

    before = compared(theo), compared(vera)
    scene.venue.refuses(error, "reports", ref=theo.account.venue_ref, times=2)
    for _ in range(2):
        scene.later(1)
        scene.poll()
    assert isinstance(error, SessionLost) or (compared(theo), compared(vera)) == before, "not while it is away"
    trades(scene, theo, Side.SELL, "2.5")
    for _ in range(9):
        scene.later(1)
        scene.poll()
    assert compared(vera) == before[1], "nobody else's turn has come"
    assert [(row.kind, row.account_id) for row in differences()] == [("MANUAL_CLOSE", theo.account_id)]


def test_an_account_that_was_interrupted_is_compared_though_the_database_gives_up_first(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    theo = scene.subscriber()
    scene.signal(entry(LONG, "39600", "40800"))
    looks(scene, 2)
    comparer, before = scene.engine.calls.comparer, len(scene.venue.calls)
    assert comparer is not None

    def gives_up(*_: object) -> None:
        raise OperationalError("server closed the connection")

    scene.engine.sessions.interrupted.add((PAPER, theo.account.venue_ref))
    for query in ("at_stake", "books_of"):
        with monkeypatch.context() as away:
            away.setattr(compare, query, gives_up)
            with pytest.raises(OperationalError):
                scene.drive(comparer.look())
    assert len(scene.venue.calls) == before
    scene.drive(comparer.look())
    assert [call.method for call in scene.venue.calls[before:]].count("positions") == 1
    assert not scene.engine.sessions.interrupted


async def test_a_stream_that_was_broken_has_its_accounts_compared() -> None:
    async with served() as bench:
        bench.account()
        sessions = Sessions({bench.venue.code: bench.venue}, paper=frozenset({bench.venue.code}))
        holder = Account(venue=bench.venue.code, venue_ref="account-1")
        sessions.listen(holder, lambda: None)
        listening = bench.venue._listening
        await until(lambda: listening.box("account-1").live)
        assert sessions.interrupted == set(), "to join is no return"
        (stream,) = bench.server.streams._streams.values()
        stream.wire._transport.abort()
        await until(lambda: sessions.interrupted == {(bench.venue.code, "account-1")})
        assert listening.box("account-1").live, "not before it is heard again"


def test_an_account_of_a_venue_that_is_not_served_or_breaks_keeps_no_other_from_trading(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    theo, opens = scene.subscriber(), scene.venue.open

    def opened_or_broken(ref: str) -> Session:
        return opens({}[ref] if ref == "odd" else ref)

    monkeypatch.setattr(scene.venue, "open", opened_or_broken)
    for name, venue, ref in (("Elsewhere", "nowhere", "x"), ("Odd", PAPER, "odd")):
        Account.objects.create(tenant=theo.tenant, name=name, venue=venue, venue_ref=ref, currency="USD")
    scene.drive(scene.engine.watch())
    scene.settle()
    scene.signal(entry(LONG, "39600", "40800"))
    assert scene.position(theo).is_open


def test_what_is_given_away_is_locked_in_the_order_in_which_every_stage_locks(scene: Scene) -> None:
    for n in range(6):
        scene.subscriber(f"Account {n}")
    fleet = Fleet()
    first = fleet.engine()
    fleet.engine()
    Account.objects.update(lease_owner=first.pk)
    with CaptureQueriesContext(connection) as captured:
        assert leases.share_out(first.pk, fleet.clock) >= 2
    statements = [query["sql"] for query in captured.captured_queries]
    (chosen,) = [sql for sql in statements if sql.startswith("SELECT") and "accounts_account" in sql and "NOT (" in sql]
    assert "ORDER BY 1 ASC" in chosen
    if connection.vendor == "postgresql":
        assert chosen.endswith("FOR NO KEY UPDATE SKIP LOCKED")
    Account.objects.update(lease_owner=scene.engine.id)


async def test_a_stream_passes_over_an_account_that_nobody_listens_to_and_takes_it_up_again() -> None:
    async with served() as bench:
        woken: list[str] = []
        account = bench.account()
        sessions = Sessions({bench.venue.code: bench.venue}, paper=frozenset({bench.venue.code}))
        ref = "account-1"
        holder = Account(venue=bench.venue.code, venue_ref=ref)
        sessions.listen(holder, lambda: woken.append("first"))
        listening = bench.venue._listening
        await until(lambda: listening.box(ref).live)
        await sessions.leave(holder)
        await account.place(request(BUY, "1"))
        woken.clear()
        sessions.listen(holder, lambda: woken.append("again"))
        await until(lambda: bool(woken))
        assert set(woken) == {"again"}
        assert len((await sessions.of(holder).reports("0")).fills) == 1, "what happened in between is not missed"
        await bench.account().place(request(BUY, "1"))
        before = len(woken)
        await account.place(request(BUY, "1"))
        await until(lambda: len(woken) > before)
        assert len((await sessions.of(holder).reports("1")).fills) == 1
