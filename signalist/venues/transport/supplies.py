"""What an adapter is handed of what outlives its process: numbers for its requests, and what its venue has allowed and forbidden us."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from signalist.clock import Clock
from signalist.venues.transport.ledger import RateLedger
from signalist.venues.transport.nonces import Nonces, NonceSource


@dataclass(frozen=True, slots=True)
class Supplies:
    """Of one venue, for all its accounts.

    `nonces(name)` is a source for the credential that the venue knows by this name (an API key, an account): ask for one when a session is
    opened. `ledger` is for `Http`; what the venue closes there (429, 418) stays closed for other engines and after a restart. `address` is
    the ledger's key of our address at this venue: all requests draw on it where the venue counts by address.
    """

    nonces: Callable[[str], NonceSource]
    ledger: RateLedger
    address: tuple[str, str]


def of_this_process(venue: str, clock: Clock) -> Supplies:
    """Supplies that nothing outlives: nonces by the clock, an empty ledger. For what asks once and is gone, and for tools."""
    taken: dict[str, int] = {}

    async def reserve(wanted: Mapping[str, int], block: int) -> Mapping[str, int]:
        firsts = {name: max(first, taken.get(name, 0)) for name, first in wanted.items()}
        taken.update({name: first + block for name, first in firsts.items()})
        return firsts

    return Supplies(Nonces(reserve, lambda: clock.now().timestamp()).of, RateLedger(), (venue, "here"))
