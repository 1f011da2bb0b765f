"""Somebody guesses passwords, and at last gets in, while Acme's positions are open and the real engine works: guessing is slowed down and
what it may lead to is held back; nothing keeps Theo, or the engine, from getting out and from protecting what is open."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django_q.models import OrmQ
from pytest_django import Settings

from signalist.audit.models import Entry
from signalist.risk.models import TenantSwitch
from signalist.security import notices
from signalist.security.middleware import ENTRIES
from signalist.security.models import Ban, Incident, SecurityEvent
from signalist.trading.models import Instruction, Trade
from tests.cast import PASSWORD, Cast
from tests.flows.scene import LONG, entry
from tests.pages.acme import Acme, acme_trades
from tests.security.mail_server import mail_server

BUY = entry(LONG, "39600", "40800")
HOME = {"REMOTE_ADDR": "198.51.100.7", "HTTP_USER_AGENT": "Mozilla/5.0 (X11; Linux) Firefox/140.0"}
GUESSER = {"REMOTE_ADDR": "203.0.113.66", "HTTP_USER_AGENT": "guesser/1"}
TAKER = {"REMOTE_ADDR": "192.0.2.99", "HTTP_USER_AGENT": "Mozilla/5.0 (Windows) Chrome/150.0"}


@pytest.fixture
def acme(transactional_db: None, cast: Cast, monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Iterator[Acme]:
    settings.RATE_LIMITED = True
    cache.clear()  # no table of a model, so it is not emptied between tests that commit
    with acme_trades(cast, monkeypatch) as world:
        yield world
    cache.clear()


def _log_in(client: Client, who: str, password: str) -> Any:
    return client.post("/accounts/login/", {"login": f"{who}@example.com", "password": password})


def test_guessing_is_slowed_down_while_positions_stay_protected(acme: Acme, settings: Settings) -> None:
    theo = Client(**HOME)
    assert _log_in(theo, "theo", PASSWORD).status_code == 302
    desk = acme.follower()
    acme.scene.signal(BUY)
    held = acme.scene.position(desk)

    guesser = Client(**GUESSER)
    answers = [_log_in(guesser, who, f"guess {n}").status_code for n in range(7) for who in ("theo", "olivia", "vera")]
    assert 429 in answers
    ban = Ban.objects.get()
    assert ban.address == GUESSER["REMOTE_ADDR"]
    assert SecurityEvent.objects.filter(status="FAILURE").count() == 10
    turned_away = _log_in(guesser, "vera", PASSWORD)
    assert turned_away.status_code == 429
    assert 0 < int(turned_away.headers["Retry-After"]) <= 3600
    assert "Try again at" in turned_away.content.decode()
    assert Incident.objects.get().kind == "BRUTE_FORCE"

    # Meanwhile the market falls to the stop, and the engine gets Theo out.
    acme.scene.price("39500")
    acme.scene.settle()
    assert Trade.objects.get(position=held).exit_type == "STOP_LOSS"

    # Theo, who is logged in, has used up what a person may ask in a minute; he closes the next position all the same.
    acme.scene.minute()
    acme.scene.signal(entry(LONG, "39000", "42000"))
    again = acme.scene.position(desk)
    settings.RATE_LIMITS = settings.RATE_LIMITS | {"user": "1/86400"}
    assert [theo.get("/profile/").status_code for _ in range(2)][-1] == 429
    key = re.search(r'name="key" value="([^"]+)"', theo.get(f"/positions/{again.pk}/").content.decode())
    assert key
    assert theo.post(f"/positions/{again.pk}/close/", {"key": key[1]}).status_code == 302
    acme.scene.settle()
    assert Trade.objects.get(position=again).exit_type == "MANUAL"


def test_who_gets_in_after_guessing_opens_nothing_and_closes_what_there_is(acme: Acme, settings: Settings) -> None:
    theo, taker = Client(**HOME), Client(**TAKER)
    _log_in(theo, "theo", PASSWORD)
    desk = acme.follower()
    for n in range(3):
        _log_in(taker, "theo", f"guess {n}")
    assert _log_in(taker, "theo", PASSWORD).status_code == 302
    incident = Incident.objects.get()
    assert (incident.severity, incident.response, incident.user) == ("HIGH", "TRADING_DISABLED", acme.cast.theo)
    event = SecurityEvent.objects.get(status="SUCCESS", address=TAKER["REMOTE_ADDR"])
    assert event.risk_score == 100

    held_back = taker.post("/orders/new/", {})
    assert held_back.status_code == 403
    assert "New entries are held back" in held_back.content.decode()
    # The strategy's entry comes all the same, and either of them may close it.
    acme.scene.signal(BUY)
    position = acme.scene.position(desk)
    key = re.search(r'name="key" value="([^"]+)"', taker.get(f"/positions/{position.pk}/").content.decode())
    assert key
    taker.post(f"/positions/{position.pk}/close/", {"key": key[1]})
    acme.scene.settle()
    assert Trade.objects.get(position=position).exit_type == "MANUAL"
    assert not Instruction.objects.exclude(kind="CLOSE").exists()

    # Nor does he follow another version or release what is stopped, even with the password; staying and stopping go on.
    taker.post("/accounts/reauthenticate/", {"password": PASSWORD})
    version = f"/subscriptions/{desk.public_id}/version/"
    assert taker.post(version, {"answer": "move", "number": "2"}).status_code == 403
    assert taker.post(version, {"answer": "stay", "number": "2"}).status_code == 302
    switch = f"/stop/tenant/{acme.cast.acme.public_id}/"
    for state, status in (("HALTED", 302), ("REDUCING", 403), ("ACTIVE", 403)):
        assert taker.post(switch, {"state": state, "reason": "why"}).status_code == status
    assert TenantSwitch.objects.get().state == "HALTED"

    # Theo reads of it in his mail, which a real server took, and says that it was he.
    assert OrmQ.objects.get().task["ack_failure"] is False, "where no server takes it, it is tried again"
    settings.EMAIL_BACKEND, settings.EMAIL_HOST = "django.core.mail.backends.smtp.EmailBackend", "127.0.0.1"
    with mail_server() as (port, mails):
        settings.EMAIL_PORT = port
        assert notices.send(incident.pk) == "told"
        assert notices.send(incident.pk) == "told already"
    (mail,) = mails
    assert mail["To"] == "theo@example.com"
    words = mail.get_content()
    assert "192.0.2.99" in words and "Chrome on Windows" in words
    link = re.search(r"http://[^/]+(/security/incidents/\S+)", words)
    assert link
    reader = Client(**HOME)
    assert "It was me" in reader.get(link[1]).content.decode()
    assert Incident.objects.filter(resolved_at=None).exists()  # a mail program that follows links ends nothing
    assert reader.post(link[1]).status_code == 302
    assert taker.post("/orders/new/", {}).status_code == 200
    assert reader.get("/security/incidents/forged/").status_code == 410
    actions = list(Entry.objects.order_by("pk").values_list("action", flat=True))
    assert actions.count("login.failed") == 3
    assert actions.count("login.done") == 2
    assert {"incident.opened", "incident.resolved", "command.close"} <= set(actions)


def test_an_unusual_log_in_asks_for_the_password_before_new_entries(acme: Acme) -> None:
    theo, elsewhere = Client(**HOME), Client(**TAKER)
    _log_in(theo, "theo", PASSWORD)
    _log_in(elsewhere, "theo", PASSWORD)
    assert Incident.objects.get().response == "MFA_REQUIRED"
    asked = elsewhere.post("/orders/new/", {})
    assert (asked.status_code, "reauthenticate" in asked.headers["Location"]) == (302, True)
    assert "A log-in of yours was unusual" in elsewhere.get("/security/log-ins/").content.decode()
    # From the proof one comes back to a page that is there, with the form that was pressed.
    desk = acme.follower()
    for view in ENTRIES:
        kind = {"subscribe": {"slug": desk.strategy.slug}, "ticket": {}}.get(view, {"public_id": desk.public_id})
        if view != "order_modify":
            asked = elsewhere.post(reverse(view, kwargs=kind), {"answer": "move"})
            back = parse_qs(urlsplit(asked.headers["Location"]).query)["next"][0]
            assert elsewhere.get(back).status_code in (200, 302), view
    elsewhere.post("/accounts/reauthenticate/", {"password": PASSWORD})
    assert Incident.objects.filter(resolved_at=None).count() == 0
    assert elsewhere.post("/orders/new/", {}).status_code == 200
    # Of the browser that is known by now nothing is unusual any more.
    elsewhere.post("/accounts/logout/")
    _log_in(elsewhere, "theo", PASSWORD)
    assert Incident.objects.count() == 1
