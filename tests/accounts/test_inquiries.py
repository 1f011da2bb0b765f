"""Asking an account's venue: a row that a page writes, answered by the engine that holds the account and by no other."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from asgiref.sync import sync_to_async
from django.db import ProgrammingError, connection, transaction
from django.test import Client

from signalist.accounts.beats import Beat, told
from signalist.accounts.connectors import connectors
from signalist.accounts.health import health
from signalist.accounts.inquiries import note
from signalist.accounts.jobs import retire_inquiries
from signalist.accounts.keyholding import Keys
from signalist.accounts.models import Account, AccountHealth, Inquiry
from signalist.accounts.sessions import Sessions
from signalist.clock import SystemClock, utc_now
from signalist.engine.inquiring import Inquirer
from signalist.venues.errors import BadCredential, NoAnswer
from signalist.venues.transport.supplies import of_this_process
from tenants.doors import across_tenants
from tenants.models import User
from tenants.roles import WEB
from tests.accounts.loopback import Loopback
from tests.accounts.test_keyholding import connected, venue
from tests.accounts.test_keywatch import ELSEWHERE, Desk, in_thread
from tests.cast import Cast
from tests.pages.acme import plain

__all__ = ["in_thread", "venue"]
pytestmark = pytest.mark.django_db(transaction=True)


class Holder(Desk):
    """What of an engine an inquirer needs."""

    held: list[Account] = []


def _asked(who: User, account: Account) -> tuple[int, str]:
    client = Client()
    client.force_login(who)
    answer = client.post(f"/connections/accounts/{account.public_id}/ask/", headers={"HX-Request": "true"})
    return answer.status_code, plain(answer.content.decode())


def _shown(who: User, account: Account) -> str:
    client = Client()
    client.force_login(who)
    return plain(client.get(f"/connections/accounts/{account.public_id}/").content.decode())


async def test_the_engine_that_holds_the_account_asks_and_the_page_shows_what_the_venue_said(
    venue: Loopback, cast: Cast, in_thread: Any
) -> None:
    await sync_to_async(connected)(venue, cast)
    account = await in_thread(lambda: Account.objects.get(venue="loopback"))
    keys, desk = Keys(), Holder()
    served = connectors()["loopback"].venue_with(
        partial(keys.secrets_of, "loopback"), of_this_process("loopback", SystemClock())
    )
    sessions = Sessions({"loopback": served}, paper=frozenset({"loopback"}))
    inquirer = Inquirer(desk, sessions)  # type: ignore[arg-type]

    async def comes_round(owner: UUID) -> None:
        await in_thread(lambda: Account.objects.update(lease_owner=owner))
        await in_thread(lambda: keys.look(str(Desk.id)))
        await inquirer.look()
        for task in list(inquirer._asking):
            await task
        await inquirer.note()

    ask, shown = sync_to_async(_asked), sync_to_async(_shown)
    try:
        assert "Not asked yet" in await shown(cast.theo, account) or "No engine" in await shown(cast.theo, account)
        assert (await ask(cast.gus, account))[0] == 404 and (await ask(cast.vera, account))[0] == 403
        assert not await in_thread(Inquiry.objects.exists)
        status, page = await ask(cast.theo, account)
        assert status == 200 and "Waiting for the venue" in page
        await ask(cast.theo, account)
        assert await in_thread(Inquiry.objects.count) == 1, "it is the same inquiry"

        await comes_round(ELSEWHERE)
        assert "Waiting for the venue" in await shown(cast.theo, account), "another engine holds it"
        await comes_round(Desk.id)
        assert "Waiting for the venue" in await shown(cast.theo, account), (
            "it has taken it, and does not listen to it yet"
        )
        desk.held = [account]
        await comes_round(Desk.id)
        page = await shown(cast.theo, account)
        assert "5,000.00" in page and "0 positions, 0 orders" in page and "127.0.0.1" in page and "Answers" in page
        assert "asked a moment ago" in (await ask(cast.theo, account))[1]

        venue.secret("desk-1", "changed at the venue")
        await in_thread(lambda: Inquiry.objects.update(asked_at=utc_now() - timedelta(minutes=1)))
        await ask(cast.theo, account)
        await comes_round(Desk.id)
        page = await shown(cast.theo, account)
        assert "The venue refuses the key" in page and "Does not answer" in page, page
        assert "1 time since it last answered" in page and "secret" not in page
        health = await in_thread(AccountHealth.objects.get)
        assert (health.is_up, health.failures, health.seen_at is not None) == (False, 1, True)
        assert ("loopback", "desk-1") in sessions.doubted, "whether the key is bad for good is asked separately"

        await in_thread(lambda: Inquiry.objects.update(asked_at=utc_now() - timedelta(minutes=2)))
        await ask(cast.theo, account)
        late = utc_now() - timedelta(minutes=1)
        await in_thread(lambda: Inquiry.objects.filter(state="WAITING").update(asked_at=late))
        await comes_round(Desk.id)
        assert "No engine has asked the venue" in await shown(cast.theo, account)
    finally:
        await served.close()  # type: ignore[attr-defined]


def test_a_venues_words_are_stored_without_secrets_and_whatever_letters_it_sends(cast: Cast) -> None:
    now, accounts = utc_now(), []
    with across_tenants("tests"):
        for name in ("odd", "secret"):
            terms = {"venue": "paper", "venue_ref": name, "currency": "USD", "lease_owner": Desk.id}
            accounts.append(Account.objects.create(tenant=cast.acme, name=name, **terms))
        errors = (NoAnswer("half a letter \ud83d and \x00 nothing"), BadCredential("wrong api_secret=kQ8vPz3LmW"))
        why = [told(error) for error in errors]
        beats = (Beat(now).after(now, said) for said in why)
        note({account.pk: beat for account, beat in zip(accounts, beats, strict=True)}, Desk.id)
        said = list(AccountHealth.objects.order_by("account").values_list("problem", flat=True))
    assert said[0] == "The venue could not be asked: half a letter   and   nothing"
    assert said[1].startswith("The venue refuses the key: wrong api_secret=") and "kQ8vPz3LmW" not in said[1]


def test_what_an_engine_wrote_that_is_no_more_is_not_said_of_now(cast: Cast) -> None:
    now = utc_now()
    with across_tenants("tests"):
        terms = {"venue": "paper", "venue_ref": "desk", "currency": "USD", "lease_owner": Desk.id}
        account = Account.objects.create(tenant=cast.acme, name="Desk", **terms)

        def said(beat: Beat) -> tuple[str, bool, str]:
            note({account.pk: beat}, Desk.id)
            (found,) = health(now)
            return found.state, found.since is not None, found.problem

        up = Beat(now - timedelta(hours=1)).after(now, None)
        assert said(up) == ("Answers", True, "")
        assert said(replace(up, seen_at=now - timedelta(minutes=5))) == ("Not asked lately", False, "")
        assert said(up.after(now, "Not now.")) == ("Does not answer", True, "Not now.")
        assert said(replace(up, why="Its stream was given up")) == ("Answers", True, "")
        assert health(now)[0].stream_problem == "Its stream was given up"
        Account.objects.update(lease_owner=None)
        assert said(up) == ("No engine", False, ""), "since when nobody asks is not known, nor whether it still fails"


def test_what_was_asked_is_kept_for_thirty_days(cast: Cast) -> None:
    now = utc_now()
    with across_tenants("tests"):
        account = Account.objects.create(tenant=cast.acme, name="Desk", venue="paper", venue_ref="desk", currency="USD")
        for days in (29, 31):
            Inquiry.objects.create(tenant=cast.acme, account=account, asked_at=now - timedelta(days=days))
        assert retire_inquiries(now) == 1 == Inquiry.objects.filter(asked_at__gt=now - timedelta(days=30)).count()


def test_an_account_that_is_not_there_yet_is_said_so(client: Client, cast: Cast) -> None:
    client.force_login(cast.theo)
    assert "No account yet" in plain(client.get("/connections/accounts/").content.decode())


@pytest.mark.postgresql
@pytest.mark.parametrize(
    "statement", ["UPDATE accounts_inquiry SET state = 'ANSWERED'", "DELETE FROM accounts_accounthealth"]
)
def test_the_webs_role_asks_and_cannot_say_what_a_venue_said(cast: Cast, statement: str) -> None:
    with across_tenants("tests"), connection.cursor() as cursor:
        cursor.execute(f"SET ROLE {WEB}")
        cursor.execute("SELECT count(*) FROM accounts_inquiry")
        with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
            cursor.execute(statement)
        cursor.execute("RESET ROLE")


def test_what_the_venue_tells_of_the_key_and_the_account_is_shown_and_withdrawing_is_said_to_be_wrong(
    cast: Cast,
) -> None:
    with across_tenants("tests"):
        terms = {"venue": "kraken", "venue_ref": "desk", "currency": "USD", "lease_owner": Desk.id}
        account = Account.objects.create(tenant=cast.acme, name="Desk", **terms)
        told = {"currency": "USD", "total": "10", "available": "9", "open_orders": 0, "positions": 1}
        told |= {"rights": ["read", "trade", "withdraw"], "tier": "pro", "margin": "Cash, no margin", "held_as": "Spot"}
        now = utc_now()
        Inquiry.objects.create(
            tenant=cast.acme,
            account=account,
            asked_at=now,
            answered_at=now,
            state="ANSWERED",
            latency_ms=5,
            answer=told,
        )
    page = _shown(cast.theo, account)
    assert "The key may read, trade, withdraw Withdrawing must be off: make another key" in page
    assert "Tier there Pro" in page and "Margin there Cash, no margin read, and never changed from here" in page
