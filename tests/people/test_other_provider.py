"""Log-in by another provider: a real OpenID provider on loopback, the whole way there and back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.test import Client
from pytest_django import Settings

from signalist.api.actions import make
from signalist.api.models import ApiKey
from signalist.api.scopes import SCOPES
from signalist.clock import utc_now
from tenants.belonging import Invitation
from tenants.doors import across_tenants, acting_for
from tenants.models import Membership, User
from tests.cast import PASSWORD, Cast
from tests.pages.acme import plain
from tests.people.provider import Provider, provider_at_work, used

pytestmark = [pytest.mark.django_db, pytest.mark.filterwarnings("ignore::DeprecationWarning:authlib")]

PEOPLE = {
    "u-nell": {"email": "nell@example.com", "email_verified": True, "name": "Nell Dean"},
    "u-theo": {"email": "Theo@example.com", "email_verified": True},
    "u-mallory": {"email": "theo@example.com", "email_verified": False},
    "u-nobody": {"name": "No Address"},
}


def program(key: str) -> int:
    return Client().get("/api/v1/me", headers={"Authorization": f"Bearer {key}"}).status_code


@pytest.fixture(scope="module")
def running() -> Iterator[Provider]:
    with provider_at_work(**PEOPLE) as at_work:
        yield at_work


@pytest.fixture
def provider(running: Provider) -> Iterator[Provider]:
    with used(running):
        yield running


def test_a_newcomer_gets_a_workspace_and_comes_back_to_it(client: Client, provider: Provider) -> None:
    page = client.get("/accounts/login/")
    assert "Continue with Acme ID" in plain(page.content.decode())
    assert f"form-action 'self' {provider.address};" in page.headers["Content-Security-Policy"]
    assert provider.log_in(client, "u-nell").headers["Location"] == "/dashboard/"
    user = User.objects.get(email="nell@example.com")
    assert (user.full_name, user.has_usable_password()) == ("Nell Dean", False)
    assert EmailAddress.objects.get(user=user).verified
    with across_tenants("tests"):
        assert Membership.objects.get(user=user).role == "ADMIN"
    again = Client()
    assert provider.log_in(again, "u-nell", after="/profile/").headers["Location"] == "/profile/"
    assert "Nell Dean" in again.get("/profile/").content.decode()
    assert User.objects.count() == 1


def test_the_owner_of_an_address_that_nobody_proved_comes_in_and_all_that_others_have_left_ends(
    client: Client, cast: Cast, provider: Provider
) -> None:
    """Somebody may have signed up with another's address, and left ways in for the day on which its owner comes."""
    squatter = Client()
    squatter.force_login(cast.theo)
    with acting_for(cast.acme.pk):
        key = make(cast.acme.pk, cast.theo, "bot", SCOPES.keys()).text
        ways = {"email": "guest@example.com", "workspace": "Acme", "expires_at": utc_now() + timedelta(days=7)}
        Invitation.objects.create(tenant=cast.acme, invited_by=cast.theo, role="TRADER", token_hash="x" * 64, **ways)
    EmailAddress.objects.create(user=cast.theo, email=cast.theo.email, verified=False, primary=True)
    EmailAddress.objects.create(user=cast.theo, email="mallory@evil.example", verified=True)
    SocialAccount.objects.create(user=cast.theo, provider="google", uid="u-squatter")
    Authenticator.objects.create(user=cast.theo, type="webauthn", data={})
    assert squatter.get("/profile/").status_code == 200 and program(key) == 200
    assert provider.log_in(client, "u-theo").headers["Location"] == "/dashboard/"
    assert str(cast.theo.pk) == client.session["_auth_user_id"]
    assert (squatter.get("/profile/").status_code, program(key)) == (302, 401)
    assert not User.objects.get(pk=cast.theo.pk).has_usable_password()
    assert list(EmailAddress.objects.values_list("email", "verified", "primary")) == [("theo@example.com", True, True)]
    assert list(SocialAccount.objects.values_list("uid")) == [("u-theo",)] and not Authenticator.objects.exists()
    with acting_for(cast.acme.pk):
        assert Invitation.objects.get().withdrawn_at and ApiKey.objects.get().revoked_at


def test_an_address_that_somebody_only_names_beside_their_own_is_its_owners_alone(
    client: Client, cast: Cast, provider: Provider
) -> None:
    EmailAddress.objects.create(user=cast.theo, email="nell@example.com", verified=False)
    provider.log_in(client, "u-nell")
    assert client.session["_auth_user_id"] != str(cast.theo.pk)
    assert EmailAddress.objects.get().user.email == "nell@example.com"


def test_before_an_address_is_confirmed_nobody_makes_keys_invites_or_connects(
    client: Client, cast: Cast, settings: Settings
) -> None:
    settings.LOOPBACK_URL = "http://127.0.0.1:1"
    EmailAddress.objects.create(user=cast.olivia, email=cast.olivia.email, verified=False, primary=True)
    client.force_login(cast.olivia)
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    forms = {
        "/api-keys/": {"name": "x", "scopes": ["orders:read"], "hourly_limit": 10, "ends": ""},
        "/workspace/invite/": {"email": "friend@example.com", "role": "TRADER"},
        "/connections/new/loopback/": {"label": "main", "api_key": "a", "api_secret": "b"},
    }
    for page, form in forms.items():
        assert "Confirm your e-mail address first" in plain(client.post(page, form, follow=True).content.decode()), page


def test_a_verified_address_on_both_sides_keeps_the_password(client: Client, cast: Cast, provider: Provider) -> None:
    EmailAddress.objects.create(user=cast.theo, email=cast.theo.email, verified=True, primary=True)
    provider.log_in(client, "u-theo")
    assert User.objects.get(pk=cast.theo.pk).check_password(PASSWORD)


@pytest.mark.parametrize(
    ("sub", "said"), [("u-mallory", "This address is known here already"), ("u-nobody", "did not tell your address")]
)
def test_an_address_that_is_not_verified_or_not_told_opens_nothing(
    client: Client, cast: Cast, provider: Provider, sub: str, said: str
) -> None:
    answer = provider.log_in(client, sub)
    assert answer.status_code == 409 and said in plain(answer.content.decode())
    assert not client.session.get("_auth_user_id")
    assert User.objects.count() == 4


def test_who_is_logged_in_may_connect_a_provider_and_then_enters_by_it(
    client: Client, cast: Cast, provider: Provider
) -> None:
    client.force_login(cast.theo)
    asked = provider.log_in(client, "u-mallory", process="connect")
    assert asked.headers["Location"] == "/accounts/reauthenticate/"
    assert not SocialAccount.objects.exists(), "a session alone connects nothing"
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    assert "theo@example.com" in plain(client.get("/accounts/3rdparty/").content.decode())
    other = Client()
    assert provider.log_in(other, "u-mallory").headers["Location"] == "/dashboard/"
    assert other.session["_auth_user_id"] == str(cast.theo.pk)
    form = {"account": str(SocialAccount.objects.get().pk)}
    assert other.post("/accounts/3rdparty/", form).headers["Location"].startswith("/accounts/reauthenticate/")
    assert SocialAccount.objects.exists()
    client.post("/accounts/3rdparty/", form)
    assert not SocialAccount.objects.exists()


def test_declining_and_forging_end_on_pages_that_say_what_to_do(client: Client, provider: Provider) -> None:
    declined = provider.log_in(client, "")
    assert "You have stopped the log-in" in plain(client.get(declined.headers["Location"]).content.decode())
    forged = client.get("/accounts/google/login/callback/?code=mine&state=never-given")
    assert "The other log-in did not work" in plain(forged.content.decode())
    assert not client.session.get("_auth_user_id")


def test_without_a_client_id_there_is_no_button_and_no_door(client: Client) -> None:
    page = client.get("/accounts/login/")
    assert "Continue with" not in page.content.decode()
    assert "form-action 'self';" in page.headers["Content-Security-Policy"]
    assert client.get("/accounts/google/login/").status_code == 404
