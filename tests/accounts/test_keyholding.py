"""What an engine does with stored keys: opened once for a lease, on record, gone within a second when they are revoked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial

import pytest
from asgiref.sync import sync_to_async
from django.db import OperationalError, connection, connections
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from signalist.accounts.connectors import connectors
from signalist.accounts.keyholding import Keys
from signalist.accounts.models import Account
from signalist.accounts.probe import probe
from signalist.audit.models import Entry
from signalist.clock import SystemClock, utc_now
from signalist.engine.database import behind_the_door
from signalist.engine.live import LiveEngine
from signalist.risk.connections import connect, replace, revoke
from signalist.trading.models import AccountBalance
from signalist.venues.errors import NotOpened
from signalist.venues.transport.supplies import of_this_process
from tenants.credentials import unsealed_by
from tenants.doors import across_tenants, acting_for
from tenants.models import Credential, Validity
from tenants.vault import seal
from tests.accounts.loopback import Loopback, loopback
from tests.cast import Cast

pytestmark = pytest.mark.django_db(transaction=True)
ENGINE = "00000000-0000-4000-8000-000000000001"


@pytest.fixture
def venue(settings: Settings) -> Iterator[Loopback]:
    with loopback() as found:
        settings.LOOPBACK_URL = found.address
        yield found


def connected(venue: Loopback, cast: Cast, ref: str = "desk-1") -> Credential:
    """An account that Theo has connected."""
    venue.account(ref, f"secret of {ref}")
    secrets = {"api_key": ref, "api_secret": f"secret of {ref}"}
    probed = probe(connectors()["loopback"], secrets)
    with acting_for(cast.acme.pk):
        return connect(cast.acme.pk, "loopback", ref, secrets, probed, cast.theo)[0]


def openings() -> int:
    with across_tenants("tests"):
        return Entry.objects.filter(action="credential.unsealed").count()


def test_a_key_is_opened_once_for_a_lease_and_looking_costs_one_statement(venue: Loopback, cast: Cast) -> None:
    first = connected(venue, cast)
    connected(venue, cast, "desk-2")
    keys = Keys()
    with across_tenants("engine"):
        assert keys.look(ENGINE).opened == (), "nobody else's accounts"
        Account.objects.update(lease_owner=ENGINE)
        assert [door.venue_ref for door in keys.look(ENGINE).opened] == ["desk-1", "desk-2"]
        with CaptureQueriesContext(connection) as captured:
            for _ in range(5):
                assert keys.look(ENGINE) == type(keys.look(ENGINE))()
        assert len(captured.captured_queries) == 10 and openings() == 2
    assert keys.secrets_of("loopback", "desk-1")["api_secret"] == "secret of desk-1"
    assert "secret of" not in f"{keys!r} {keys.doors()!r} {vars(keys)!r}"

    with across_tenants("engine"):
        Account.objects.filter(venue_ref="desk-2").update(lease_owner=None)
        assert [door.venue_ref for door in keys.look(ENGINE).closed] == ["desk-2"], "another engine's now"
        Credential.objects.filter(pk=first.pk).update(
            sealed={"api_secret": "c3BvaWx0"}, sealed_at="2026-01-01T00:00:00Z"
        )
        look = keys.look(ENGINE)
        assert ([door.venue_ref for door in look.closed], look.broken[0][0].pk) == (["desk-1"], first.pk)
        with CaptureQueriesContext(connection) as captured:
            assert keys.look(ENGINE) == type(look)(), "told once"
        assert len(captured.captured_queries) == 1, "and not tried at each look"
        Credential.objects.filter(pk=first.pk).update(sealed_at="2026-01-02T00:00:00Z")
        assert len(keys.look(ENGINE).broken) == 1, "something else was sealed"
    with pytest.raises(NotOpened):
        keys.secrets_of("loopback", "desk-1")


def test_after_fifteen_minutes_it_is_opened_anew(venue: Loopback, cast: Cast) -> None:
    connected(venue, cast)
    keys = Keys(kept=0.0)
    with across_tenants("engine"):
        Account.objects.update(lease_owner=ENGINE)
        keys.look(ENGINE)
        assert [door.venue_ref for door in keys.look(ENGINE).renewed] == ["desk-1"]
    assert openings() == 2


def test_what_a_look_changes_is_told_and_recorded_though_the_database_gives_up_in_between(
    venue: Loopback, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected(venue, cast)
    connected(venue, cast, "desk-2")
    keys, tries = Keys(), list[int]()

    def gives_up_once(rows: Iterable[Credential], purpose: str) -> None:
        tries.append(1)
        if len(tries) == 1:
            raise OperationalError("database is locked")
        unsealed_by(rows, purpose)

    with across_tenants("tests"):
        Account.objects.update(lease_owner=ENGINE)
        keys.look(ENGINE)
        Account.objects.filter(venue_ref="desk-2").update(lease_owner=None)
        one = Credential.objects.get(label="desk-1")
        seal(one, {"api_key": "desk-1", "api_secret": "another"})
        one.sealed_at = utc_now()
        one.save()
    monkeypatch.setattr("signalist.accounts.keyholding.unsealed_by", gives_up_once)
    look = behind_the_door(lambda: keys.look(ENGINE))
    told = [[door.venue_ref for door in doors] for doors in (look.opened, look.renewed, look.closed)]
    assert (told, len(tries), openings()) == ([[], ["desk-1"], ["desk-2"]], 2, 3)
    assert keys.secrets_of("loopback", "desk-1")["api_secret"] == "another"


@pytest.fixture
async def another_thread() -> AsyncIterator[None]:
    """What a test asks of the database from under a loop has a connection of its own, which ends with it."""
    yield
    await sync_to_async(connections.close_all)()


@pytest.mark.usefixtures("another_thread")
async def test_an_engine_trades_by_stored_keys_drops_what_is_revoked_and_pauses_what_is_refused(
    venue: Loopback, cast: Cast
) -> None:
    in_thread = sync_to_async
    one, two = [await in_thread(connected)(venue, cast, ref) for ref in ("desk-1", "desk-2")]
    keys = Keys()
    served = connectors()["loopback"].venue_with(
        partial(keys.secrets_of, "loopback"), of_this_process("loopback", SystemClock())
    )
    engine = LiveEngine(SystemClock(), others={"loopback": served}, keys=keys)
    running = asyncio.create_task(engine.run())

    async def until(happened: Callable[[], bool], what: str, patience: float = 15.0) -> float:
        begun = time.monotonic()
        while not await in_thread(_across)(happened):
            assert not running.done() and time.monotonic() - begun < patience, what
            await asyncio.sleep(0.02)
        return time.monotonic() - begun

    def held(ref: str) -> bool:
        return any(door.venue_ref == ref for door in keys.doors())

    try:
        await until(
            lambda: AccountBalance.objects.filter(account__venue="loopback").count() == 2, "their reports are read"
        )
        await until(lambda: Credential.objects.filter(unsealed_at=None).count() == 0, "it is on record")
        await in_thread(_acting)(cast, lambda: revoke(one, "a drill", cast.theo))
        gone = await until(lambda: not held("desk-1"), "the key is dropped")
        assert gone < 1.0 and held("desk-2")
        with pytest.raises(NotOpened):
            engine.engine.sessions.of(await in_thread(_across)(lambda: Account.objects.get(venue_ref="desk-1")))

        venue.secret("desk-2", "changed at the venue")
        engine.engine.sessions.doubted.add(("loopback", "desk-2"))
        await until(lambda: Credential.objects.get(pk=two.pk).validity == Validity.INVALID, "the venue refuses it")
        account = await in_thread(_across)(lambda: Account.objects.get(venue_ref="desk-2"))
        assert account.state == "REDUCING" and "does not work" in account.state_reason

        secrets = {"api_key": "desk-2", "api_secret": "changed at the venue"}
        probed = await in_thread(probe)(connectors()["loopback"], secrets)
        await in_thread(_acting)(cast, lambda: replace(two, secrets, probed, cast.theo))
        await until(lambda: keys.secrets_of("loopback", "desk-2") == secrets, "the new key is taken", 2.0)
        for _ in range(100):  # the session of the old key ends in the loop's next turn
            with suppress(NotOpened):
                assert (await engine.engine.sessions.of(account).balance()).currency == "USD"
                break
            await asyncio.sleep(0.02)
        else:
            pytest.fail("the session was not opened anew with the new key")
    finally:
        engine.stop()
        await running
        await served.close()


def _across(function: Callable[[], object]) -> object:
    with across_tenants("tests"):
        return function()


def _acting(cast: Cast, function: Callable[[], object]) -> object:
    with acting_for(cast.acme.pk):
        return function()
