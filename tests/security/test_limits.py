"""How often somebody may ask: counted once for all processes, told in the headers, and never in the way of an exit."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from unittest import mock

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from pytest_django import Settings

from signalist.audit.models import Entry
from signalist.clock import utc_now
from signalist.security import counters
from signalist.security.limits import Chunks, Limit, take
from signalist.security.models import Ban, Counter, SecurityEvent
from tenants.doors import across_tenants
from tests.api.test_api import ask, key_of
from tests.cast import Cast
from tests.pages.counting import asks

pytestmark = pytest.mark.django_db


@pytest.fixture
def limited(settings: Settings) -> Iterator[Settings]:
    """The limits are on, and the clock of their windows stands still, so that none ends in the middle of a test."""
    settings.RATE_LIMITED = True
    settings.RATE_LIMITS = settings.RATE_LIMITS | {"user": "20/60", "anonymous": "5/900", "tenant": "1000/60"}
    now = utc_now().replace(second=10)
    with mock.patch("signalist.security.limits.utc_now", return_value=now):
        yield settings


@pytest.mark.parametrize("backend", ["table", "cache"])
def test_counts_are_shared_and_their_windows_end(limited: Settings, backend: str) -> None:
    if backend == "cache":
        limited.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    end = int(utc_now().timestamp()) + 60
    assert [counters.add("user:1:5", amount, end) for amount in (1, 10, 1)] == [1, 11, 12]
    assert counters.add("user:1:6", 1, end + 60) == 1
    if backend == "cache":
        assert cache.get("limit:user:1:5") == 12
        return
    assert counters.retire(end + 30) == 1
    assert list(Counter.objects.values_list("key", flat=True)) == ["user:1:6"]


@pytest.mark.django_db(transaction=True)
def test_no_count_is_lost_where_several_count_at_once(limited: Settings) -> None:
    seen: list[int] = []

    def count() -> None:
        try:
            seen.extend(take("trading", "user:1").used for _ in range(25))
        finally:
            connection.close()

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == list(range(1, 101))


def test_the_verdict_says_what_is_left_and_when_to_try_again(limited: Settings) -> None:
    limit = Limit(2, 3600)
    first, second, third, fourth = (take("key", "key:7", limit) for _ in range(4))
    assert [v.allowed for v in (first, second, third, fourth)] == [True, True, False, False]
    assert [v.first for v in (first, second, third, fourth)] == [False, False, True, False]
    assert first.headers() == {
        "RateLimit-Limit": "2",
        "RateLimit-Remaining": "1",
        "RateLimit-Reset": str(first.reset),
        "RateLimit-Policy": "2;w=3600",
    }
    assert third.headers()["Retry-After"] == str(third.reset)
    assert 0 < third.reset <= 3600
    assert take("key", "key:8", limit).allowed  # another key has its own


def test_what_comes_often_is_counted_with_a_statement_for_every_other_and_never_lets_more_through(
    limited: Settings,
) -> None:
    one, other = Chunks(), Chunks()  # two processes
    with asks(10):
        verdicts = [chunks.take("user", "user:1") for _ in range(10) for chunks in (one, other)]
    assert all(verdict.allowed for verdict in verdicts)
    refused = [chunks.take("user", "user:1") for chunks in (one, other) for _ in range(3)]
    assert not any(verdict.allowed for verdict in refused)
    assert [verdict.first for verdict in refused].count(True) == 1  # of all processes one says it


def test_a_person_is_told_when_to_try_again_and_may_always_get_out(
    limited: Settings, client: Client, cast: Cast
) -> None:
    client.force_login(cast.theo)
    answers = [client.get("/profile/") for _ in range(21)]
    assert [answer.status_code for answer in answers] == [200] * 20 + [429]
    assert answers[0].headers["RateLimit-Limit"] == "20"
    assert int(answers[-1].headers["Retry-After"]) <= 60
    assert "Try again at" in answers[-1].content.decode()
    assert "Closing positions, cancelling orders, moving stops and the kill switch" in answers[-1].content.decode()
    # The way out is not counted: positions, closing, the kill switch.
    assert client.get("/positions/").status_code == client.get("/close/").status_code == 200
    stop = {"state": "REDUCING", "reason": "somebody is at my account"}
    assert client.post(f"/stop/tenant/{cast.acme.public_id}/", stop).status_code == 302
    api = client.get("/profile/", headers={"accept": "application/json"})
    assert (api.status_code, api.json()["status"], api.headers["Content-Type"]) == (
        429,
        429,
        "application/problem+json",
    )
    # Refusals are recorded once, not each.
    assert SecurityEvent.objects.filter(kind="RATE_LIMIT_EXCEEDED", user=cast.theo).count() == 1
    with across_tenants("tests"):
        assert Entry.objects.filter(action="limit.exceeded", result="refused").count() == 1
    other = Client()
    other.force_login(cast.gus)
    assert other.get("/profile/").status_code == 200


def test_visitors_are_counted_by_address_and_cannot_get_round_it_by_a_header(
    limited: Settings, client: Client, cast: Cast
) -> None:
    answers = [
        client.get("/marketplace/", headers={"x-forwarded-for": f"198.51.100.{n}"}).status_code for n in range(6)
    ]
    assert answers == [200] * 5 + [429]
    limited.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    assert client.get("/marketplace/", headers={"x-forwarded-for": "203.0.113.5"}).status_code == 200
    assert client.get("/health").status_code != 429


def test_kinds_have_limits_of_their_own(limited: Settings, client: Client, cast: Cast) -> None:
    limited.RATE_LIMITS = limited.RATE_LIMITS | {"trading": "2/60", "user": "100/60", "export": "1/3600"}
    client.force_login(cast.theo)
    assert [client.post("/orders/new/", {}).status_code for _ in range(3)] == [200, 200, 429]
    assert client.get("/orders/new/").status_code == 200  # looking is not trading
    assert [client.get("/audit/export/").status_code for _ in range(2)] == [200, 429]
    visitor = Client()
    form = {"login": "theo@example.com", "password": "guess"}
    limited.RATE_LIMITS = limited.RATE_LIMITS | {"anonymous": "100/900", "authentication": "3/900"}
    assert [visitor.post("/accounts/login/", form).status_code for _ in range(4)] == [200, 200, 200, 429]
    assert visitor.post("/accounts/login/", form | {"login": "vera@example.com"}).status_code == 200


def test_a_program_is_counted_by_its_key_and_guessed_keys_by_their_address(
    limited: Settings, client: Client, cast: Cast
) -> None:
    limited.RATE_LIMITS = limited.RATE_LIMITS | {"anonymous": "3/900"}
    bearer = {"authorization": "Bearer tk_live_guessed"}
    answers = [client.get("/api/v1/me", headers=bearer).status_code for _ in range(6)]
    assert answers == [401, 401, 401, 401, 429, 429]
    assert client.get("/api/v1/me", REMOTE_ADDR="192.0.2.44", headers=bearer).status_code == 401
    assert client.get("/marketplace/").status_code == 200  # who looks at pages from there is counted apart
    # A key that is good comes through beside them, and has its own hour; what is nowhere is counted, whatever key is sent along.
    assert ask("me", key_of(cast.acme, cast.vera).text, client).status_code == 200
    nowhere = [client.get("/api/v1/nothing", REMOTE_ADDR="192.0.2.45", headers=bearer).status_code for _ in range(6)]
    assert nowhere == [404, 404, 404, 404, 429, 429]


def test_an_ipv6_customer_is_one_visitor_whatever_address_of_theirs_they_take(
    limited: Settings, client: Client, cast: Cast
) -> None:
    at = "2001:db8::1:{}:2:3".format  # the shortest spelling hides where the /64 ends
    assert [client.get("/marketplace/", REMOTE_ADDR=at(n)).status_code for n in range(1, 7)] == [200] * 5 + [429]
    assert client.get("/marketplace/", REMOTE_ADDR="2001:db8:0:1::1").status_code == 200, "the next customer"
    limited.RATE_LIMITS = limited.RATE_LIMITS | {"anonymous": "1000/900", "authentication": "100/900"}
    for n in range(1, 12):
        form = {"login": f"{('olivia', 'theo', 'vera', 'gus')[n % 4]}@example.com", "password": f"guess {n}"}
        guessed = client.post("/accounts/login/", form, REMOTE_ADDR=at(f"{n:x}"))
    assert guessed.status_code == 429
    assert list(Ban.objects.values_list("address", flat=True)) == ["2001:db8::/64"]
