"""Many guess a little each at one account: they get nowhere, and its person still gets in."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django_q.models import OrmQ
from pytest_django import Settings

from signalist.security.models import Incident
from tests.cast import PASSWORD, Cast

pytestmark = pytest.mark.django_db
LOG_IN = "/accounts/login/"


def log_in(client: Client, password: str, who: str = "theo") -> Any:
    return client.post(LOG_IN, {"login": f"{who}@example.com", "password": password})


def test_a_browser_used_before_lets_its_person_in_while_others_guess(cast: Cast, settings: Settings) -> None:
    settings.RATE_LIMITED = True
    cache.clear()
    home, gus = Client(REMOTE_ADDR="203.0.113.9"), Client(REMOTE_ADDR="198.51.100.9")
    assert (log_in(home, PASSWORD).status_code, log_in(gus, PASSWORD, "gus").status_code) == (302, 302)
    home.post("/accounts/logout/")
    gus.post("/accounts/logout/")
    for n in range(7):
        log_in(Client(REMOTE_ADDR=f"198.51.{n}.7"), f"guess {n}")
    assert log_in(Client(REMOTE_ADDR="192.0.2.1"), PASSWORD).status_code == 200, "from elsewhere not even the right one"
    assert log_in(gus, PASSWORD).status_code == 200, "a browser that is known of another account"
    assert log_in(home, PASSWORD).status_code == 302
    incident = Incident.objects.get()
    assert (incident.kind, incident.user, incident.response) == ("PASSWORD_GUESSING", cast.theo, "")
    assert OrmQ.objects.count() == 1, "its person is told, once"
    home.post("/accounts/logout/")
    for n in range(6):
        home.defaults["REMOTE_ADDR"] = f"192.0.2.{n + 10}"
        last = log_in(home, f"guess {n}" if n < 5 else PASSWORD)
    assert last.status_code == 200, "nor does that browser guess for ever"
    cache.clear()
