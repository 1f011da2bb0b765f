"""How many connections clients may have, as staff has it now (`markets.adjusting`)."""

from __future__ import annotations

from dataclasses import dataclass

from signalist.markets.adjusting import adjusted, set_to


@dataclass(frozen=True, slots=True)
class Limits:
    """`person`: open pages of one person in this process, None where nobody has set it; `process`: of all; `prices`: markets that a page
    may follow."""

    person: int | None
    process: int
    prices: int


def limits() -> Limits:
    """As they are. For a thread: one query at most."""
    return Limits(set_to("connections.person"), adjusted("connections.process"), adjusted("connections.prices"))
