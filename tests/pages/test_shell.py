"""What every page shares: who may see it, its theme, its headers, and the pages for when something is wrong."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.test import Client
from pytest_django import Settings

from tenants.doors import across_tenants
from tenants.models import Membership, Role, User
from tests.cast import Cast, person, workspace
from tests.pages.counting import asks

pytestmark = pytest.mark.django_db


def test_the_profile_is_changed_by_its_owner(client: Client, cast: Cast) -> None:
    client.force_login(cast.vera)
    client.post("/profile/", {"full_name": "Vera Lind", "time_zone": "Asia/Kolkata"})
    vera = User.objects.get(pk=cast.vera.pk)
    assert (vera.full_name, vera.time_zone) == ("Vera Lind", "Asia/Kolkata")
    assert 'data-time-zone="Asia/Kolkata"' in client.get("/profile/").content.decode()


def test_the_chosen_time_zone_is_the_one_that_is_selected(client: Client, cast: Cast) -> None:
    client.force_login(cast.vera)
    client.post("/profile/", {"full_name": "Vera Lind", "time_zone": "America/New_York"})
    page = client.get("/profile/").content.decode()
    assert re.findall(r'<option value="([^"]*)" selected>([^<]*)<', page) == [("America/New_York", "America/New York")]
    assert re.search(r'<select [^>]*id="id_time_zone" name="time_zone"', page)


def test_an_unknown_time_zone_is_refused(client: Client, cast: Cast) -> None:
    client.force_login(cast.vera)
    answer = client.post("/profile/", {"full_name": "Vera", "time_zone": "Moon/Tycho"})
    assert "Select a valid choice" in answer.content.decode()
    assert User.objects.get(pk=cast.vera.pk).time_zone == "UTC"


def test_the_theme_is_written_into_the_page_by_the_server(client: Client, cast: Cast) -> None:
    client.post("/preferences/theme/", {"theme": "dark", "next": "/accounts/login/"})
    assert 'data-theme="dark"' in client.get("/accounts/login/").content.decode()
    client.force_login(cast.theo)
    client.post("/preferences/theme/", {"theme": "light", "next": "/profile/"})
    other_browser = Client()
    other_browser.force_login(cast.theo)
    assert 'data-theme="light"' in other_browser.get("/profile/").content.decode()


def test_both_themes_are_offered_and_the_style_sheet_shows_what_differs(client: Client) -> None:
    """Nobody but the browser knows what is seen by a reader who has chosen nothing."""
    form = (
        client.get("/marketplace/")
        .content.decode()
        .partition('action="/preferences/theme/"')[2]
        .partition("</form>")[0]
    )
    offered = re.findall(r'class="btn quiet (by-\w+)" name="theme" value="(\w+)"', form)
    assert offered == [("by-day", "dark"), ("by-night", "light")]


def test_the_theme_form_leads_nowhere_else(client: Client) -> None:
    answer = client.post("/preferences/theme/", {"theme": "dark", "next": "https://elsewhere.example/"})
    assert answer.headers["Location"] == "/"


def test_a_person_without_a_workspace_is_offered_one(client: Client) -> None:
    client.force_login(person("Nell"))
    assert client.get("/profile/").headers["Location"] == "/workspace/"
    client.post("/workspace/")
    assert client.get("/profile/").status_code == 200


def test_a_member_of_two_workspaces_is_in_the_one_of_the_session(client: Client, cast: Cast) -> None:
    second, _ = workspace("Second")
    with across_tenants("tests"):
        Membership.objects.create(tenant=second, user=cast.theo, role=Role.READONLY)
    client.force_login(cast.theo)
    assert "Acme" in client.get("/profile/").content.decode()
    session = client.session
    session["tenant"] = str(second.public_id)
    session.save()
    assert "Second" in client.get("/profile/").content.decode()
    session["tenant"] = str(cast.globex.public_id)  # not theirs
    session.save()
    assert "Globex" not in client.get("/profile/").content.decode()


def test_a_membership_that_ended_opens_nothing(client: Client, cast: Cast) -> None:
    client.force_login(cast.theo)
    with across_tenants("tests"):
        Membership.objects.filter(user=cast.theo).update(is_active=False)
    assert client.get("/profile/").headers["Location"] == "/workspace/"


def test_every_answer_carries_a_strict_policy(client: Client) -> None:
    headers = client.get("/accounts/login/").headers
    policy = headers["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert "style-src 'self';" in policy
    assert "unsafe" not in policy
    assert headers["X-Frame-Options"] == "DENY"
    assert "no-store" in headers["Cache-Control"]


def test_what_is_not_there_says_so_in_the_product_s_own_page(client: Client) -> None:
    answer = client.get("/no/such/page")
    assert answer.status_code == 404
    assert "There is nothing here" in answer.content.decode()


def test_a_page_that_breaks_says_that_trading_goes_on(
    client: Client, monkeypatch: pytest.MonkeyPatch, cast: Cast
) -> None:
    def broken(*args: object, **kwargs: object) -> None:
        raise RuntimeError("broken for the test")

    monkeypatch.setattr("tenants.pages.ProfileForm", broken)
    client.raise_request_exception = False
    client.force_login(cast.theo)
    answer = client.get("/profile/")
    assert answer.status_code == 500
    assert "the engine goes on" in answer.content.decode()
    assert "broken for the test" not in answer.content.decode()


def test_a_forged_form_is_refused_with_a_way_out(cast: Cast) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(cast.theo)
    answer = strict.post("/profile/", {"full_name": "Mallory", "time_zone": "UTC"})
    assert answer.status_code == 403
    assert "reload the page" in answer.content.decode()


def test_during_maintenance_every_page_says_so(client: Client, settings: Settings, tmp_path: Path) -> None:
    settings.MAINTENANCE_FILE = tmp_path / "maintenance"
    settings.MAINTENANCE_FILE.touch()
    answer = client.get("/accounts/login/")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "120")
    assert "Back in a few minutes" in answer.content.decode()


def test_the_shell_costs_three_queries(client: Client, cast: Cast) -> None:
    """Session, user, memberships with their workspaces."""
    client.force_login(cast.theo)
    client.get("/profile/")
    with asks(3):
        client.get("/profile/")
