"""Counts and cache in a real Redis, which the tests start; and what the site does while it is away."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings as configured
from django.core.cache import cache
from django.test import Client
from pytest_django import Settings

from signalist.clock import utc_now
from signalist.security import counters
from signalist.security.limits import take
from signalist.security.models import Counter
from tests.cast import PASSWORD, Cast
from tests.security.redis_server import ADDRESS, running
from tests.security.test_limits import limited

__all__ = ["limited"]
pytestmark = [pytest.mark.django_db, pytest.mark.redis]


@pytest.fixture
def in_redis(limited: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """The cache that the settings name where CACHE_URL is set, in a server that has just been started."""
    monkeypatch.setattr("signalist.security.redis_cache.ForgivingRedisCache._away_until", 0.0)
    with running(tmp_path):
        limited.CACHES = {"default": configured.REDIS_CACHE | {"LOCATION": os.environ[ADDRESS]}}
        cache.clear()
        yield limited


def test_no_count_is_lost_and_each_ends_with_its_window(in_redis: Settings) -> None:
    seen: list[int] = []

    def count() -> None:
        seen.extend(take("trading", "user:1").used for _ in range(25))

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == list(range(1, 101))
    assert not Counter.objects.exists(), "they are in Redis, not in the table"
    end = int(utc_now().timestamp()) + 3600
    assert [counters.add("key:7:1", amount, end) for amount in (1, 10, 1)] == [1, 11, 12]
    client = cache._cache.get_client(write=True)  # type: ignore[attr-defined]
    ends = {client.ttl(name) for name in client.keys("*limit:*")}
    assert len(ends) == 2 and all(0 < left <= 3600 for left in ends)


def test_while_redis_is_away_pages_come_people_log_in_and_counts_go_on_in_the_table(
    cast: Cast, limited: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signalist.security.redis_cache.ForgivingRedisCache._away_until", 0.0)
    limited.RATE_LIMITS = limited.RATE_LIMITS | {"anonymous": "3/900"}
    limited.CACHES = {"default": configured.REDIS_CACHE | {"LOCATION": "redis://127.0.0.1:9/0"}}
    client = Client()
    assert client.get("/marketplace/").status_code == 200
    client.post("/accounts/login/", {"login": cast.theo.email, "password": PASSWORD})
    assert client.get("/positions/").status_code == 200
    stranger = Client(REMOTE_ADDR="203.0.113.7")
    assert [stranger.get("/").status_code for _ in range(4)] == [200, 200, 200, 429]
    assert Counter.objects.exists()
    assert (cache.get("x", "nothing"), cache.add("x", 1), cache.has_key("x")) == ("nothing", True, False)
    assert (cache.get_many(["x"]), cache.set_many({"x": 1}), cache.delete("x")) == ({}, ["x"], False)
