"""Sign-up, log-in, log-out, password reset: through the product's own pages."""

from __future__ import annotations

import re
from decimal import Decimal
from itertools import count

import pytest
from django.core import mail
from django.test import Client
from pytest_django import Settings

from signalist.accounts.models import Account
from tenants.doors import across_tenants
from tenants.models import Membership, User
from tests.cast import PASSWORD, Cast

pytestmark = pytest.mark.django_db

LONG_PASSWORD = "correct horse battery staple"


def _sign_up(client: Client, email: str = "nell@example.com") -> None:
    answer = client.post("/accounts/signup/", {"email": email, "password1": LONG_PASSWORD})
    assert answer.status_code == 302, answer.content.decode()


def test_a_newcomer_gets_a_workspace_and_a_funded_paper_account(client: Client) -> None:
    _sign_up(client)
    user = User.objects.get(email="nell@example.com")
    with across_tenants("tests"):
        membership = Membership.objects.select_related("tenant").get(user=user)
        account = Account.objects.get(tenant_id=membership.tenant_id)
    assert (membership.role, membership.tenant.name) == ("ADMIN", "nell's workspace")
    assert (account.venue, account.currency, account.deposit) == ("paper", "USD", Decimal(100_000))
    assert not user.trading_enabled  # that is for real money


def test_two_newcomers_get_a_workspace_each(client: Client) -> None:
    _sign_up(client)
    _sign_up(Client(), "nora@example.com")
    with across_tenants("tests"):
        assert Membership.objects.values("tenant").distinct().count() == 2


def test_log_in_goes_on_to_the_page_that_was_asked_for(client: Client, cast: Cast) -> None:
    asked = client.get("/profile/")
    assert asked.status_code == 302
    assert asked.headers["Location"] == "/accounts/login/?next=/profile/"
    answer = client.post(
        "/accounts/login/?next=/profile/", {"login": "theo@example.com", "password": PASSWORD}, follow=True
    )
    assert answer.redirect_chain[-1][0] == "/profile/"
    assert "theo@example.com" in answer.content.decode()


def test_the_case_of_an_address_does_not_matter(client: Client, cast: Cast) -> None:
    answer = client.post("/accounts/login/", {"login": "THEO@example.com", "password": PASSWORD})
    assert answer.status_code == 302


def test_a_wrong_password_is_said_without_telling_whether_the_address_exists(client: Client, cast: Cast) -> None:
    answers = [
        client.post("/accounts/login/", {"login": login, "password": "not this one"}).content.decode()
        for login in ("theo@example.com", "nobody@example.com")
    ]
    said = [re.findall(r'role="alert"><div><p>([^<]+)', answer) for answer in answers]
    assert said[0] == said[1] != []


def test_after_too_many_tries_even_the_right_password_waits(client: Client, cast: Cast) -> None:
    for _ in range(6):
        client.post("/accounts/login/", {"login": "theo@example.com", "password": "not this one"})
    answer = client.post("/accounts/login/", {"login": "theo@example.com", "password": PASSWORD})
    assert answer.status_code != 302
    assert not client.session.get("_auth_user_id")


def test_behind_a_proxy_visitors_are_told_apart_by_the_address_that_it_adds(
    cast: Cast, settings: Settings, client: Client
) -> None:
    """What a visitor claims to be stands before that, and is not looked at."""
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1

    def tries(visitor: str) -> int:
        form = {"login": f"nobody-{next(numbers)}@example.com", "password": "not this one"}
        claimed = f"198.51.100.{next(numbers) % 250}, {visitor}"
        return client.post("/accounts/login/", form, headers={"x-forwarded-for": claimed}).status_code

    numbers = count()
    answers = [tries("203.0.113.7") for _ in range(40)]
    assert (answers[0], answers[-1]) == (200, 429)
    assert tries("203.0.113.8") == 200


def test_logging_out_takes_a_click_and_ends_the_session(client: Client, cast: Cast) -> None:
    client.force_login(cast.theo)
    assert client.get("/accounts/logout/").status_code == 200
    assert client.get("/profile/").status_code == 200
    client.post("/accounts/logout/")
    assert client.get("/profile/").status_code == 302


def test_a_forgotten_password_is_replaced_by_a_link_that_works_once(client: Client, cast: Cast) -> None:
    assert client.post("/accounts/password/reset/", {"email": "theo@example.com"}).status_code == 302
    link = re.search(r"http://testserver(/accounts/password/reset/key/\S+)", mail.outbox[0].body)
    assert link is not None
    form = client.get(link[1], follow=True)
    where = form.redirect_chain[-1][0]
    client.post(where, {"password1": LONG_PASSWORD, "password2": LONG_PASSWORD})
    assert (
        Client().post("/accounts/login/", {"login": "theo@example.com", "password": LONG_PASSWORD}).status_code == 302
    )
    assert "no longer works" in Client().get(link[1], follow=True).content.decode()


def test_an_unknown_address_gets_the_same_answer_and_learns_nothing(client: Client, cast: Cast) -> None:
    known = client.post("/accounts/password/reset/", {"email": "theo@example.com"}, follow=True)
    unknown = client.post("/accounts/password/reset/", {"email": "nobody@example.com"}, follow=True)
    assert known.redirect_chain == unknown.redirect_chain


def test_a_weak_password_is_refused_beside_its_field(client: Client) -> None:
    answer = client.post("/accounts/signup/", {"email": "nell@example.com", "password1": "short"})
    assert "This password is too short" in answer.content.decode()
    assert 'aria-invalid="true"' in answer.content.decode()
    assert not User.objects.filter(email="nell@example.com").exists()


@pytest.mark.parametrize("address", ["login", "signup", "password/reset", "password/reset/done"])
def test_every_door_has_one_heading_and_no_inline_style_or_script(client: Client, address: str) -> None:
    page = client.get(f"/accounts/{address}/").content.decode()
    assert page.count("<h1") == 1
    assert " style=" not in page
    assert not re.search(r"<script(?![^>]*\bsrc=)", page)
