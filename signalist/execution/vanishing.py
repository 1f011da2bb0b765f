"""A stop that its venue takes away as often as it is placed: what is held there is not what our books say.

This is the one place where `protect` learns of it; what explains the difference, and asks what to do about it, begins here.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from signalist.events.outbox import Fact
from signalist.trading.halting import halted
from signalist.trading.models import Position

MAX_LOST_STOPS = 5
"""So many stops in a row, each taken away within a minute; the pauses between them double (4, 8, 16 seconds)."""


def books_differ(position: Position, now: datetime) -> Sequence[Fact]:
    """Halt the position's account, whose row is locked, and ask; nothing of the position is changed. Returns what is to be told."""
    position.lost_stops = 0  # when it is looked at again, it is tried anew
    account = position.account
    reason = "the venue keeps cancelling a stop; compare the position there, put it right and resume"
    fact = halted(account, reason, now)
    if fact is not None:
        account.save(update_fields=["state", "state_reason"])
    payload = {"account": account.pk, "position": position.pk, "severity": "HIGH"}
    told = Fact("books_differ", position.tenant_id, now, payload)
    return [told] if fact is None else [told, fact]
