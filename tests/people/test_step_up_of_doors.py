"""What opens an account, its addresses, providers and password, is changed with a proof of who it is, not with a session alone."""

from __future__ import annotations

import pytest
from allauth.account.models import EmailAddress
from django.test import Client

from tests.cast import PASSWORD, Cast

pytestmark = pytest.mark.django_db
CONFIRM, EMAIL = "/accounts/reauthenticate/", "/accounts/email/"
NEW = "a password that somebody else chose"


def asks(client: Client, page: str, form: dict[str, str], where: str = CONFIRM) -> bool:
    """Whether this form leads to the page that asks for a proof."""
    return client.post(page, form).headers["Location"].startswith(where)


def addresses() -> set[tuple[str, bool]]:
    return set(EmailAddress.objects.values_list("email", "primary"))


def test_addresses_are_changed_after_a_proof_only(client: Client, cast: Cast) -> None:
    EmailAddress.objects.create(user=cast.theo, email=cast.theo.email, verified=True, primary=True)
    EmailAddress.objects.create(user=cast.theo, email="second@example.com", verified=True)
    client.force_login(cast.theo)
    before = addresses()
    add = {"email": "mallory@evil.example", "action_add": ""}
    prefer = {"email": "second@example.com", "action_primary": ""}
    for form in (add, prefer, {"email": "second@example.com", "action_remove": ""}):
        assert asks(client, EMAIL, form), form
    assert addresses() == before
    client.post(CONFIRM, {"password": PASSWORD})
    client.post(EMAIL, add)
    client.post(EMAIL, prefer)
    assert addresses() == {("theo@example.com", False), ("second@example.com", True), ("mallory@evil.example", False)}


def test_who_came_by_a_provider_gives_themselves_a_password_after_logging_in_there_again(
    client: Client, cast: Cast
) -> None:
    cast.theo.set_unusable_password()
    cast.theo.save()
    client.force_login(cast.theo)
    form = {"password1": NEW, "password2": NEW}
    assert asks(client, "/accounts/password/set/", form, "/security/confirm/")
    cast.theo.refresh_from_db()
    assert not cast.theo.has_usable_password()
    assert Client().post("/accounts/password/set/", form).headers["Location"].startswith("/accounts/login/")
