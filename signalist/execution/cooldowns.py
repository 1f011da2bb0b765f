"""How long it is since a subscription's last entry, for those that want a pause between entries (EXE-37).

Measured between the signals, by their entries' deadlines, which lie a fixed time after the candles' closes: what the engine took to decide
each of them would else make a pause of five minutes longer than five candles of a minute.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from signalist.db import fast
from signalist.trading.models import Execution

_TAKEN = "decided_at >= %s AND status IN ('TAKEN', 'RESIZED') AND kind IN ('LONG', 'SHORT')"
_LATEST = timedelta(minutes=1)
"""An entry is decided well within this after its signal."""


def last_entries(executions: Sequence[Execution], now: datetime) -> dict[int, datetime]:
    """By subscription the moment of its last entry, as far back as its pause may reach; for those that have one. One query, none where
    nobody has a pause."""
    pauses = {e.subscription_id: e.subscription.cooldown_seconds for e in executions if e.signal_kind.is_entry}
    wanted = {key: seconds for key, seconds in pauses.items() if seconds}
    if not wanted:
        return {}
    since = fast.prepared(Execution, "decided_at", now - timedelta(seconds=max(wanted.values())) - _LATEST)
    mine, ids = fast.among("subscription_id", sorted(wanted))
    found: dict[int, datetime] = {}
    for entry in fast.select(Execution, f"{mine} AND {_TAKEN} ORDER BY id", [*ids, since]):
        found[entry.subscription_id] = moment_of(entry, now)
    return found


def since_entry(execution: Execution, last: Mapping[int, datetime], now: datetime) -> Decimal | None:
    """Seconds from the signal of its subscription's last entry to this one's; None where no pause is wanted or there was none."""
    before = last.get(execution.subscription_id)
    if before is None:
        return None
    return Decimal(str((moment_of(execution, now) - before).total_seconds()))


def moment_of(execution: Execution, now: datetime) -> datetime:
    """When an entry counts: by its deadline, or where it has none when it was decided, or is being decided."""
    moment = execution.deadline or execution.decided_at or now
    assert isinstance(moment, datetime)
    return moment
