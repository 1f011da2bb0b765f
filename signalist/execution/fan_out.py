"""Stage `fan_out`: the one place that crosses the tenant line, in one statement that is the same on both databases."""

from __future__ import annotations

from datetime import datetime

from django.db import connection

from signalist.db.units import unit
from signalist.db.wakes import ring_on_commit, wakes
from signalist.events.outbox import Fact, emit
from signalist.strategies.models import Signal

# A subscription that began after the candle closed has no part in it; a paused one keeps its exits. The unique pair
# (signal, subscription) makes a repeated fan-out add nothing.
_FAN_OUT = """
INSERT INTO trading_execution (tenant_id, subscription_id, account_id, signal_id, kind, status, rule, deadline, created_at)
SELECT s.tenant_id, s.id, s.account_id, g.id, g.kind, 'PENDING', '', g.deadline, g.emitted_at
FROM strategies_signal g
JOIN trading_subscription s ON s.schedule_id = g.schedule_id
WHERE g.id = %s
  AND s.started_at <= g.candle_close
  AND (s.status = 'ACTIVE' OR (s.status = 'PAUSED' AND g.kind IN ('EXIT_LONG', 'EXIT_SHORT')))
ORDER BY s.id
ON CONFLICT DO NOTHING
"""


def fan_out(now: datetime, limit: int = 100) -> int:
    """Give every subscriber of the waiting signals an execution to decide; returns how many were made."""
    made = 0
    waiting = list(
        Signal.objects.filter(fanned_out_at__isnull=True)
        .order_by("candle_close", "id")
        .values_list("id", "public_id")[:limit]
    )
    for signal_id, public_id in waiting:
        with unit("fan_out.signal"), connection.cursor() as cursor:
            cursor.execute(_FAN_OUT, [signal_id])
            count = cursor.rowcount
            Signal.objects.filter(pk=signal_id).update(fanned_out_at=now)
            emit([Fact("signal_fanned_out", None, now, {"signal": str(public_id), "executions": count})])
            ring_on_commit("decide")
        made += count
    if len(waiting) == limit:
        wakes.ring("fan_out")
    return made
