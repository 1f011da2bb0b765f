"""Requests to Kraken over the house's transport: public ones by address, private ones signed, one caller for each key."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextvars import Context
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

from signalist.clock import Clock, monotonic
from signalist.venues.errors import Busy, NoAnswer
from signalist.venues.kraken import parse, protocol
from signalist.venues.kraken.protocol import PRIVATE, PUBLIC, REST, Tier, WrongNonce
from signalist.venues.kraken.symbols import Pairs
from signalist.venues.transport.budgets import Budget, Priority
from signalist.venues.transport.clocks import VenueClock
from signalist.venues.transport.http import Answer, Call, Http
from signalist.venues.transport.ledger import Draw
from signalist.venues.transport.nonces import NonceSource
from signalist.venues.transport.supplies import Supplies, of_this_process

LISTED_FOR = 3600.0
"""Seconds for which the list of pairs is believed."""
ASKED_AGAIN = 60.0
"""Seconds to the next question where the venue did not answer that it was old."""
STEP = 0.5
"""Seconds by which our clock must have moved against the monotonic one to count as set."""
AGENT = {"User-Agent": "signalist"}
_FORM = AGENT | {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True, slots=True)
class Signer:
    """A key: its public part, and the secret that signs, which is never shown."""

    key: str
    secret: bytes

    def __repr__(self) -> str:
        return f"Signer({self.key[:4]}…)"


def signed(signer: Signer, nonce: int, path: str, fields: Mapping[str, object]) -> tuple[bytes, dict[str, str]]:
    """The body of a private request and its headers."""
    body = protocol.form({"nonce": nonce, **fields})
    sign = protocol.signature(signer.secret, str(nonce), path, body)
    return body, _FORM | {"API-Key": signer.key, "API-Sign": sign}


class Client:
    """The way to Kraken, shared by all accounts and the feed of this process. `clock` is that of deadlines and candles; `supplies` are
    what outlives the process (None: nothing does)."""

    def __init__(
        self,
        clock: Clock,
        *,
        supplies: Supplies | None = None,
        base: str = REST,
        tier: Tier = protocol.TIERS["starter"],
        size: int = 100,
        public: Budget = protocol.PUBLIC_CALLS,
    ) -> None:
        self.base, self.clock, self.tier = base, clock, tier
        self._supplies = supplies or of_this_process("kraken", clock)
        self.ledger = self._supplies.ledger
        self.http = Http(base, self.ledger, size=size, parse=parse.read)
        self._sources: dict[str, NonceSource] = {}
        self._tiers: dict[str, Tier] = {}
        self._venue_clock = VenueClock()
        self._epoch = clock.now().timestamp() - monotonic()
        self._pairs: tuple[float, Pairs] | None = None
        self._listing: asyncio.Task[None] | None = None
        self.ledger.limit(self.public_bucket, public)
        self.ledger.limit(self.connections_bucket, protocol.CONNECTIONS)

    @property
    def public_bucket(self) -> tuple[str, ...]:
        """What public calls draw on: our address."""
        return self._supplies.address

    @property
    def connections_bucket(self) -> tuple[str, ...]:
        """What connections to the streams draw on: our address, too."""
        return (*self._supplies.address, "connections")

    async def may_connect(self) -> None:
        """Wait until another connection to a stream may be opened."""
        await self.ledger.admit((Draw(self.connections_bucket),), Priority.PROTECTION)

    def barred(self, seconds: float) -> None:
        """The venue takes no connection from our address for so long: nobody knocks, for that might make it longer."""
        self.ledger.close(self.connections_bucket, seconds)

    def barred_for(self) -> float:
        """Seconds until it takes one again; 0 where it does."""
        return self.ledger.opens_in((Draw(self.connections_bucket),))

    def tier_of(self, signer: Signer) -> Tier:
        """How much the key's account may ask: what Kraken said, and the lowest until it did."""
        return self._tiers.get(signer.key, self.tier)

    def is_told_tier(self, signer: Signer) -> bool:
        """Whether Kraken has said it."""
        return signer.key in self._tiers

    def told_tier(self, signer: Signer, most: object) -> None:
        """Kraken names the limit of an account's counter of orders (`maxratecount`), which tells its tier; a number that is none tells
        nothing. What was used until now is taken for still counted."""
        found = next((tier for tier in protocol.TIERS.values() if tier.orders.size == most), None)
        if found is not None:
            self._tiers[signer.key] = found

    def calls_bucket(self, signer: Signer) -> tuple[str, ...]:
        """What a key's calls draw on."""
        return ("calls", signer.key)

    def orders_bucket(self, signer: Signer, symbol: str) -> tuple[str, ...]:
        """What a key's orders in one pair draw on."""
        return ("orders", signer.key, symbol)

    async def pairs(self) -> Pairs:
        """All pairs; asked for anew after an hour, by one for all who want them then. What is old is better than nothing, and than an order
        that waits: it is given while the venue is asked, and where it does not answer. Raises VenueError where there is none at all."""
        if self._pairs is None:
            await asyncio.shield(self._ask_for_pairs())  # who gives up waiting takes nothing away from the others
        elif monotonic() >= self._pairs[0]:
            self._pairs = monotonic() + ASKED_AGAIN, self._pairs[1]
            self._ask_for_pairs()
        assert self._pairs is not None
        return self._pairs[1]

    async def pairs_now(self) -> Pairs:
        """All pairs as the venue lists them at this moment; together with whoever asks for them already. Raises VenueError."""
        await asyncio.shield(self._ask_for_pairs())
        assert self._pairs is not None
        return self._pairs[1]

    def _ask_for_pairs(self) -> asyncio.Task[None]:
        if self._listing is None or self._listing.done():
            # It is for everybody, so nobody's deadline or fence stands around it.
            self._listing = asyncio.get_running_loop().create_task(self._list_pairs(), context=Context())
            self._listing.add_done_callback(lambda done: None if done.cancelled() else done.exception())
        return self._listing

    async def _list_pairs(self) -> None:
        said = await self.public("AssetPairs")
        found = parse.pairs(said) if isinstance(said, Mapping) else Pairs(())
        if not len(found):
            raise NoAnswer("The venue lists no pair that can be read.")
        self._pairs = monotonic() + LISTED_FOR, found

    async def public(self, method: str, query: Mapping[str, object] | None = None, *, within: float = 10.0) -> Any:
        """Ask for what everybody may know. Raises VenueError."""
        text = "&".join(f"{name}={quote(str(value), safe='')}" for name, value in (query or {}).items())
        target = f"{PUBLIC}{method}" + (f"?{text}" if text else "")
        return self._result(
            await self.http.send(Call("GET", target, headers=AGENT, draws=(Draw(self.public_bucket),), within=within))
        )

    async def private(
        self,
        signer: Signer,
        method: str,
        fields: Mapping[str, object] | None = None,
        *,
        priority: Priority = Priority.READ,
        within: float = 10.0,
        deadline: float | None = None,
        draws: Sequence[Draw] = (),
    ) -> Any:
        """Ask for something in an account's name; `draws` are what it costs beside the call itself. Raises VenueError.

        A nonce that was too low is told before anything is looked at. What is no order is then asked once more, with a nonce from a
        block of its own; an order is not sent again by anybody but its owner.
        """
        try:
            return await self._private_once(signer, method, fields or {}, priority, within, deadline, draws)
        except WrongNonce:
            if method in protocol.ORDERS:
                raise
            return await self._private_once(signer, method, fields or {}, priority, within, deadline, draws)

    async def _private_once(
        self,
        signer: Signer,
        method: str,
        fields: Mapping[str, object],
        priority: Priority,
        within: float,
        deadline: float | None,
        draws: Sequence[Draw],
    ) -> Any:
        path, cost, source = PRIVATE + method, protocol.call_cost(method), self._source(signer)
        calls = self.calls_bucket(signer)
        self.ledger.limit(calls, protocol.carefully(self.tier_of(signer).calls))
        call = Call(
            "POST",
            path,
            priority=priority,
            draws=(Draw(signer.key), *((Draw(calls, cost),) if cost else ()), *draws),
            within=within,
            deadline=deadline,
            who=signer.key,
            nonces=source,
            sign=lambda nonce: signed(signer, nonce, path, fields),
        )
        try:
            return self._result(await self.http.send(call))
        except WrongNonce:
            source.renew()
            raise
        except Busy as busy:
            self.keep_still(str(busy), busy.after, signer, draws)
            raise

    def opened(self, signer: Signer) -> None:
        """An account is opened anew: whoever had it in between has taken nonces of its own."""
        self._source(signer).renew()

    def _source(self, signer: Signer) -> NonceSource:
        if signer.key not in self._sources:
            self._sources[signer.key] = self._supplies.nonces(signer.key)
        return self._sources[signer.key]

    def venue_time(self, ours: datetime) -> datetime:
        """A moment of our clock as Kraken's clock will show it."""
        self._notice_steps()
        return ours + timedelta(seconds=self._venue_clock.ahead)

    def venue_time_at_least(self, ours: datetime) -> datetime:
        """The earliest that it may be by Kraken's clock at a moment of ours."""
        return self.venue_time(ours) - timedelta(seconds=self._venue_clock.error or 0.0)

    def venue_time_at_most(self, ours: datetime) -> datetime:
        """The latest that it may be by Kraken's clock at a moment of ours."""
        return self.venue_time(ours) + timedelta(seconds=self._venue_clock.error or 0.0)

    async def close(self) -> None:
        """Close all connections."""
        if self._listing is not None:
            self._listing.cancel()
        await self.http.close()

    def _result(self, answer: Answer) -> Any:
        """Read an answer."""
        self._heard_the_time(answer)
        try:
            return parse.result(answer.said, self.clock.now().timestamp())
        except (ValueError, KeyError, TypeError) as error:
            raise NoAnswer(f"The venue's answer was none of its protocol (status {answer.status}).") from error

    def keep_still(self, said: str, after: float | None, signer: Signer, draws: Sequence[Draw]) -> None:
        """Whoever is told that it asks too much keeps still: until its counter has room, or for as long as it was told."""
        if said.startswith(("EAPI:Rate limit", "EGeneral:Too many")):
            self.ledger.used(self.calls_bucket(signer), self.tier_of(signer).calls.size)
        elif said.startswith("EOrder:Rate limit"):
            for draw in draws:
                self.ledger.used(draw.key, self.tier_of(signer).orders.size)
        elif said.startswith(("EGeneral:Temporary lockout", "EService:Throttled")) and after:
            self.ledger.close(signer.key, after)

    def _heard_the_time(self, answer: Answer) -> None:
        """Every answer names Kraken's time, to the second (RFC 9110, 6.6.1)."""
        try:
            said = parsedate_to_datetime(answer.headers.get("Date", "")).timestamp()
        except ValueError:
            return
        self._notice_steps()
        now = self.clock.now().timestamp()
        self._venue_clock.heard(now - answer.took, now, said, 1.0)

    def _notice_steps(self) -> None:
        """Whether our clock was set since the last look, which the monotonic one tells: then what was learnt is worth nothing."""
        epoch = self.clock.now().timestamp() - monotonic()
        if abs(epoch - self._epoch) > STEP:
            self._venue_clock.forget()
        self._epoch = epoch
