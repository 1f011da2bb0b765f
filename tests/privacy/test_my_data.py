"""A copy of one's data, for its owner alone; and the end of an account, after which the trades are there and the name is not."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django_q.models import OrmQ

from signalist.accounts.actions import open_paper_account
from signalist.accounts.models import Account
from signalist.api.actions import make as make_key
from signalist.api.models import ApiKey
from signalist.api.scopes import SCOPES
from signalist.audit.models import Entry, Subject, Words
from signalist.audit.writing import record
from signalist.clock import utc_now
from signalist.domain.money import ZERO
from signalist.downloads import files
from signalist.downloads.models import Download, Part
from signalist.markets.stream_models import StreamSession
from signalist.privacy.erasure import erase_due
from signalist.privacy.jobs import keep_privacy, make_export
from signalist.privacy.models import Deletion
from signalist.privacy.sections import SECTIONS
from signalist.risk.models import TenantSwitchChange
from signalist.trading.models import Fill, Trade
from tenants.belonging import Invitation, StaffSession, Suspension
from tenants.doors import across_tenants, acting_for
from tenants.models import Credential, Membership, Role, User
from tenants.vault import seal
from tenants.workspaces.roles import transfer
from tests.cast import PASSWORD, Cast
from tests.flows.scene import LONG, entry
from tests.pages.acme import Acme, acme_trades, plain


@pytest.fixture
def acme(transactional_db: None, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> Iterator[Acme]:
    with acme_trades(cast, monkeypatch) as world:
        yield world


def surely(who: User, **whence: Any) -> Client:
    """Somebody who has just given the password."""
    client = Client(**whence)
    client.force_login(who)
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    return client


@contextmanager
def as_worker() -> Iterator[None]:
    """Under the role that the job runner has in production, whose rights are few."""
    if connection.vendor != "postgresql":
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE signalist_engine")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("RESET ROLE")


def erased(days: int) -> tuple[int, int]:
    """What the job does so many days from now."""
    with as_worker():
        return erase_due(utc_now() + timedelta(days=days))


def run_queued() -> None:
    """What the job runner would do with what is queued."""
    for queued in OrmQ.objects.order_by("pk"):
        with as_worker():
            make_export(*queued.task["args"])
            make_export(*queued.task["args"])  # it is delivered twice now and then
    OrmQ.objects.all().delete()


def test_a_copy_holds_the_workspace_s_trades_exactly_and_only_its_owner_gets_it(acme: Acme) -> None:
    cast = acme.cast
    acme.follower("=Desk")
    acme.scene.signal(entry(LONG, "39600", "40800"))
    acme.scene.minute(low="39600", close="39600")
    theo, olivia, gus = surely(cast.theo), surely(cast.olivia), surely(cast.gus)
    quick = Client()
    quick.force_login(cast.theo)
    assert "/reauthenticate/" in quick.post("/my-data/export/", {"format": "json"}).headers["Location"]
    for form in ("json", "csv"):
        theo.post("/my-data/export/", {"format": form})
    assert 'hx-trigger="every 2s"' in theo.get("/my-data/").content.decode()
    run_queued()
    page = theo.get("/my-data/files/").content.decode()
    assert page.count("Ready") == 2 and "hx-trigger" not in page
    with acting_for(cast.acme.pk):
        one, two = Download.objects.order_by("pk")
        trade = Trade.objects.get()
    answer = theo.get(f"/downloads/{one.public_id}/")
    assert answer.headers["Content-Disposition"].startswith("attachment;") and len(answer.content) == one.size
    copy = zipfile.ZipFile(io.BytesIO(answer.content))
    assert copy.testzip() is None
    said = {name.partition(".")[0]: json.loads(copy.read(name)) for name in copy.namelist()}
    assert said["person"][0]["email"] == cast.theo.email and said["membership"][0]["workspace"] == "Acme"
    assert (said["trades"][0]["net"], len(said["fills"])) == (format(trade.net.normalize(), "f"), _fills(cast))
    assert "export.asked" in {line["action"] for line in said["audit"]}
    sheets = zipfile.ZipFile(io.BytesIO(theo.get(f"/downloads/{two.public_id}/").content))
    assert "'=Desk" in sheets.read("accounts.csv").decode(), "what was typed is no formula"

    for client in (olivia, gus, Client()):
        assert client.get(f"/downloads/{one.public_id}/").status_code in (302, 404)
        assert "signalist-" not in plain(client.get("/my-data/files/").content.decode())
    theo.post("/my-data/export/", {"format": "csv"})
    assert "3 files an hour are the most" in plain(
        theo.post("/my-data/export/", {"format": "csv"}, follow=True).content.decode()
    )
    with acting_for(cast.acme.pk):
        Download.objects.update(expires_at=utc_now() - timedelta(seconds=1))
    assert theo.get(f"/downloads/{one.public_id}/").status_code == 404
    assert keep_privacy().startswith("files gone: 2")
    with across_tenants("tests"):
        assert not Part.objects.exists()
        assert Entry.objects.filter(action="export.fetched").count() == 2


def _fills(cast: Cast) -> int:
    with acting_for(cast.acme.pk):
        return Fill.objects.count()


def test_who_is_deleted_is_gone_by_name_everywhere_and_the_trades_stay(acme: Acme) -> None:
    cast = acme.cast
    acme.follower()
    acme.scene.signal(entry(LONG, "39600", "40800"))
    theo = surely(cast.theo, REMOTE_ADDR="203.0.113.77", HTTP_USER_AGENT="TheosBrowser/1")
    _said_about(cast)
    session_key = theo.cookies["sessionid"].value
    theo.post(f"/stop/tenant/{cast.acme.public_id}/", {"state": "HALTED", "reason": "a look around"})
    theo.post(f"/stop/tenant/{cast.acme.public_id}/", {"state": "ACTIVE", "reason": "seen enough"})
    acme.scene.minute(low="39600", close="39600")
    EmailAddress.objects.create(user=cast.theo, email=cast.theo.email, verified=True, primary=True)
    with acting_for(cast.acme.pk):
        key = make_key(cast.acme.pk, cast.theo, "bot", SCOPES.keys())
        whence = {"address": "203.0.113.77", "agent": "TheosBrowser/1"}
        StreamSession.objects.create(tenant=cast.acme, user=cast.theo, client="tab", login="x", **whence)
    assert theo.post("/my-data/delete/", {"action": "delete"}).status_code == 302
    assert "Your account is deleted on" in plain(theo.get("/my-data/").content.decode())
    assert erased(13) == (0, 0), "there is time to think"
    theo.post("/my-data/delete/", {"action": "keep"})
    assert erased(15) == (0, 0), "it was taken back"
    theo.post("/my-data/delete/", {"action": "delete"})
    trades = _trades(cast)
    assert erased(15) == (1, 0)
    assert erased(15) == (0, 0)

    assert _trades(cast) == trades == 1, "the tax office asks for them"
    gone = User.objects.get(pk=cast.theo.pk)
    assert (gone.is_active, gone.has_usable_password(), gone.full_name) == (False, False, "")
    assert theo.get("/my-data/").status_code == 302, "the session is over"
    assert not Session.objects.filter(session_key=session_key).exists()
    assert set(Suspension.objects.values_list("reason", flat=True)) == {"", "he is a former member's double"}
    assert StaffSession.objects.get().reason == "looks for orders of a former member"
    assert Client().get("/api/v1/me", headers={"Authorization": f"Bearer {key.text}"}).status_code == 401
    assert not EmailAddress.objects.filter(user=gone).exists() and not Subject.objects.filter(user_id=gone.pk).exists()
    with across_tenants("tests"):
        assert "a former member says that a former member paid" in Words.objects.values_list("text", flat=True)
        assert not Membership.objects.filter(user=gone).exists() and not ApiKey.objects.exists()
        assert set(TenantSwitchChange.objects.values_list("who", flat=True)) == {"a former member"}
        for table in connection.introspection.table_names():
            if table in ("events_event", "signalist_cache"):
                continue  # kept for seven days; counters
            with connection.cursor() as cursor:
                cursor.execute(f'SELECT * FROM "{table}"')
                rows = str(cursor.fetchall())
            left = [mark for mark in ("theo@example.com", "203.0.113.77", "TheosBrowser") if mark in rows]
            assert left == [], table
        assert list(Invitation.objects.values_list("email", "invited_by")) == [("nell@example.com", None)]
        own = Entry.objects.filter(target=str(gone.public_id)).values_list("action", "subject")
        assert list(own) == [("privacy.deleted", None)], "no pseudonym beside the number"
    with acting_for(cast.acme.pk):
        assert Account.objects.filter(name="Desk").exists(), "the workspace goes on for the others"


def _said_about(cast: Cast) -> None:
    """Invitations to and by Theo, and what staff wrote."""
    later = utc_now() + timedelta(days=7)
    for n, (tenant, email, by) in enumerate(
        [(cast.acme, "nell@example.com", cast.theo), (cast.globex, "Theo@Example.com", cast.gus)]
    ):
        with acting_for(tenant.pk):
            Invitation.objects.create(
                tenant=tenant, email=email, role="TRADER", token_hash=f"{n}", invited_by=by, expires_at=later
            )
    now = utc_now()
    Suspension.objects.create(user=cast.theo, reason="he threatened us", lifted_at=now)
    Suspension.objects.create(user=cast.gus, reason="he is Theo's double", lifted_at=now)
    StaffSession.objects.create(
        user=cast.gus, reason="looks for orders of THEO@example.com", login="x", expires_at=now, ended_at=now
    )
    with across_tenants("tests"):
        record("user.suspended", tenant_id=None, user_id=cast.gus.pk, words="theo@example.com says that Theo paid")


def _trades(cast: Cast) -> int:
    with acting_for(cast.acme.pk):
        return Trade.objects.count()


@pytest.mark.django_db
def test_a_copy_holds_of_the_workspace_what_the_role_includes_while_it_is_made(cast: Cast) -> None:
    own = {"person", "membership", "api_keys", "stream_sessions", "commands", "switches", "audit"}
    with acting_for(cast.acme.pk):
        secret = Credential(tenant=cast.acme, venue="loopback", label="Desk's key")
        seal(secret, {"api_secret": "s"})
        secret.save()

    def copy_of(user: User, role: str = "", **change: object) -> set[str]:
        with acting_for(cast.acme.pk):
            made = files.ask(cast.acme.pk, user.pk, "my-data", "json", "copy.zip")
            Membership.objects.filter(user=user).update(**({"role": role} if role else {}), **change)
        with as_worker():
            make_export(made.pk, cast.acme.pk)
        with acting_for(cast.acme.pk):
            found = files.fetched(made.public_id, cast.acme.pk, user.pk)
            if found is None:
                assert Download.objects.get(pk=made.pk).problem == "You are not in this workspace any more."
                return set()
        whole = zipfile.ZipFile(io.BytesIO(b"".join(found[1])))
        return {name.partition(".")[0] for name in whole.namelist()}

    assert copy_of(cast.vera) == own, "a reader sees pages, and takes no records away"
    analysts = copy_of(cast.vera, Role.ANALYST)
    assert {"orders", "trades", "accounts"} < analysts and "connections" not in analysts
    assert copy_of(cast.theo) == analysts | {"connections"} == {section.name for section in SECTIONS}
    assert copy_of(cast.theo, Role.READONLY) == own, "it was asked for with more rights than there are now"
    assert copy_of(cast.theo, is_active=False) == set()


def hand_over(cast: Cast, owner: User, to: User) -> None:
    with acting_for(cast.acme.pk):
        now, then = (Membership.objects.select_related("user").get(user=user) for user in (owner, to))
    transfer(now, then)


@pytest.mark.django_db
def test_what_only_its_owner_can_settle_is_said_before_and_a_workspace_of_one_s_own_is_closed(cast: Cast) -> None:
    olivia, gus = surely(cast.olivia), surely(cast.gus)
    said = plain(olivia.post("/my-data/delete/", {"action": "delete"}, follow=True).content.decode())
    assert "Acme would be left without an administrator: hand it over to another member first." in said
    with acting_for(cast.globex.pk):
        account = open_paper_account(cast.globex.pk, "Gus's nest egg", "USD", ZERO)
        secret = Credential(tenant=cast.globex, venue="loopback", label="Gus's key")
        seal(secret, {"api_secret": "s"})
        secret.save()
    gus.post("/my-data/delete/", {"action": "delete"})
    assert erased(15) == (1, 0)
    with across_tenants("tests"):
        closed = Account.objects.select_related("tenant").get(pk=account.pk)
        assert (closed.name, closed.tenant.name) == (f"Account {closed.pk}", f"Closed workspace {cast.globex.pk}")
        assert Credential.objects.get().sealed == {}

    with acting_for(cast.acme.pk):
        Membership.objects.filter(user=cast.theo).update(role=Role.ADMIN)
    said = plain(olivia.post("/my-data/delete/", {"action": "delete"}, follow=True).content.decode())
    assert "Acme would be left without an owner: hand it over to another administrator first." in said
    hand_over(cast, cast.olivia, cast.theo)
    olivia.post("/my-data/delete/", {"action": "delete"})
    hand_over(cast, cast.theo, cast.olivia)
    assert erased(15) == (0, 1), "it is hers again"
    assert "without an owner" in Deletion.objects.get(user=cast.olivia).held_up
    with acting_for(cast.acme.pk):
        Membership.objects.filter(user=cast.theo).update(role=Role.TRADER)
    assert erased(15) == (0, 1), "it has come to be in the way meanwhile"
    assert "without an administrator" in Deletion.objects.get(user=cast.olivia).held_up
    assert "It has not been possible yet" in plain(olivia.get("/my-data/").content.decode())
