"""Authenticator apps, recovery codes and passkeys: at log-in, and before what is critical."""

from __future__ import annotations

import pytest
from allauth.mfa.models import Authenticator
from django.core import mail
from django.test import Client

from tests.cast import PASSWORD, Cast
from tests.pages.acme import plain
from tests.people.proving import Device, code, set_up_app

pytestmark = pytest.mark.django_db
LOG_IN, CONFIRM = "/accounts/login/", "/accounts/reauthenticate/"
THEO = {"login": "theo@example.com", "password": PASSWORD}


@pytest.fixture
def theo(client: Client, cast: Cast) -> Client:
    """Theo, who has just given his password once more."""
    client.force_login(cast.theo)
    client.post(CONFIRM, {"password": PASSWORD})
    return client


def is_in(client: Client) -> bool:
    return client.get("/security/").status_code == 200


def test_setting_a_second_factor_up_wants_the_password_first(client: Client, cast: Cast) -> None:
    client.force_login(cast.theo)
    for address in ("totp/activate/", "webauthn/add/"):
        asked = client.get(f"/accounts/2fa/{address}")
        assert (asked.status_code, asked.headers["Location"].partition("?")[0]) == (302, CONFIRM)


def test_with_an_app_the_password_alone_opens_nothing_and_a_code_opens_once(theo: Client) -> None:
    secret, codes = set_up_app(theo)
    assert len(codes) == 10
    row = Authenticator.objects.get(type="totp")
    assert secret not in str(row.data) and not any(c in str(Authenticator.objects.values_list("data")) for c in codes)
    page = plain(theo.get("/security/").content.decode())
    assert "On since" in page and "10 left" in page and "A password alone opens" not in page

    def log_in(said: str) -> Client:
        other = Client()
        step = other.post(LOG_IN, THEO)
        assert step.headers["Location"] == "/accounts/2fa/authenticate/" and not is_in(other)
        other.post("/accounts/2fa/authenticate/", {"code": said})
        return other

    ahead = code(secret, 1)
    assert is_in(log_in(ahead))
    assert not is_in(log_in(ahead)), "a code that somebody looked over the shoulder"
    assert is_in(log_in(codes[0]))
    assert not is_in(log_in(codes[0])), "a recovery code that was used"
    assert not is_in(log_in("000000"))


def test_a_passkey_opens_without_a_password_and_is_removed(theo: Client, cast: Cast) -> None:
    device, add = Device(), "/accounts/2fa/webauthn/add/"
    form = {"name": "Laptop", "passwordless": "on", "credential": device.make(theo.get(add).content.decode())}
    assert theo.post(add, form).status_code == 302
    assert "Security Key Added" in mail.outbox[0].subject and "never ask for your password" in mail.outbox[0].body
    assert "Passkey “Laptop”" in plain(theo.get("/security/").content.decode())
    other = Client()
    options = other.get("/accounts/2fa/webauthn/login/", headers={"accept": "application/json"}).json()
    proof = device.use(options["request_options"])
    other.post("/accounts/2fa/webauthn/login/", {"credential": proof})
    assert is_in(other)
    again = Client()
    again.get("/accounts/2fa/webauthn/login/", headers={"accept": "application/json"})
    again.post("/accounts/2fa/webauthn/login/", {"credential": proof})
    assert not is_in(again), "an old proof for a new question"
    again.post(LOG_IN, THEO)
    page = again.get("/accounts/2fa/authenticate/").content.decode()
    again.post("/accounts/2fa/authenticate/", {"credential": device.use_on(page)})
    assert is_in(again)
    confirm = other.get("/accounts/2fa/webauthn/reauthenticate/").content.decode()
    other.post("/accounts/2fa/webauthn/reauthenticate/", {"credential": device.use_on(confirm)})
    key = Authenticator.objects.get(type="webauthn")
    other.post(f"/accounts/2fa/webauthn/keys/{key.pk}/remove/")
    assert not Authenticator.objects.filter(type="webauthn").exists()


def test_what_is_critical_wants_the_strongest_proof_that_the_person_has(theo: Client, cast: Cast) -> None:
    """The kill switch is released; until Theo has an app, the password does."""
    there = f"/stop/tenant/{cast.acme.public_id}/"
    theo.post(there, {"state": "HALTED", "reason": "a drill"})
    assert theo.post(there, {"state": "ACTIVE", "reason": "over"}).headers["Location"] == "/stop/"
    secret, _ = set_up_app(theo)
    theo.post(there, {"state": "HALTED", "reason": "a drill"})
    asked = theo.post(there, {"state": "ACTIVE", "reason": "over"})
    assert asked.headers["Location"].startswith("/accounts/2fa/reauthenticate/?next=")
    assert theo.get(CONFIRM).headers["Location"].startswith("/accounts/2fa/reauthenticate/")
    back = theo.post(asked.headers["Location"], {"code": code(secret, 1)})
    assert back.headers["Location"].startswith("/stop/")
    assert theo.post(there, {"state": "ACTIVE", "reason": "over"}).headers["Location"] == "/stop/"


def test_who_has_only_another_provider_logs_in_there_again(client: Client, cast: Cast) -> None:
    cast.theo.set_unusable_password()
    cast.theo.save()
    client.force_login(cast.theo)
    there = f"/stop/tenant/{cast.acme.public_id}/"
    client.post(there, {"state": "HALTED", "reason": "a drill"})
    assert client.post(there, {"state": "ACTIVE", "reason": "x"}).headers["Location"].startswith("/security/confirm/")
    assert client.get("/accounts/2fa/totp/activate/").headers["Location"].startswith("/security/confirm/")
    assert "log in again where you come from" in plain(client.get("/security/confirm/").content.decode())
