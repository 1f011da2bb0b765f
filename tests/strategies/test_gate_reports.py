"""What the gate said stays with the version that it said it of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from signalist.strategies.gate.made_up import made_up_candles
from signalist.strategies.gate.values import NAMES
from signalist.strategies.gate_reports import examined, newest_report
from signalist.strategies.models import Strategy, StrategyVersion

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
    second = examined(version, NOW + timedelta(hours=1), made_up_candles(500, 60))
    examined(other, NOW + timedelta(hours=2))
    newest = newest_report(version.pk)
    assert newest == second
    assert newest is not None
    assert newest.passed is False
    assert [check["name"] for check in newest.checks] == list(NAMES)
    assert newest.checks[0]["passed"] is False
    assert (first.candles, len(second.candles)) == ("", 64)
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
