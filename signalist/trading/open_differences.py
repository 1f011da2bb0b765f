"""What is open between our books and a venue, in few words, for pages that are about something else."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from signalist.accounts.models import Account
from signalist.trading.discrepancies import Discrepancy, State
from signalist.trading.discrepancy_words import title

MOST = 50
"""So many are named or counted; who has more has to look at the books anyway."""


@dataclass(frozen=True, slots=True)
class OpenDifference:
    """One difference that nobody has explained yet.

    `symbol` is empty where it is about the account's money; `pauses`: it denies entries.
    """

    public_id: uuid.UUID
    account: uuid.UUID
    account_name: str
    title: str
    symbol: str
    pauses: bool


def open_differences(account: Account | None = None, symbol: str | None = None) -> list[OpenDifference]:
    """Those of the tenant, the newest first; with `account` and `symbol` those that hold that market there. One query."""
    found = Discrepancy.objects.filter(state=State.OPEN)
    if account is not None:
        found = found.filter(account=account)
    if symbol is not None:
        found = found.filter(symbol__in=("", symbol))
    return _lines(list(found.select_related("account").order_by("-pk")[:MOST]))


def _lines(rows: Sequence[Discrepancy]) -> list[OpenDifference]:
    return [
        OpenDifference(
            row.public_id, row.account.public_id, row.account.name, title(row.kind), row.symbol, pauses=row.pauses
        )
        for row in rows
    ]
