"""Tries a key at its venue before it is stored. Stores nothing, and keeps nothing when it is done."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from signalist.accounts.connectors import FORBIDDEN, NEEDED, Connector
from signalist.clock import SystemClock
from signalist.logs import plain_words
from signalist.venues.base import Balance, KeyRights, TellsFacts, TellsRights
from signalist.venues.errors import BadCredential, VenueError
from signalist.venues.transport.supplies import of_this_process

WITHIN = 8.0


class NotAccepted(Exception):
    """The key cannot be used; the message is a sentence that says what to do."""


@dataclass(frozen=True, slots=True)
class Probed:
    """What the venue answered. `rights` is None where it does not tell."""

    ref: str
    balance: Balance
    rights: KeyRights | None


def probe(connector: Connector, secrets: Mapping[str, str]) -> Probed:
    """Ask the venue for the balance and the rights of a key. Network, up to eight seconds: not inside a transaction. Raises NotAccepted."""
    try:
        return asyncio.run(asyncio.wait_for(_asked(connector, secrets), WITHIN))
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


async def _asked(connector: Connector, secrets: Mapping[str, str]) -> Probed:
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
        return Probed(ref, await session.balance(), rights)
    finally:
        await session.close()
        if (close := getattr(venue, "close", None)) is not None:
            await close()


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
