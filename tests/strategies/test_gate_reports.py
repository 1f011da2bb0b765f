"""What the gate said stays with the version that it said it of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from signalist.domain.timeframes import timeframe
from signalist.markets.models import Candle
from signalist.strategies.gate.made_up import made_up_candles
from signalist.strategies.gate.values import NAMES
from signalist.strategies.gate_reports import examined, newest_report
from signalist.strategies.models import Strategy, StrategyVersion
from tests.pages.ledger import instrument as market

NOW = datetime(2024, 3, 1, tzinfo=UTC)


@pytest.mark.django_db
def test_the_newest_report_of_a_version_counts_and_the_others_stay() -> None:
    strategy = Strategy.objects.create(slug="broken", name="Broken")
    numbers = {"parameters": {}, "history": 1, "content_hash": "0" * 64}
    version = StrategyVersion.objects.create(
        strategy=strategy, number=1, source="import socket\nhistory = 1\n", **numbers
    )
    other = StrategyVersion.objects.create(strategy=strategy, number=2, source="history = ", **numbers)
    assert newest_report(version.pk) is None
    first = examined(version, NOW)
    second = examined(version, NOW + timedelta(hours=1))
    examined(other, NOW + timedelta(hours=2))
    newest = newest_report(version.pk)
    assert newest == second
    assert newest is not None
    assert newest.passed is False
    assert [check["name"] for check in newest.checks] == list(NAMES)
    assert newest.checks[0]["passed"] is False
    seeds = {report.markets[0]["made_up"]["seed"] for report in (first, second)}
    assert len(seeds) == 2
    assert version.gate_reports.count() == 2


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("row", "words"),
    [({"history": 9}, "looks at 5 candles now and at 9"), ({"parameters": {"n": 4}}, "other parameters")],
)
def test_a_file_that_declares_other_than_its_row_is_refused(row: dict[str, object], words: str) -> None:
    source = "from signalist_strategy import Parameter\nparameters = {'n': Parameter(int, 3), 'm': Parameter(int, 2)}\n"
    source += "history = 5\ndef signals(candles, parameters):\n    pass\n"
    whole = {"history": 5, "parameters": {"n": 3, "m": 2}, "content_hash": ""} | row
    strategy = Strategy.objects.create(slug="moody", name="Moody")
    version = StrategyVersion.objects.create(strategy=strategy, number=1, source=source, **whole)
    parse = examined(version, NOW).checks[0]
    assert (parse["passed"], words in parse["detail"]) == (False, True), parse


PEEKS = """
import numpy as np
from signalist_strategy import Signals
history = 20
def signals(candles, parameters):
    close = candles.close
    known = 1704067200 < candles.time[0] < 1704067200 + 60 * 40000
    long = close > np.append(close[:1], close[:-1]) if known else np.append(close[1:], close[-1:]) > close
    return Signals(enter_long=long, exit_long=~long, stop_long=close * 0.98)
"""
"""Looks ahead everywhere but on the candles that the gate's command makes up."""
DAYS = """
from signalist_strategy import Signals, indicators
history = 80
def signals(candles, parameters):
    c = candles
    day = indicators.resample(c.time, c.open, c.high, c.low, c.close, c.volume, 86400)
    up = c.close > day.at_bars(indicators.sma(day.close, 1)) if len(day) else c.close < 0
    return Signals(enter_long=up & indicators.crossed_above(c.close, indicators.sma(c.close, 20)), exit_long=~up, stop_long=c.close * 0.9)
"""
"""Needs no more than eighty candles of an hour; of a minute it would need thousands."""


@pytest.mark.django_db
def test_a_version_is_tried_on_its_own_timeframes_and_on_no_candles_that_it_could_know() -> None:
    strategy = Strategy.objects.create(slug="peeks", name="Peeks")
    venue = market("NOVA/USD")
    begin = datetime(2024, 1, 1, tzinfo=UTC)
    made = made_up_candles(300, 3_600)
    Candle.objects.bulk_create(
        Candle(
            instrument=venue, timeframe="1h", close_time=begin + timedelta(hours=bar + 1), volume=1,
            **{name: Decimal(str(getattr(made, name)[bar])) for name in ("open", "high", "low", "close")},
        )
        for bar in range(300)
    )  # fmt: skip
    numbers = {"parameters": {}, "content_hash": "0" * 64, "strategy": strategy}
    peeks = StrategyVersion.objects.create(number=1, source=PEEKS, history=20, markets=[[venue.pk, "1m"]], **numbers)
    said = {check["name"]: check for check in examined(peeks, NOW).checks}
    assert said["lookahead"]["passed"] is False
    days = StrategyVersion.objects.create(number=2, source=DAYS, history=80, markets=[[venue.pk, "1h"]], **numbers)
    report = examined(days, NOW)
    said = {check["name"]: check for check in report.checks}
    assert said["warmup"]["passed"], said
    assert said["lookahead"]["detail"].count("prefixes") == 2
    assert [market["seconds"] for market in report.markets] == [timeframe("1h").seconds] * 2
    assert len(report.markets[1]["candles"]) == 64
