"""What a replay came to, counted from the rows, and the digest that two databases must agree on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db.models import Count

from signalist.domain.money import ZERO, plain, settle
from signalist.engine.replay_cast import SECOND_QUOTE, SECOND_RATE, Cast
from signalist.markets.models import Candle
from signalist.strategies.models import Signal, StrategyRun
from signalist.trading.keys import execution_key
from signalist.trading.models import Execution, Fill, Order, Trade


@dataclass(frozen=True, slots=True)
class Observed:
    """What only the driver and the venue's book know."""

    duplicates: int
    unprotected: int
    seconds: float
    candles_now: int


def report(cast: Cast, observed: Observed) -> dict[str, Any]:
    """The JSON object of `manage.py replay`. Amounts are strings in the recorded instrument's quote currency."""
    subscriptions = [s.pk for s in cast.subscriptions]
    trades = list(
        Trade.objects.filter(subscription_id__in=subscriptions).select_related(
            "position__entry_execution__signal",
            "position__entry_execution__instruction",
            "position__entry_execution__subscription",
        )
    )
    executions = _counted(Execution.objects.filter(subscription_id__in=subscriptions))
    runs = StrategyRun.objects.filter(schedule=cast.schedule)
    return {
        "candles": Candle.objects.filter(instrument=cast.recorded, timeframe=cast.schedule.timeframe).count(),
        "runs": runs.count(),
        "runs_by_status": _counted(runs),
        "signals": Signal.objects.filter(schedule=cast.schedule).count(),
        "executions": {
            name: executions.get(name.upper(), 0) for name in ("taken", "resized", "skipped", "denied", "pending")
        },
        "orders": _counted(Order.objects.filter(subscription_id__in=subscriptions)),
        "fills": Fill.objects.filter(order__subscription_id__in=subscriptions).count(),
        "trades": len(trades),
        "net_pnl": plain(_net(trades)),
        "currency": cast.recorded.quote,
        "duplicates": observed.duplicates,
        "unprotected": observed.unprotected,
        "seconds": round(observed.seconds, 3),
        "candles_per_second": round(observed.candles_now / observed.seconds, 1) if observed.seconds else 0.0,
        "digest": digest(trades),
    }


def _counted(rows: Any) -> dict[str, int]:
    return dict(rows.order_by().values_list("status").annotate(Count("pk")).order_by("status"))


def _net(trades: Sequence[Trade]) -> Decimal:
    """The net result of all trades, the twin's converted at the rate of the replay."""
    total = ZERO
    for trade in trades:
        total += trade.net / SECOND_RATE if trade.currency == SECOND_QUOTE else trade.net
    return settle(total)


def digest(trades: Sequence[Trade]) -> str:
    """SHA-256 over the trades by natural key: who, which signal, direction, quantity, prices, fees, exit and times."""
    lines = sorted("|".join(_line(trade)) for trade in trades)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _line(trade: Trade) -> list[str]:
    numbers = (trade.quantity, trade.entry_price, trade.exit_price, trade.fees, trade.net)
    moments = (trade.opened_at, trade.closed_at)
    return [
        execution_key(trade.position.entry_execution),
        trade.direction,
        *(plain(number) for number in numbers),
        trade.exit_type,
        *(moment.isoformat() for moment in moments),
    ]
