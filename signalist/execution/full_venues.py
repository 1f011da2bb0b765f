"""Venues that have as much of an engine in hand as one may have: what else is for them waits for their answers, and holds nobody up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_AT = "account_id IN (SELECT id FROM accounts_account WHERE venue IN ({}))"


@dataclass(frozen=True, slots=True)
class Full:
    """Venues that have as much of this engine in hand as one venue may where others are served: for everything, and for entries."""

    of_all: frozenset[str] = frozenset()
    of_entries: frozenset[str] = frozenset()

    def condition(self) -> tuple[str, list[Any]]:
        """What leaves their orders out, with its parameters."""
        said, names = "", list[Any]()
        for venues, which in ((self.of_all, ""), (self.of_entries, " AND status = 'CREATED' AND leg = 'ENTRY'")):
            if venues:
                said += f" AND NOT ({_AT.format(', '.join(['%s'] * len(venues)))}{which})"
                names += sorted(venues)
        return said, names


NONE_FULL = Full()
