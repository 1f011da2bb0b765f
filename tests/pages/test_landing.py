"""The landing page: open to everybody, with an example that the real rules decided and counts that are true."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client

from signalist.dashboard import installation
from signalist.dashboard.example import FOLLOWERS, LEVELS, PRICE, example
from tenants.doors import across_tenants
from tests.cast import Cast
from tests.pages import ledger
from tests.pages.counting import asks
from tests.pages.ledger import NOON

pytestmark = pytest.mark.django_db


def test_everybody_may_read_it(client: Client) -> None:
    answer = client.get("/")
    page = answer.content.decode()
    assert answer.status_code == 200
    assert page.count("<h1") == 1
    assert 'href="/accounts/signup/"' in page
    assert " style=" not in page
    assert not re.search(r"<script(?![^>]*\bsrc=)", page)


def test_a_member_is_led_to_the_dashboard_instead_of_the_sign_up(client: Client, cast: Cast) -> None:
    client.force_login(cast.theo)
    page = client.get("/").content.decode()
    assert 'href="/dashboard/"' in page
    assert "/accounts/signup/" not in page


def test_the_example_shows_what_a_limit_does_with_numbers_that_agree() -> None:
    taken, resized, denied = example().answers
    assert [answer.status for answer in (taken, resized, denied)] == ["TAKEN", "RESIZED", "DENIED"]
    harbour, nell, night = FOLLOWERS
    assert LEVELS.stop is not None
    lot = example().market.lot
    assert taken.given == taken.wanted == (harbour.capital * harbour.risk / (PRICE - LEVELS.stop)) // lot * lot
    assert nell.limits.position_fraction is not None
    assert resized.given == (nell.capital * nell.limits.position_fraction / PRICE) // lot * lot
    assert resized.given < (resized.wanted or 0)
    assert resized.loss_at_stop == resized.given * (PRICE - LEVELS.stop)
    assert night.lost_today > night.capital * (night.limits.daily_loss_fraction or 0)
    assert (denied.given, denied.loss_at_stop) == (0, None)


def test_the_example_is_called_one(client: Client) -> None:
    page = client.get("/").content.decode()
    record = page.split('id="h-record"')[1].split("</section>")[0]
    assert ">Example<" in record
    assert "Invented accounts" in record
    assert "Daily loss limit: used 2.17% of 2.00%" in record


def test_the_counts_are_those_of_this_installation(client: Client, cast: Cast) -> None:
    ledger.engine()
    first, second = ledger.schedule(ledger.instrument()), ledger.schedule(ledger.instrument("IDLE/USD"))
    second.is_active = False
    second.save()
    for minutes in (5, 30, 90):
        ledger.ran(first, NOON - timedelta(minutes=minutes))
    with across_tenants("tests"):
        following = ledger.follows(ledger.account(cast.acme), first)
        for at in (NOON, NOON - timedelta(hours=13)):
            ledger.decided(following, at)
    found = installation.figures(NOON)
    assert (found.strategies, found.instruments) == (1, 1)
    assert found.runs == 3  # two of candles of the last hour, and that of the signal
    assert found.signals == 1  # the other was yesterday's
    strip = client.get("/").content.decode().split('id="h-here"')[1].split("</dl>")[0]
    assert re.findall(r"<dd>(\d+)</dd>", strip) == ["1", "1", "3", "1"]


def test_nothing_is_claimed_where_nothing_is(client: Client) -> None:
    strip = client.get("/").content.decode().split('id="h-here"')[1].split("</dl>")[0]
    assert re.findall(r"<dd>(\d+)</dd>", strip) == ["0", "0", "0", "0"]


def test_it_asks_the_same_however_much_there_is(client: Client, cast: Cast) -> None:
    ledger.engine()
    ledger.schedule(ledger.instrument())
    with asks(7):
        client.get("/")
    for n in range(5):
        ledger.ran(ledger.schedule(ledger.instrument(f"A{n}/USD"), f"s{n}"), NOON)
    with asks(7):
        client.get("/")


def test_large_counts_are_written_with_commas(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "signalist.dashboard.installation.figures",
        lambda now: installation.Installation(1, 1, 1723, int(Decimal("1e6"))),
    )
    page = client.get("/").content.decode()
    assert "1,723" in page
    assert "1,000,000" in page
