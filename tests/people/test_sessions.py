"""Where somebody is logged in: listed, ended, not too many, not for ever."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from signalist.clock import utc_now
from signalist.events.models import Event
from tenants.belonging import LoginSession
from tenants.doors import across_tenants
from tenants.models import User
from tenants.security.devices import device
from tests.cast import PASSWORD, Cast
from tests.pages.acme import plain
from tests.pages.counting import asks

pytestmark = pytest.mark.django_db
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 Version/19.0 Mobile Safari/604.1"
LAPTOP = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0 Safari/537.36"


def logged_in(agent: str = LAPTOP, address: str = "203.0.113.7") -> Client:
    client = Client(headers={"user-agent": agent}, REMOTE_ADDR=address)
    assert client.post("/accounts/login/", {"login": "theo@example.com", "password": PASSWORD}).status_code == 302
    return client


def is_in(client: Client) -> bool:
    return client.get("/security/").status_code == 200


def farewells() -> int:
    with across_tenants("tests"):
        return Event.objects.filter(kind="session_ended").count()


def test_log_ins_are_listed_and_one_or_all_others_are_ended_and_their_sockets_with_them(cast: Cast) -> None:
    here, phone, third = logged_in(), logged_in(PHONE, "198.51.100.4"), logged_in()
    page = plain(here.get("/security/").content.decode())
    assert "Chrome on Linux this one 203.0.113.7" in page and "Safari on iPhone 198.51.100.4" in page
    row = LoginSession.objects.get(agent=PHONE)
    assert row.session_key not in here.get("/security/").content.decode()
    gus = Client()
    gus.force_login(cast.gus)
    gus.post("/security/sessions/end/", {"session": row.digest})
    assert is_in(phone), "another's log-in is nobody's to end"
    here.post("/security/sessions/end/", {"session": row.digest})
    assert (is_in(phone), is_in(third), farewells()) == (False, True, 1)
    here.post("/security/sessions/end/")
    assert (is_in(here), is_in(third), farewells()) == (True, False, 2)
    here.post("/accounts/logout/")
    assert not LoginSession.objects.filter(user=cast.theo).exists()


def test_of_too_many_the_one_seen_longest_ago_makes_room(cast: Cast, settings: Settings) -> None:
    settings.MAX_SESSIONS = 2
    clients = [logged_in() for _ in range(3)]
    assert [is_in(client) for client in clients] == [False, True, True]


def test_a_new_password_ends_all_other_log_ins_and_keeps_this_one(cast: Cast) -> None:
    here, other = logged_in(), logged_in(PHONE)
    new = "correct horse battery staple"
    here.post("/accounts/password/change/", {"oldpassword": PASSWORD, "password1": new, "password2": new})
    assert User.objects.get(pk=cast.theo.pk).check_password(new)
    assert (is_in(here), is_in(other), farewells()) == (True, False, 1)
    assert "this one" in here.get("/security/").content.decode()


def test_a_log_in_that_nobody_uses_ends_and_says_so(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    client = logged_in()
    later = _later(monkeypatch, hours=11.9)
    assert is_in(client) and LoginSession.objects.get().seen_at == later
    _later(monkeypatch, hours=24)
    answer = client.get("/positions/", follow=True)
    assert answer.redirect_chain[0][0] == "/accounts/login/?next=/positions/"
    assert "nobody had used this page" in answer.content.decode()
    assert farewells() == 1


def test_noting_it_costs_nothing_within_the_minute(cast: Cast) -> None:
    client = logged_in()
    client.get("/profile/")
    with asks(3):
        client.get("/profile/")


@pytest.mark.parametrize(
    ("agent", "words"),
    [(PHONE, "Safari on iPhone"), (LAPTOP, "Chrome on Linux"), ("curl/8.5", "curl"), ("", "Unknown device")],
)
def test_a_device_is_called_by_names_that_people_know(agent: str, words: str) -> None:
    assert device(agent) == words


def _later(monkeypatch: pytest.MonkeyPatch, hours: float) -> Any:
    moment = utc_now() + timedelta(hours=hours)
    for module in ("endings", "sessions"):
        monkeypatch.setattr(f"tenants.security.{module}.utc_now", lambda: moment)
    return moment
