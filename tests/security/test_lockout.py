"""Whoever guesses at an account keeps its owner neither from logging in nor from hearing of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django_q.models import OrmQ
from pytest_django import Settings

from signalist.security.models import Ban, Incident
from tests.cast import PASSWORD, Cast

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def limited(settings: Settings) -> Iterator[None]:
    settings.RATE_LIMITED = True
    cache.clear()
    yield
    cache.clear()


def _log_in(client: Client, who: str, password: str) -> Any:
    return client.post("/accounts/login/", {"login": f"{who}@example.com", "password": password})


def test_the_owner_comes_in_from_a_known_browser_while_others_guess(cast: Cast, settings: Settings) -> None:
    home, gus = Client(REMOTE_ADDR="203.0.113.9"), Client(REMOTE_ADDR="203.0.113.10")
    for client, who in ((home, "theo"), (gus, "gus")):
        assert _log_in(client, who, PASSWORD).status_code == 302
        client.post("/accounts/logout/")
    for n in range(6):
        guesses = Client(REMOTE_ADDR=f"198.51.{n}.7")
        assert _log_in(guesses, "theo", f"guess {n}").status_code == 200
    assert "too many" in _log_in(Client(REMOTE_ADDR="192.0.2.1"), "theo", PASSWORD).content.decode().lower()
    assert "too many" in _log_in(gus, "theo", PASSWORD).content.decode().lower(), "known to another account"
    assert _log_in(home, "theo", PASSWORD).status_code == 302
    # Who has the browser guesses no more often than anybody.
    home.post("/accounts/logout/")
    settings.RATE_LIMITS = settings.RATE_LIMITS | {"authentication": "100/900"}
    answers = [_log_in(home, "theo", f"guess {n}").content.decode().lower() for n in range(6)]
    assert ["too many" in answer for answer in answers] == [False] * 5 + [True]
    # Ten failures in a day, from seven addresses, none of which is banned: Theo is told, once.
    assert (Incident.objects.get().user, Incident.objects.get().kind) == (cast.theo, "PASSWORD_GUESSING")
    assert OrmQ.objects.count() == 1 and not Ban.objects.exists()
