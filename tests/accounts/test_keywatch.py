"""What is believed about a key, and what happens to the news about keys when something breaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from asgiref.sync import sync_to_async
from django.db import IntegrityError, connections

from signalist.accounts.connectors import connectors
from signalist.accounts.keyholding import Keys
from signalist.accounts.models import Account
from signalist.accounts.sessions import Sessions
from signalist.clock import SystemClock
from signalist.engine.database import behind_the_door
from signalist.engine.keywatch import KeyWatch
from signalist.risk.connections import invalidate
from signalist.venues.errors import BadCredential
from signalist.venues.transport.supplies import of_this_process
from tenants.doors import across_tenants
from tenants.models import Credential, Validity
from tests.accounts.loopback import Loopback
from tests.accounts.test_keyholding import ENGINE, connected, venue
from tests.cast import Cast

__all__ = ["venue"]
pytestmark = pytest.mark.django_db(transaction=True)
ELSEWHERE = UUID("00000000-0000-4000-8000-000000000002")


class Desk:
    """What of an engine the watch over its keys needs."""

    id = UUID(ENGINE)

    async def database(self, function: Callable[[], Any]) -> Any:
        return await sync_to_async(behind_the_door)(function)

    def hear_anew(self, account_ids: Any) -> None:
        """Nobody listens here."""


@pytest.fixture
async def in_thread() -> AsyncIterator[Callable[[Callable[[], Any]], Any]]:
    """Runs a function across tenants, in the thread whose connection ends with the test."""

    def across(function: Callable[[], Any]) -> Any:
        with across_tenants("tests"):
            return function()

    yield sync_to_async(across)
    await sync_to_async(connections.close_all)()


async def test_only_a_venue_can_say_that_a_key_is_bad_and_only_to_the_engine_that_holds_the_account(
    venue: Loopback, cast: Cast, in_thread: Any
) -> None:
    await sync_to_async(connected)(venue, cast)
    keys = Keys()
    served = connectors()["loopback"].venue_with(
        partial(keys.secrets_of, "loopback"), of_this_process("loopback", SystemClock())
    )
    watch = KeyWatch(keys, Sessions({"loopback": served}, paper=frozenset({"loopback"})), Desk())  # type: ignore[arg-type]

    async def asked_after(owner: UUID, *, looked: bool) -> tuple[str, str]:
        await in_thread(lambda: Account.objects.filter(venue="loopback").update(lease_owner=Desk.id))
        await watch.look()
        doors = keys.doors()
        await in_thread(lambda: Account.objects.filter(venue="loopback").update(lease_owner=owner))
        if looked:
            await watch.look()
        await watch.ask(doors)
        account = await in_thread(lambda: Account.objects.get(venue="loopback"))
        return (await in_thread(Credential.objects.get)).validity, account.state

    try:
        assert await asked_after(ELSEWHERE, looked=True) == (Validity.VALID, "ACTIVE"), "we have no key: it is as good"
        for rights, why in (
            (("read", "trade", "withdraw"), "may withdraw money by now"),
            (("read",), "may not trade any more"),
            ((), "may not read and trade any more"),
        ):
            venue.rights("desk-1", *rights)
            assert await asked_after(Desk.id, looked=False) == (Validity.VALID, "REDUCING"), "it still opens, for exits"
            account = await in_thread(lambda: Account.objects.get(venue="loopback"))
            assert why in account.state_reason
            await in_thread(lambda: Account.objects.update(state="ACTIVE", state_reason=""))
        venue.rights("desk-1", "read", "trade")
        assert await asked_after(Desk.id, looked=False) == (Validity.VALID, "ACTIVE")
        venue.secret("desk-1", "changed at the venue")
        assert await asked_after(ELSEWHERE, looked=False) == (Validity.VALID, "ACTIVE"), "another engine's to judge"
        assert await asked_after(Desk.id, looked=False) == (Validity.INVALID, "REDUCING")
    finally:
        await served.close()


class OddVenue:
    """Refuses the key of desk-2, and of any other account says what nobody can read."""

    capabilities = SimpleNamespace(answer_within=1.0)

    def open(self, ref: str) -> Any:
        async def balance() -> Any:
            raise (
                BadCredential("revoked \ud83d: api_secret=kQ8vPz3LmW") if ref == "desk-2" else ValueError("odd payload")
            )

        return SimpleNamespace(balance=balance)


async def test_a_venue_that_breaks_keeps_no_other_key_from_being_judged_and_is_asked_again(
    venue: Loopback, cast: Cast, in_thread: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for ref in ("desk-1", "desk-2"):
        await sync_to_async(connected)(venue, cast, ref)
    await in_thread(lambda: Account.objects.filter(venue="loopback").update(lease_owner=Desk.id))
    keys = Keys()
    sessions = Sessions({"loopback": OddVenue()}, paper=frozenset({"loopback"}))  # type: ignore[dict-item]
    watch = KeyWatch(keys, sessions, Desk())  # type: ignore[arg-type]
    await watch.look()
    monkeypatch.setattr("signalist.engine.keywatch.AGAIN", -1.0)
    await watch.ask(watch._due())
    said = await in_thread(lambda: list(Credential.objects.order_by("label").values_list("validity", flat=True)))
    assert said == [Validity.VALID, Validity.INVALID]
    why = await in_thread(lambda: Credential.objects.get(label="desk-2").invalid_why)
    assert why.startswith("revoked") and "kQ8vPz3LmW" not in why, (
        "what a venue repeats of a key is on no page and in no log"
    )
    assert [door.venue_ref for door in watch._due()] == ["desk-1"]

    served = connectors()["loopback"].venue_with(
        lambda _: {"api_key": "desk-1"}, of_this_process("loopback", SystemClock())
    )
    with pytest.raises(BadCredential, match="api_secret"):
        served.open("desk-1")
    await served.close()  # type: ignore[attr-defined]


async def test_a_key_that_does_not_open_is_written_once_and_not_before_the_database_takes_it(
    venue: Loopback, cast: Cast, in_thread: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sync_to_async(connected)(venue, cast)
    await in_thread(lambda: Account.objects.filter(venue="loopback").update(lease_owner=Desk.id))
    await in_thread(lambda: Credential.objects.update(sealed={"api_secret": "c3BvaWx0"}))
    watch = KeyWatch(Keys(kept=0.0), Sessions({}, paper=frozenset({"loopback"})), Desk())  # type: ignore[arg-type]
    written, fails = list[str](), [True]

    def invalidated(row: Credential, why: str) -> bool:
        if fails:
            raise IntegrityError("not now")
        written.append(why)
        return invalidate(row, why)

    monkeypatch.setattr("signalist.engine.keywatch.invalidate", invalidated)
    with pytest.raises(IntegrityError):
        await watch.look()
    keeping = asyncio.create_task(watch.keep())
    await asyncio.wait([keeping], timeout=1.0)
    assert not keeping.done(), "what the database does not take ends no watch, and so no engine"
    keeping.cancel()
    await asyncio.wait([keeping])
    fails.clear()
    for _ in range(3):  # each tries it anew, because this watch keeps nothing
        await watch.look()
    assert len(written) == 1
    account = await in_thread(lambda: Account.objects.get(venue="loopback"))
    assert ((await in_thread(Credential.objects.get)).validity, account.state) == (Validity.INVALID, "REDUCING")
