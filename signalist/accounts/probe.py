"""Tries a key at its venue before it is stored. Stores nothing, and keeps nothing when it is done."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from signalist.accounts.connectors import FORBIDDEN, NEEDED, Connector
from signalist.clock import SystemClock
from signalist.logs import plain_words
from signalist.venues.base import Balance, Session
from signalist.venues.errors import BadCredential, VenueError
from signalist.venues.facts import KeyRights, TellsFacts, TellsRights
from signalist.venues.transport.supplies import of_this_process

WITHIN = 8.0
_NONE: Mapping[int, Sequence[str]] = MappingProxyType({})


class NotAccepted(Exception):
    """The key cannot be used; the message is a sentence that says what to do."""


@dataclass(frozen=True, slots=True)
class Probed:
    """What the venue answered. `rights` is None where it does not tell. `names_account`: whether `ref` is the account's own name there,
    and not only the key's; where it is not, `knows` are those accounts of ours of whose orders the venue knew one under this key."""

    ref: str
    balance: Balance
    rights: KeyRights | None
    names_account: bool = True
    knows: frozenset[int] = frozenset()


def probe(connector: Connector, secrets: Mapping[str, str], orders: Mapping[int, Sequence[str]] = _NONE) -> Probed:
    """Ask the venue for the balance and the rights of a key; and, where it does not name its account, for `orders` of accounts of ours
    (id → our ids of orders that it had). Network, up to eight seconds: not inside a transaction. Raises NotAccepted."""
    try:
        return asyncio.run(asyncio.wait_for(_asked(connector, secrets, orders), WITHIN))
    except BadCredential as error:
        raise NotAccepted(f"{connector.name} does not accept this key: {plain_words(str(error))}") from None
    except TimeoutError:
        raise NotAccepted(
            f"{connector.name} did not answer within {WITHIN:.0f} seconds; nothing was stored. Try again."
        ) from None
    except VenueError as error:
        raise NotAccepted(
            f"{connector.name} could not be asked ({error.code}); nothing was stored. Try again."
        ) from None


async def _asked(connector: Connector, secrets: Mapping[str, str], orders: Mapping[int, Sequence[str]]) -> Probed:
    ref = connector.ref_of(secrets)
    # By the clock alone: whoever probes has no business with what engines note. Their numbers are behind the clock, and one of theirs
    # that comes after this is refused unseen, and renewed.
    venue = connector.venue_with(lambda _: secrets, of_this_process(connector.code, SystemClock()))
    session = venue.open(ref)
    try:
        rights = await session.rights() if isinstance(session, TellsRights) else None
        if rights is not None:
            refuse(rights.rights)
        if isinstance(session, TellsFacts) and (problem := (await session.facts()).problem):
            raise NotAccepted(problem)
        balance = await session.balance()
        known = frozenset[int]() if connector.names_account else await _knows(session, orders)
        return Probed(ref, balance, rights, connector.names_account, known)
    finally:
        await session.close()
        if (close := getattr(venue, "close", None)) is not None:
            await close()


async def _knows(session: Session, orders: Mapping[int, Sequence[str]]) -> frozenset[int]:
    """The accounts of whose orders one is known where this session looks."""
    found = set()
    for account_id, names in orders.items():
        for name in names:
            if await session.look_up(name) is not None:
                found.add(account_id)
                break
    return frozenset(found)


def refuse(rights: frozenset[str]) -> None:
    """Raise NotAccepted for a key that may do too much or too little."""
    if rights & FORBIDDEN:
        raise NotAccepted(
            "This key may withdraw money, so it is refused and was not stored. Make one that may only read and trade, and delete this one."
        )
    if missing := NEEDED - rights:
        raise NotAccepted(
            f"This key may not {' and '.join(sorted(missing))}; give it that right at the venue, or make another."
        )
