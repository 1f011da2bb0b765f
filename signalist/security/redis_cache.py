"""The cache in Redis, where an installation has one. While Redis is away the site goes on without: nothing is remembered meanwhile.

Loaded by Django where `CACHE_URL` is set, and by nobody else: the package `redis` is there only then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.cache.backends.redis import RedisCache
from redis.exceptions import RedisError

from signalist.clock import monotonic
from signalist.logs import logger

log = logger(__name__)

AGAIN = 5.0
"""Seconds in which a process does not ask again a Redis that did not answer: each question may take as long as a socket waits."""


class ForgivingRedisCache(RedisCache):
    """As Django's, but that what is not answered is not there. Only `incr` raises: ConnectionError, and who counts counts elsewhere."""

    _away_until = 0.0

    def _tried(self, ask: Callable[[], Any], instead: Any) -> Any:
        try:
            return self._asked(ask)
        except ConnectionError:
            return instead

    def _asked(self, ask: Callable[[], Any]) -> Any:
        if monotonic() < ForgivingRedisCache._away_until:
            raise ConnectionError("Redis is away.")
        try:
            return ask()
        except (RedisError, OSError) as error:
            ForgivingRedisCache._away_until = monotonic() + AGAIN
            log.warning("cache_away", error=str(error).strip())
            raise ConnectionError("Redis is away.") from None

    def add(self, *args: Any, **kwargs: Any) -> Any:
        return self._tried(lambda: super(ForgivingRedisCache, self).add(*args, **kwargs), instead=True)

    def get(self, key: Any, default: Any = None, version: Any = None) -> Any:
        return self._tried(lambda: super(ForgivingRedisCache, self).get(key, default, version), instead=default)

    def set(self, *args: Any, **kwargs: Any) -> None:
        self._tried(lambda: super(ForgivingRedisCache, self).set(*args, **kwargs), instead=None)

    def touch(self, *args: Any, **kwargs: Any) -> Any:
        return self._tried(lambda: super(ForgivingRedisCache, self).touch(*args, **kwargs), instead=False)

    def delete(self, *args: Any, **kwargs: Any) -> Any:
        return self._tried(lambda: super(ForgivingRedisCache, self).delete(*args, **kwargs), instead=False)

    def get_many(self, *args: Any, **kwargs: Any) -> Any:
        return self._tried(lambda: super(ForgivingRedisCache, self).get_many(*args, **kwargs), instead={})

    def set_many(self, data: Any, *args: Any, **kwargs: Any) -> Any:
        return self._tried(lambda: super(ForgivingRedisCache, self).set_many(data, *args, **kwargs), instead=list(data))

    def delete_many(self, *args: Any, **kwargs: Any) -> None:
        self._tried(lambda: super(ForgivingRedisCache, self).delete_many(*args, **kwargs), instead=None)

    def has_key(self, *args: Any, **kwargs: Any) -> Any:
        return self._tried(lambda: super(ForgivingRedisCache, self).has_key(*args, **kwargs), instead=False)

    def incr(self, *args: Any, **kwargs: Any) -> Any:
        return self._asked(lambda: super(ForgivingRedisCache, self).incr(*args, **kwargs))
