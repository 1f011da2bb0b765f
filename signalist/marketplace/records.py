"""The public record of strategies: what followers' closed trades came to, live apart from paper. Nothing tenant-owned is read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from django.db.models import OuterRef, Subquery

from signalist.db import fast
from signalist.display.charts import Point, drawdown, spark, thinned
from signalist.domain.money import ZERO, settle
from signalist.strategies.models import Schedule
from signalist.trading.models import SignalRecord

WINDOW = timedelta(days=90)
"""How far back a record goes, from the newest trade that is in it."""
MOST_SIGNALS = 2_000
"""How many signals a strategy's records go back at most, live and paper together."""
AT_ONCE = 100
RATED_FROM = 20
"""Signals with a closed trade that a risk class needs at least."""
RISK_PER_TRADE = 0.01


class RiskClass(StrEnum):
    """How deep a strategy's worst fall was, or would have been, at a risk of 1% per trade: under 5%, under 15%, or more."""

    LOW = "Low"
    MEDIUM = "Medium"
    HIGH = "High"

    @property
    def look(self) -> str:
        """The class of `.state`."""
        return {"Low": "ok", "Medium": "info", "High": "warn"}[self.value]


@dataclass(frozen=True, slots=True)
class Record:
    """The record of a strategy, in fractions, after fees. Every signal counts once, with the average of those who followed it.

    `returned` adds up the returns on the capital that was committed, without compounding, as if it were shared equally among the
    markets of the record; `curve` is 1 plus that sum over time, and `worst` its deepest fall below a peak (0 or less). `r` is the
    average result in multiples of the risk at entry. `risk` is None while there are too few signals.
    """

    is_paper: bool
    signals: int
    trades: int
    wins: int
    returned: Decimal
    worst: float
    r: Decimal | None
    slippage: Decimal
    delay: timedelta
    since: datetime
    until: datetime
    curve: tuple[Point, ...]
    risk: RiskClass | None

    @property
    def win_rate(self) -> Decimal:
        """Trades that ended above zero after fees, as a fraction of all."""
        return Decimal(self.wins) / self.trades

    @property
    def spark(self) -> str:
        """Path data of a small line."""
        return spark([value for _, value in self.curve])

    @property
    def days(self) -> int:
        """How many days it spans, begun ones counted."""
        return max((self.until - self.since).days + 1, 1)


MarketKey = tuple[int, str]
"""Instrument and timeframe: what versions of a strategy have in common."""
Lines = Mapping[int, tuple[int, MarketKey]]
"""The schedules to read, each with its strategy and market."""


@dataclass(frozen=True, slots=True)
class Records:
    """The two records of a strategy, or of one of its markets; None where nobody's trade has closed yet."""

    live: Record | None = None
    paper: Record | None = None

    @property
    def chief(self) -> Record | None:
        """The one that says more: live before paper."""
        return self.live or self.paper

    @property
    def risk(self) -> RiskClass | None:
        """By the live record where it is long enough, else by the one on paper."""
        return (self.live.risk if self.live else None) or (self.paper.risk if self.paper else None)


_Kinds = dict[bool, list[SignalRecord]]


def records(lines: Lines, points: int) -> dict[int, tuple[Records, dict[MarketKey, Records]]]:
    """By strategy its records, and those of each of its markets; curves thinned to `points`.

    What a strategy's records are does not depend on which others are asked for. One query, and one for every hundred strategies.
    """
    whole: dict[int, _Kinds] = {strategy: defaultdict(list) for strategy, _ in lines.values()}
    apart: dict[int, dict[MarketKey, _Kinds]] = {strategy: {} for strategy in whole}
    for row in _rows(lines):
        strategy, market = lines[row.schedule_id]
        whole[strategy][row.is_paper].append(row)
        apart[strategy].setdefault(market, defaultdict(list))[row.is_paper].append(row)
    return {
        strategy: (
            _both(kinds, lines, points),
            {market: _both(rows, lines, points) for market, rows in apart[strategy].items()},
        )
        for strategy, kinds in whole.items()
    }


def _both(kinds: _Kinds, lines: Lines, points: int) -> Records:
    live, paper = (_record(kinds[on_paper], lines, points) if on_paper in kinds else None for on_paper in (False, True))
    return Records(live, paper)


def _rows(lines: Lines) -> list[SignalRecord]:
    """Of each strategy its own window's rows, oldest first. Were there more than the most, the newest; a record says since when it is."""
    mine = SignalRecord.objects.filter(schedule=OuterRef("pk")).order_by("-last_closed_at").values("last_closed_at")
    newest = Schedule.objects.filter(pk__in=sorted(lines)).annotate(last=Subquery(mine[:1])).values_list("pk", "last")
    until: dict[int, datetime] = {}
    for schedule_id, last in newest:
        strategy = lines[schedule_id][0]
        if last is not None:
            until[strategy] = max(last, until.get(strategy, last))
    schedules: dict[int, list[int]] = defaultdict(list)
    for schedule_id, (strategy, _) in lines.items():
        schedules[strategy].append(schedule_id)
    asked = [(sorted(schedules[strategy]), last - WINDOW) for strategy, last in sorted(until.items())]
    found: list[SignalRecord] = []
    for n in range(0, len(asked), AT_ONCE):
        found += _read(asked[n : n + AT_ONCE])
    return found


def _read(asked: Sequence[tuple[Sequence[int], datetime]]) -> list[SignalRecord]:
    """The newest rows of each set of schedules since its moment, oldest first: a look into the index for each set."""
    parts: list[str] = []
    parameters: list[Any] = []
    for schedule_ids, since in asked:
        mine, ids = fast.among("schedule_id", schedule_ids)
        newest = f"{mine} AND last_closed_at >= %s ORDER BY last_closed_at DESC, id DESC LIMIT %s"
        parts.append(f"SELECT id FROM (SELECT id FROM trading_signalrecord WHERE {newest}) s")  # noqa: S608 our own words
        parameters += [*ids, fast.prepared(SignalRecord, "last_closed_at", since), MOST_SIGNALS]
    return fast.select(SignalRecord, f"id IN ({' UNION ALL '.join(parts)}) ORDER BY last_closed_at, id", parameters)


def _record(rows: Sequence[SignalRecord], lines: Lines, points: int) -> Record:
    trades, with_stop = sum(row.trades for row in rows), sum(row.with_stop for row in rows)
    markets = len({lines[row.schedule_id][1] for row in rows})
    returned, curve = _curve(rows, markets)
    return Record(
        is_paper=rows[0].is_paper,
        signals=len(rows),
        trades=trades,
        wins=sum(row.wins for row in rows),
        returned=settle(returned),
        worst=min((fall for _, fall in drawdown(curve)), default=0.0),
        r=settle(sum((row.r_total for row in rows), ZERO) / with_stop) if with_stop else None,
        slippage=settle(sum((row.slippage_total for row in rows), ZERO) / trades),
        delay=timedelta(milliseconds=sum(row.delay_ms_total for row in rows) / trades),
        since=rows[0].last_closed_at,
        until=rows[-1].last_closed_at,
        curve=tuple(thinned(curve, points)),
        risk=_risk(rows, markets),
    )


def _curve(rows: Sequence[SignalRecord], markets: int) -> tuple[Decimal, list[Point]]:
    returned, curve = ZERO, [(rows[0].last_closed_at, 1.0)]
    for row in rows:
        returned += row.return_total / row.trades / markets
        curve.append((row.last_closed_at, float(1 + returned)))
    return returned, curve


def _risk(rows: Sequence[SignalRecord], markets: int) -> RiskClass | None:
    """By the worst fall of the results in R: followers' own sizes play no part in it."""
    rated = [float(row.r_total) / row.with_stop for row in rows if row.with_stop]
    if len(rated) < RATED_FROM:
        return None
    level = peak = fall = 0.0
    for r in rated:
        level += r * RISK_PER_TRADE / markets
        peak = max(peak, level)
        fall = max(fall, peak - level)
    return RiskClass.LOW if fall < 0.05 else RiskClass.MEDIUM if fall < 0.15 else RiskClass.HIGH
