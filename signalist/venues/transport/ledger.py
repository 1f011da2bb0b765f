"""The rate ledger: who may send to a venue when, over all accounts of this process.

A request names the buckets that it draws on: one of the venue and our address, one of the credential, and any that the venue has
besides. It goes when all of them have room; of those that wait on the same bucket, what matters more goes first and equals in turn.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from math import inf
from types import MappingProxyType

from signalist.clock import monotonic
from signalist.venues.transport.budgets import Bucket, Budget, Priority

LATENESS = 0.002
"""Seconds by which a waiting request may go later than it could."""

UNLIMITED = Budget(1e18, 1e18)
"""Of a key that nobody has given a budget, once its venue has closed it."""

WORTH_NOTING = 2.0
"""Seconds: a door that opens sooner is open again before another process could knock."""


def name_of(key: Hashable) -> str:
    """A key as it is put on record: its parts, which must say the same in every process."""
    return "/".join(map(str, key)) if isinstance(key, tuple) else str(key)


@dataclass(frozen=True, slots=True)
class Draw:
    """What a request takes out of one bucket."""

    key: Hashable
    weight: float = 1.0


@dataclass(order=True, slots=True)
class _Waiting:
    priority: Priority
    number: int
    draws: Sequence[Draw] = field(compare=False)
    goes: asyncio.Future[None] = field(compare=False)
    gave_up: bool = field(default=False, compare=False)

    @property
    def keys(self) -> list[Hashable]:
        """The keys that it draws on, each once."""
        return list({draw.key for draw in self.draws})


class RateLedger:
    """Buckets by key. A key that nobody has given a budget is without limit, but may be closed.

    `remember(name, seconds)` is told of every door that a venue closes for `WORTH_NOTING` or longer; `closed` are those that an earlier
    process was told of, by name, with the seconds that are left: they are closed here, too.
    """

    def __init__(
        self,
        now: Callable[[], float] = monotonic,
        *,
        remember: Callable[[str, float], None] | None = None,
        closed: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        self._now, self._remember = now, remember
        self._closed: dict[str, float] = {}
        self._buckets: dict[Hashable, Bucket] = {}
        self._whole: dict[Hashable, Budget] = {}
        self._address: tuple[str, ...] = ()
        self._among = 1
        self._waiting: list[_Waiting] = []
        self._live = 0
        """Of those, who has not given up: thousands may at the same moment, and lie there until it would be their turn."""
        self._on: Counter[Hashable] = Counter()
        self._numbers = count()
        self._timer: asyncio.TimerHandle | None = None
        self.heard(closed)

    def limit(self, key: Hashable, budget: Budget) -> None:
        """Give a key its budget; a second time only where the budget has changed, and then what was used of the old one is used."""
        known = self._buckets.get(key)
        if known is None or self._whole[key] != budget:
            self._whole[key] = budget
            shared = self._is_shared(key)
            bucket = self._buckets[key] = Bucket(budget.part(max(self._among, 1)) if shared else budget, self._now())
            if known is not None:
                bucket.used(known.budget.size - known.level(self._now()), self._now())
            if shared and not self._among:
                bucket.share(None, self._now())
            if name_of(key) in self._closed:
                bucket.close(self._closed[name_of(key)])

    def share(self, address: tuple[str, ...], among: int) -> None:
        """One part of `among` (0: nothing) of what our `address` may ask is this process's from now on: of the budget of this key, and of
        those of all keys that begin with it. Others are this process's alone, whose leases say who asks with a credential."""
        if (address, among) == (self._address, self._among):
            return
        self._address, self._among = address, among
        for key, bucket in self._buckets.items():
            if self._is_shared(key):
                bucket.share(self._whole[key].part(among) if among else None, self._now())
        if self._waiting:
            self._let_go()

    def last_delay(self, key: Hashable, requests: int, weight: float = 1.0) -> float:
        """Seconds that the last of so many entries of this process waits when all come at once to this key's bucket, full, with what it
        holds now: a part, where the address is shared; for ever where that part is nothing."""
        bucket = self._buckets.get(key)
        if bucket is None:
            return 0.0
        return inf if bucket.shut else bucket.budget.last_delay(requests, weight)

    def admit_now(self, draws: Sequence[Draw], priority: Priority) -> bool:
        """Take its weights if the request may go now and nobody waits; whether it may."""
        if self._live or self._blocked(draws, priority, self._now()) is not None:
            return False
        self._take(draws, self._now())
        return True

    async def admit(self, draws: Sequence[Draw], priority: Priority) -> None:
        """Wait until the request may go, and take its weights."""
        if self.admit_now(draws, priority):
            return
        mine = _Waiting(priority, next(self._numbers), draws, asyncio.get_running_loop().create_future())
        heapq.heappush(self._waiting, mine)
        self._live += 1
        self._on.update(mine.keys)
        self._let_go()
        try:
            await mine.goes
        except asyncio.CancelledError:
            if mine.goes.cancelled():
                self._forget(mine)
            else:
                self.give_back(draws)  # it was let go in the very turn in which it was given up
            raise

    def give_back(self, draws: Sequence[Draw]) -> None:
        """The request was admitted and did not leave the house."""
        now = self._now()
        for bucket, weight in self._drawn(draws):
            bucket.give_back(weight, now)
        self._let_go()

    def close(self, key: Hashable, seconds: float) -> None:
        """The venue wants nothing on this key for so long (Retry-After, a ban)."""
        self.heard({name_of(key): seconds})
        if self._remember is not None and seconds >= WORTH_NOTING:
            self._remember(name_of(key), seconds)

    def heard(self, closed: Mapping[str, float]) -> None:
        """Doors that are closed for so many seconds from now on, by name; a later end that is known already stands."""
        now = self._now()
        later = {name: max(now + seconds, self._closed.get(name, now)) for name, seconds in closed.items()}
        self._closed = {name: until for name, until in self._closed.items() if until > now} | later
        for key, bucket in self._buckets.items() if later else ():
            if name_of(key) in later:
                bucket.close(later[name_of(key)])

    def opens_in(self, draws: Sequence[Draw]) -> float:
        """Seconds until none of these is closed by its venue; 0 where none is."""
        if not self._closed:
            return 0.0
        return max([self._closed.get(name_of(draw.key), 0.0) - self._now() for draw in draws] + [0.0])

    def used(self, key: Hashable, amount: float) -> None:
        """The venue's own count."""
        if key in self._buckets:
            self._buckets[key].used(amount, self._now())

    def waiting(self) -> int:
        """How many requests wait."""
        return self._live

    # --- Within ----------------------------------------------------------------------------------

    def _is_shared(self, key: Hashable) -> bool:
        """Whether the key is of the address that is shared."""
        return bool(self._address) and isinstance(key, tuple) and key[: len(self._address)] == self._address

    def _drawn(self, draws: Sequence[Draw]) -> list[tuple[Bucket, float]]:
        return [(self._buckets[draw.key], draw.weight) for draw in draws if draw.key in self._buckets]

    def _known(self, key: Hashable) -> bool:
        """Whether the key has a bucket; one that is closed gets one."""
        if key not in self._buckets and self._closed and name_of(key) in self._closed:
            self.limit(key, UNLIMITED)
        return key in self._buckets

    def _blocked(self, draws: Sequence[Draw], priority: Priority, now: float) -> tuple[float, set[Hashable]] | None:
        """When it may go at the earliest and which keys keep it from going now; None where nothing does."""
        moments = {
            draw.key: self._buckets[draw.key].ready_at(draw.weight, priority, now)
            for draw in draws
            if self._known(draw.key)
        }
        keys = {key for key, at in moments.items() if at > now}
        return (max(moments.values()), keys) if keys else None

    def _take(self, draws: Sequence[Draw], now: float) -> None:
        for bucket, weight in self._drawn(draws):
            bucket.take(weight, now)

    def _let_go(self) -> None:
        """Let everybody go whose turn it is. Who cannot go holds up those behind on the keys that block it, and nobody else."""
        now, held, staying = self._now(), set[Hashable](), list[_Waiting]()
        soonest = float("inf")
        total = self._live
        # Where everybody who waits draws on a key that is held, there is no use in asking them one by one.
        while self._waiting and not any(self._on[key] >= total for key in held):
            first = heapq.heappop(self._waiting)
            if first.gave_up:
                continue
            if first.goes.done():  # given up in this very turn, as thousands may at one deadline
                self._given_up(first)
                total -= 1
                continue
            blocked = self._blocked(first.draws, first.priority, now)
            if blocked is None and held.isdisjoint(first.keys):
                self._on.subtract(first.keys)
                self._live -= 1
                total -= 1
                self._take(first.draws, now)
                first.goes.set_result(None)
                continue
            if blocked is not None:
                soonest = min(soonest, blocked[0])
                held |= blocked[1]
            staying.append(first)
        for waiting in staying:
            heapq.heappush(self._waiting, waiting)
        if staying and soonest < inf:
            self._look_again(soonest, now)

    def _look_again(self, at: float, now: float) -> None:
        loop = asyncio.get_running_loop()
        # A little late rather than a little early, and not for each single token: what comes early waits another turn.
        due = loop.time() + max(at - now, 0.0) + LATENESS
        if self._timer is not None:
            if not self._timer.cancelled() and loop.time() < self._timer.when() <= due:
                return
            self._timer.cancel()
        self._timer = loop.call_at(due, self._let_go)

    def _forget(self, mine: _Waiting) -> None:
        if not mine.gave_up:
            self._given_up(mine)
            self._let_go()

    def _given_up(self, one: _Waiting) -> None:
        one.gave_up = True
        self._live -= 1
        self._on.subtract(one.keys)
