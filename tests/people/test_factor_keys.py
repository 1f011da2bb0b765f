"""The key under which second factors are sealed changes: nobody loses theirs, and the old key may go."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connection
from django.test import Client
from pytest_django import Settings

from tenants.rotation import rotate, standing
from tenants.second_factors import Factors
from tests.cast import PASSWORD, Cast
from tests.pages.acme import plain
from tests.people.proving import code, set_up_app

pytestmark = pytest.mark.django_db
LOG_IN = "/accounts/login/"
THEO = {"login": "theo@example.com", "password": PASSWORD}


def test_second_factors_move_to_a_new_key_and_the_old_one_may_go(
    client: Client, cast: Cast, settings: Settings
) -> None:
    client.force_login(cast.theo)
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    secret, _ = set_up_app(client)
    before, other = settings.SECRET_KEY, Client()
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [], "another key, long enough for anything that is signed"
    assert standing().factors == Factors(lost=2) and rotate().factors == 0
    other.post(LOG_IN, THEO)
    answer = other.post("/accounts/2fa/authenticate/", {"code": code(secret, 1)})
    assert answer.status_code == 503 and "Your code is not to blame" in plain(answer.content.decode())
    settings.SECRET_KEY_FALLBACKS = [before]
    assert standing().factors == Factors(older=2)
    with as_engine():
        assert (rotate().factors, rotate().factors) == (2, 0)
        assert standing().factors == Factors(present=2)
    settings.SECRET_KEY_FALLBACKS = []
    other = Client()
    other.post(LOG_IN, THEO)
    other.post("/accounts/2fa/authenticate/", {"code": code(secret, 1)})
    assert other.get("/security/").status_code == 200


@contextmanager
def as_engine() -> Iterator[None]:
    """Under the role that commands take on."""
    if connection.vendor != "postgresql":
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE signalist_engine")
        try:
            yield
        finally:
            cursor.execute("RESET ROLE")
