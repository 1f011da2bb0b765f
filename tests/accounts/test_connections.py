"""Keys of venues: asked about before they are stored, never shown again, and loud when they are gone."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django_q.models import OrmQ
from pytest_django import Settings

from signalist.accounts.models import Account
from signalist.events.models import Event
from signalist.risk.connections import invalidate, revoke_all
from signalist.risk.jobs import revoke_keys
from tenants.doors import across_tenants, acting_for
from tenants.models import Credential, User
from tenants.vault import unsealed
from tests.accounts.loopback import Loopback, loopback
from tests.cast import PASSWORD, Cast
from tests.pages.acme import plain

pytestmark = pytest.mark.django_db(transaction=True)
NEW = "/connections/new/loopback/"
SECRET = "correct-horse-battery-staple"


@pytest.fixture
def venue(settings: Settings) -> Iterator[Loopback]:
    with loopback() as found:
        settings.LOOPBACK_URL = found.address
        found.account("desk-1", SECRET)
        yield found


@pytest.fixture
def olivia(client: Client, cast: Cast) -> Client:
    """Olivia, who has just given her password."""
    client.force_login(cast.olivia)
    assert client.get(NEW).status_code in (302, 404), "without the password nothing is asked"
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    return client


def connect(client: Client, label: str = "Main", ref: str = "desk-1", secret: str = SECRET, **more: str) -> Any:
    return client.post(NEW, {"label": label, "api_key": ref, "api_secret": secret, **more})


def words(answer: Any) -> str:
    page = answer.content.decode()
    assert SECRET not in page, "what was typed as a secret stands in the page"
    return plain(page)


def told(cast: Cast) -> list[str]:
    with acting_for(cast.acme.pk):
        return list(Event.objects.order_by("pk").values_list("kind", flat=True))


def test_a_key_is_tried_then_stored_with_its_account_renamed_replaced_and_revoked(
    venue: Loopback, olivia: Client, cast: Cast
) -> None:
    tried = words(connect(olivia, action="try"))
    assert "it may read, trade, and was seen to come from 127.0.0.1. The balance is 5000 USD" in tried
    with across_tenants("tests"):
        assert not Credential.objects.exists() and not Account.objects.exists(), "a try stores nothing"

    where = connect(olivia).headers["Location"]
    page = words(olivia.get(where))
    assert all(part in page for part in ("Main", "Valid", "read, trade", "127.0.0.1", "api_key, api_secret"))
    with acting_for(cast.acme.pk):
        account, key = Account.objects.get(), Credential.objects.get()
    assert (account.venue, account.venue_ref, account.currency, account.credential_id) == (
        "loopback",
        "desk-1",
        "USD",
        key.pk,
    )
    assert "already" in words(connect(olivia)), "a name is for one key"
    assert "connected already, with the key 'Main'" in words(connect(olivia, "Second"))
    venue.account("desk-2", SECRET)
    assert connect(olivia, "Second", "desk-2").status_code == 302, "several keys of one venue"

    assert olivia.post(f"{where}rename/", {"label": "Second"}).status_code == 200, "that name is taken"
    olivia.post(f"{where}rename/", {"label": "Desk one"})
    assert "Desk one" in words(olivia.get("/connections/"))

    other = olivia.post(f"{where}replace/", {"api_key": "desk-2", "api_secret": SECRET})
    assert "for another account than Main" in words(other)
    venue.secret("desk-1", "a second secret")
    assert "does not accept this key" in words(
        olivia.post(f"{where}replace/", {"api_key": "desk-1", "api_secret": SECRET})
    )
    assert olivia.post(f"{where}replace/", {"api_key": "desk-1", "api_secret": "a second secret"}).status_code == 302
    with acting_for(cast.acme.pk):
        replaced = Credential.objects.get(pk=key.pk)
    with unsealed(replaced) as secrets:
        assert secrets["api_secret"] == "a second secret"

    assert olivia.post(f"{where}revoke/", {"reason": ""}).status_code == 200, "one says why"
    olivia.post(f"{where}revoke/", {"reason": "the laptop was stolen"})
    with acting_for(cast.acme.pk):
        gone, account = Credential.objects.get(pk=key.pk), Account.objects.get(pk=account.pk)
    assert (gone.sealed, gone.is_active, gone.revoked_why) == ({}, False, "the laptop was stolen")
    assert (account.state, account.credential_id) == ("REDUCING", key.pk)
    assert "the laptop was stolen" in words(olivia.get("/stop/"))
    assert "Desk one" in words(olivia.get("/connections/?revoked")) and "Desk one" not in words(
        olivia.get("/connections/")
    )
    assert connect(olivia, "Desk one", secret="a second secret").status_code == 302, (
        "the name and the account are free again"
    )
    assert [kind for kind in told(cast) if kind.startswith("credential")] == [
        "credential_stored", "credential_stored", "credential_renamed", "credential_replaced", "credential_revoked",
        "credential_stored",
    ]  # fmt: skip


def test_what_is_refused_is_not_stored_and_says_what_to_do(
    venue: Loopback, olivia: Client, cast: Cast, settings: Settings
) -> None:
    venue.rights("desk-1", "read", "trade", "withdraw")
    assert "may withdraw money, so it is refused and was not stored" in words(connect(olivia))
    venue.rights("desk-1", "read")
    assert "may not trade" in words(connect(olivia))
    venue.rights("desk-1", "read", "trade")
    assert "does not accept this key" in words(connect(olivia, ref="nobody"))
    with across_tenants("tests"):
        Account.objects.create(tenant=cast.globex, name="Gus", venue="loopback", venue_ref="desk-1", currency="USD")
    assert "connected in another workspace" in words(connect(olivia))
    settings.LOOPBACK_URL = "http://127.0.0.1:9"
    assert "could not be asked (not_sent); nothing was stored" in words(connect(olivia))
    with across_tenants("tests"):
        assert not Credential.objects.exists()
    settings.LOOPBACK_URL = ""
    assert olivia.get(NEW).status_code == 404 == olivia.get("/connections/new/kraken/").status_code


def test_others_see_nothing_readers_change_nothing_and_a_stolen_session_is_not_enough(
    venue: Loopback, olivia: Client, cast: Cast
) -> None:
    where = connect(olivia).headers["Location"]
    gus, theo, vera, again = Client(), Client(), Client(), Client()
    gus.force_login(cast.gus)
    theo.force_login(cast.theo)
    vera.force_login(cast.vera)
    again.force_login(cast.olivia)
    assert "Main" not in words(gus.get("/connections/"))
    assert "Main" in words(theo.get(where)) and "Revoke" not in words(theo.get(where))
    assert vera.get(where).status_code == 403
    secrets = {"api_key": "desk-1", "api_secret": SECRET, "label": "x", "reason": "x"}
    for step in ("", "rename/", "replace/", "revoke/"):
        ask = gus.post if step else gus.get
        gus.post("/accounts/reauthenticate/", {"password": PASSWORD})
        assert ask(f"{where}{step}", secrets).status_code == 404, step
        if step:
            assert {theo.post(f"{where}{step}", secrets).status_code, vera.post(f"{where}{step}").status_code} == {403}
    for step in ("replace/", "revoke/"):
        assert "/reauthenticate/" in again.post(f"{where}{step}", secrets).headers["Location"]
    with acting_for(cast.acme.pk):
        assert Credential.objects.get().revoked_at is None


def test_a_key_that_its_venue_refuses_pauses_its_accounts_once_and_loudly(
    venue: Loopback, olivia: Client, cast: Cast
) -> None:
    where = connect(olivia).headers["Location"]
    with across_tenants("engine"):
        key = Credential.objects.get()
        assert invalidate(key, "The key is not valid.") and not invalidate(key, "The key is not valid.")
    assert told(cast).count("credential_invalid") == 1 == told(cast).count("kill_switched")
    page = words(olivia.get(where))
    assert "The key does not work: The key is not valid." in page and "REDUCING" in page


def test_the_drill_revokes_every_key_of_a_venue_and_a_second_one_finds_nothing(
    venue: Loopback, olivia: Client, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(olivia)
    with across_tenants("tests", one_transaction=True):
        for label in ("a", "b"):
            Credential.objects.create(tenant=cast.globex, venue="kraken", label=label, key_version=1)
    monkeypatch.setattr("signalist.engine.management.commands.revoke_credentials.become_engine", lambda: True)
    call_command("revoke_credentials", venue="loopback", stdout=(counted := StringIO()))
    assert counted.getvalue() == "1 would be revoked; add --yes and --reason.\n"
    call_command("revoke_credentials", venue="loopback", reason="a drill", yes=True, stdout=StringIO())
    staff = Client()
    staff.force_login(User.objects.create_superuser("staff@example.com", "a password for tests only"))
    chosen = {"action": "revoke_keys", "_selected_action": str(cast.globex.pk)}
    staff.post("/admin/tenants/tenant/", chosen)
    assert not OrmQ.objects.exists(), "without the password nothing is done"
    staff.post("/accounts/reauthenticate/", {"password": PASSWORD})
    staff.post("/admin/tenants/tenant/", chosen)
    (task,) = (queued.task for queued in OrmQ.objects.all())
    assert revoke_keys(*task["args"]) == "2 keys revoked"
    assert revoke_all("a drill") == 0
    with across_tenants("tests"):
        assert not Credential.objects.filter(revoked_at=None).exists()
        assert Account.objects.get().state == "REDUCING"
