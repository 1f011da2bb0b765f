"""What programs read with a key: their workspace's rows, within the key's scopes and its hour, and nothing of anybody else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from signalist.api.actions import Made, digest_of, make, revoke, rotate
from signalist.api.models import ApiKey
from signalist.api.scopes import SCOPES
from signalist.audit.models import Entry
from signalist.clock import utc_now
from tenants.doors import across_tenants, acting_for
from tenants.models import Membership, Tenant, User
from tenants.workspaces.roles import change_role, remove
from tests.cast import PASSWORD, Cast
from tests.flows.scene import LONG, entry
from tests.pages.acme import Acme, acme_trades, plain

LISTS = ("accounts", "subscriptions", "positions", "orders", "trades", "signals")


_program = Client()


def key_of(tenant: Tenant, user: User, *scopes: str, **terms: Any) -> Made:
    with acting_for(tenant.pk):
        return make(tenant.pk, user, "bot", scopes or SCOPES.keys(), **terms)


def ask(address: str, key: str | None, client: Client | None = None) -> Any:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return (client or _program).get(f"/api/v1/{address}", headers=headers)


@pytest.fixture
def acme(transactional_db: None, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> Iterator[Acme]:
    with acme_trades(cast, monkeypatch) as world:
        yield world


def test_a_program_reads_its_workspace_page_by_page_and_nothing_of_another(acme: Acme) -> None:
    cast = acme.cast
    acme.follower()
    acme.follower("Second")
    acme.scene.signal(entry(LONG, "39600", "40800"))
    acme.scene.minute(low="39600", close="39600")
    ours, theirs = key_of(cast.acme, cast.vera).text, key_of(cast.globex, cast.gus).text
    me = ask("me", ours).json()
    assert (me["workspace"]["name"], me["user"]["role"], me["key"]["name"]) == ("Acme", "READONLY", "bot")

    for name in LISTS:
        whole = ask(name, ours).json()
        assert len(whole["data"]) >= 2 and whole["next"] is None, name
        with CaptureQueriesContext(connection) as few:
            first = ask(f"{name}?limit=1", ours).json()
        with CaptureQueriesContext(connection) as many:
            ask(name, ours)
        assert len(few.captured_queries) == len(many.captured_queries), f"{name}: a query for each row"
        second = ask(f"{name}?limit=1&after={first['next']}", ours).json()
        assert first["data"] + second["data"] == whole["data"][:2]
        assert ask(name, theirs).json() == {"data": [], "next": None}, name
        detail = f"{name}/{whole['data'][0]['id']}"
        if name not in ("trades", "signals"):
            assert ask(detail, ours).json() == whole["data"][0]
            missing = ask(detail, theirs)
            assert (missing.status_code, missing.json()["error"]["code"]) == (404, "not_found"), detail
        json.dumps(whole)
    trade = ask("trades", ours).json()["data"][0]
    assert isinstance(trade["net"], str) and trade["opened_at"].endswith("Z"), "exact numbers are texts"

    browser = Client()
    browser.force_login(cast.gus)
    assert ask("me", ours, browser).json()["workspace"]["name"] == "Acme", "the key says whose, not the cookie"
    assert ask("me", None, browser).status_code == 401, "a cookie alone is no key"


@pytest.mark.django_db
def test_what_a_key_does_not_open_is_told_apart_and_tells_nothing(cast: Cast) -> None:
    made = key_of(cast.acme, cast.theo, "accounts:read")
    key = made.text

    def error(answer: Any) -> tuple[int, str]:
        assert key not in answer.content.decode()
        return answer.status_code, answer.json()["error"]["code"]

    assert ask("accounts", key).status_code == 200
    assert error(ask("orders", key)) == (403, "forbidden")
    assert error(ask("nothing/here", key)) == (404, "not_found")
    assert error(Client().post("/api/v1/me", headers={"Authorization": f"Bearer {key}"})) == (405, "method_not_allowed")
    for page in ("limit=0", "limit=201", "limit=x", "after=%C3%A4", "after=eHg"):
        assert error(ask(f"accounts?{page}", key)) == (400, "bad_request"), page
    for wrong in (None, "", "tk_live_", f"{key}x", key.lower(), "eyJhbGciOi.x.y"):
        answer = ask("me", wrong)
        assert error(answer) == (401, "unauthenticated") and answer.headers["WWW-Authenticate"].startswith("Bearer")

    with acting_for(cast.acme.pk):
        ApiKey.objects.update(expires_at=utc_now() - timedelta(seconds=1))
    assert error(ask("me", key)) == (401, "unauthenticated")
    with acting_for(cast.acme.pk):
        ApiKey.objects.update(expires_at=None)
        Membership.objects.filter(user=cast.theo).update(is_active=False)
    assert error(ask("me", key)) == (401, "unauthenticated"), "who has left reads nothing any more"
    with acting_for(cast.acme.pk):
        Membership.objects.filter(user=cast.theo).update(is_active=True)
    User.objects.filter(pk=cast.theo.pk).update(is_active=False)
    assert error(ask("me", key)) == (401, "unauthenticated")
    User.objects.filter(pk=cast.theo.pk).update(is_active=True)
    assert ask("me", key).status_code == 200
    with acting_for(cast.acme.pk):
        assert revoke(made.row, cast.theo) and not revoke(made.row, cast.theo)
    assert error(ask("me", key)) == (401, "unauthenticated")


@pytest.mark.django_db
def test_an_hour_is_counted_and_a_key_that_is_rotated_overlaps_with_its_successor(cast: Cast) -> None:
    made = key_of(cast.acme, cast.theo, hourly_limit=3)
    left = [ask("me", made.text).headers["RateLimit-Remaining"] for _ in range(3)]
    assert left == ["2", "1", "0"]
    refused = ask("me", made.text)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "too_many_requests")
    assert 0 < int(refused.headers["Retry-After"]) <= 3601
    with acting_for(cast.acme.pk):
        row = ApiKey.objects.get()
        assert (row.uses, row.last_used_from) == (4, "127.0.0.1") and row.last_used_at is not None
        ApiKey.objects.update(hour=row.hour - timedelta(hours=1))
    assert ask("me", made.text).headers["RateLimit-Remaining"] == "2", "another hour"

    with acting_for(cast.acme.pk):
        successor = rotate(made.row, cast.theo)
    assert ask("me", made.text).status_code == 200 == ask("me", successor.text).status_code, "both for a while"
    with acting_for(cast.acme.pk):
        ended = ApiKey.objects.get(pk=made.row.pk)
        assert timedelta(hours=23) < ended.expires_at - utc_now() <= timedelta(hours=24)
        ApiKey.objects.filter(pk=ended.pk).update(expires_at=utc_now())
    assert (ask("me", made.text).status_code, ask("me", successor.text).status_code) == (401, 200)
    with connection.cursor() as cursor, across_tenants("tests"):
        cursor.execute("SELECT * FROM api_apikey")
        stored = str(cursor.fetchall())
        assert digest_of(made.text) in stored and made.text not in stored and successor.text not in stored
        assert list(Entry.objects.order_by("pk").values_list("action", flat=True)) == [
            "api_key.made",
            "api_key.rotated",
        ]


@pytest.mark.django_db
def test_the_page_shows_a_key_once_and_only_to_its_owner(cast: Cast) -> None:
    theo, olivia = Client(), Client()
    theo.force_login(cast.theo)
    olivia.force_login(cast.olivia)
    form = {"name": "Reports", "scopes": ["trades:read"], "hourly_limit": "100", "ends": "30"}
    assert "/reauthenticate/" in theo.post("/api-keys/", form).headers["Location"], "not without the password"
    theo.post("/accounts/reauthenticate/", {"password": PASSWORD})
    assert "Choose at least" not in plain(theo.get("/api-keys/").content.decode())
    assert theo.post("/api-keys/", form | {"hourly_limit": "20000"}).content.count(b"tk_live_") == 1, "the hint alone"
    page = theo.post("/api-keys/", form)
    shown = page.content.decode().partition("<code>")[2].partition("</code>")[0]
    assert shown.startswith("tk_live_") and page.headers["Cache-Control"] == "no-store"
    assert ask("trades", shown).status_code == 200
    again = theo.get("/api-keys/").content.decode()
    assert "Reports" in again and shown not in again
    assert shown not in olivia.get("/api-keys/").content.decode()
    with acting_for(cast.acme.pk):
        key = ApiKey.objects.get()
    olivia.post("/accounts/reauthenticate/", {"password": PASSWORD})
    assert olivia.post(f"/api-keys/{key.public_id}/rotate/").status_code == 404
    rotated = theo.post(f"/api-keys/{key.public_id}/rotate/").content.decode()
    assert rotated.count("tk_live_") >= 3 and "Replaced" in rotated
    theo.post(f"/api-keys/{key.public_id}/revoke/")
    assert ask("trades", shown).status_code == 401


@pytest.mark.django_db
def test_keys_end_with_the_right_to_have_some_and_an_administrator_ends_any(cast: Cast) -> None:
    theos, veras, olivias = (key_of(cast.acme, who) for who in (cast.theo, cast.vera, cast.olivia))
    elsewhere = key_of(cast.globex, cast.gus)
    olivia, theo, vera = Client(), Client(), Client()
    for client, who in ((olivia, cast.olivia), (theo, cast.theo), (vera, cast.vera)):
        client.force_login(who)
    page = olivia.get("/api-keys/").content.decode()
    assert "of theo@example.com" in page and "of vera@example.com" in page and "gus@" not in page
    assert f"/api-keys/{theos.row.public_id}/rotate/" not in page, "a key's text is for its owner alone"
    own = vera.get("/api-keys/").content.decode()
    assert veras.row.begins in own and theos.row.begins not in own and "Make the key" not in own
    assert vera.post("/api-keys/", {"name": "x"}).status_code == 403
    for client, key, status in ((vera, theos, 404), (theo, olivias, 404), (olivia, elsewhere, 404), (vera, veras, 302)):
        assert client.post(f"/api-keys/{key.row.public_id}/revoke/").status_code == status
    assert [ask("me", key.text).status_code for key in (theos, veras, olivias, elsewhere)] == [200, 401, 200, 200]
    olivia.post(f"/api-keys/{theos.row.public_id}/revoke/")
    assert ask("me", theos.text).status_code == 401

    def membership_of(who: User) -> Membership:
        with acting_for(cast.acme.pk):
            return Membership.objects.select_related("user").get(user=who)

    first = key_of(cast.acme, cast.theo).text
    change_role(membership_of(cast.olivia), membership_of(cast.theo), "ANALYST")
    change_role(membership_of(cast.olivia), membership_of(cast.theo), "TRADER")
    assert ask("me", first).status_code == 401, "what came back is the role, not the keys"
    second = key_of(cast.acme, cast.theo).text
    remove(membership_of(cast.olivia), membership_of(cast.theo))
    with acting_for(cast.acme.pk):
        Membership.objects.filter(user=cast.theo).update(is_active=True)
    assert ask("me", second).status_code == 401, "nor when somebody is invited again"
    assert [ask("me", key.text).status_code for key in (olivias, elsewhere)] == [200, 200]


@pytest.mark.postgresql
@pytest.mark.django_db
def test_under_the_role_of_the_web_a_key_opens_its_workspace_alone(cast: Cast) -> None:
    made = key_of(cast.acme, cast.theo)
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE signalist_web")
        assert ask("me", made.text).json()["workspace"]["name"] == "Acme"
        assert ask("accounts", made.text).status_code == 200
        with across_tenants("staff"):
            assert ApiKey.objects.count() == 0, "staff have no business with digests"
        cursor.execute("RESET ROLE")
