"""Stage `fan_out`: the one place that crosses the tenant line, in one statement that is the same on both databases.

Followers come in another order with every signal (CON-51): nobody is always the last to be decided and sent.
"""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256

from signalist.db import fast
from signalist.db.units import unit
from signalist.db.wakes import ring_on_commit, wakes
from signalist.events import outbox
from signalist.events.outbox import Fact
from signalist.strategies.models import Signal
from signalist.trading.models import STILL_ACTIVE

_PRIME = 2**31 - 1
# A subscription that began after the candle closed has no part in it; a paused one keeps its exits, and so does one that has ended
# as long as it holds something or an entry of it may still fill. The unique pair (signal, subscription) makes a repeated fan-out
# add nothing. Executions are decided and their orders sent in the order in which they are written here, and somebody is last: each signal
# has an order of its own, a permutation of its followers.
_FAN_OUT = f"""
INSERT INTO trading_execution (tenant_id, subscription_id, account_id, signal_id, kind, status, rule, deadline, created_at)
SELECT s.tenant_id, s.id, s.account_id, g.id, g.kind, 'PENDING', '', g.deadline, g.emitted_at
FROM strategies_signal g
JOIN trading_subscription s ON s.schedule_id = g.schedule_id
WHERE g.id = %s
  AND s.started_at <= g.candle_close
  AND (s.status = 'ACTIVE' OR (g.kind IN ('EXIT_LONG', 'EXIT_SHORT') AND (s.status = 'PAUSED'
    OR EXISTS (SELECT 1 FROM trading_position p WHERE p.subscription_id = s.id AND p.is_open)
    OR EXISTS (SELECT 1 FROM trading_order o
               WHERE o.account_id = s.account_id AND o.subscription_id = s.id AND o.leg = 'ENTRY' AND o.{STILL_ACTIVE}))))
ORDER BY (ROW_NUMBER() OVER (ORDER BY s.id) * %s + %s) %% {_PRIME}
ON CONFLICT DO NOTHING
"""  # noqa: S608 the words put in are a constant of the models


def turns(signal: Signal) -> tuple[int, int]:
    """What decides whose turn it is: of its followers, counted from 1, the `n`th comes where n × factor + shift falls modulo the prime.
    Drawn from the signal's name, which does not depend on the database, so that it comes out the same in every replay."""
    drawn = sha256(f"fan out {signal.public_id}".encode()).digest()
    return int.from_bytes(drawn[:4]) % (_PRIME - 1) + 1, int.from_bytes(drawn[4:8]) % _PRIME


def fan_out(now: datetime, limit: int = 100) -> int:
    """Give every subscriber of the waiting signals an execution to decide; returns how many were made."""
    made = 0
    waiting = fast.select(Signal, "fanned_out_at IS NULL ORDER BY candle_close, id LIMIT %s", [limit])
    for signal in waiting:
        with unit("fan_out.signal"):
            count = fast.execute(_FAN_OUT, [signal.pk, *turns(signal)])
            signal.fanned_out_at, signal.subscribers = now, count
            told = Fact("signal_fanned_out", None, now, {"signal": str(signal.public_id), "executions": count})
            fast.write_together(fast.Update([signal], ("fanned_out_at", "subscribers")), outbox.prepared([told]))
            ring_on_commit("decide", everywhere=True)  # its accounts may be other engines' to decide for
        made += count
    if len(waiting) == limit:
        wakes.ring("fan_out")
    return made
