"""`manage.py check_strategy`: the publish gate on one file."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path
from typing import Any

import numpy as np
from django.core.management.base import BaseCommand

from signalist.domain.candles import CandleArrays
from signalist.domain.errors import DomainError
from signalist.domain.timeframes import TIMEFRAMES, Timeframe, timeframe
from signalist.markets.recordings import RecordingError, read_recording
from signalist.strategies.gate.checking import examine
from signalist.strategies.gate.values import CannotJudge, Report
from signalist.strategies.sources import find_source, given_parameter

REFUSED, CANNOT = 1, 2


class Command(BaseCommand):
    """Exit status 0 passed, 1 refused, 2 could not be run, with a sentence on standard error."""

    requires_system_checks = ()  # they would load every page
    help = "Say whether a strategy may be published, and if not why."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", help="a file that ends in .py, or a slug")
        parser.add_argument(
            "--candles", type=Path, help="a recording (CSV or CSV.gz) to try it on; made-up candles otherwise"
        )
        parser.add_argument("--timeframe", help="of the recording; read off its times")
        parser.add_argument("--param", type=_parameter, action="append", default=[], metavar="NAME=VALUE")
        parser.add_argument("--json", action="store_true", help="print the report as one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            strategy = find_source(options["file"])
            candles, frame = None, timeframe(options["timeframe"] or "1m")
            if options["candles"] is not None:
                candles, frame = _recorded(options["candles"], options["timeframe"])
            parameters = {**strategy.parameters, **dict(options["param"])}
            report = examine(strategy.source, parameters, candles, frame.seconds, house=strategy.house)
        except (CannotJudge, DomainError, RecordingError) as error:
            self.stderr.write(str(error))
            sys.exit(CANNOT)
        self._print(report, as_json=options["json"])
        if not report.passed:
            sys.exit(REFUSED)

    def _print(self, report: Report, *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(report.values()))
            return
        for check in report.checks:
            place = "" if check.line is None else f" (line {check.line})"
            self.stdout.write(f"{'passed ' if check.passed else 'REFUSED'} {check.name:12} {check.detail}{place}")


def _recorded(path: Path, code: str | None) -> tuple[CandleArrays, Timeframe]:
    """The candles of a recording, and their timeframe: the given one, else the longest that fits between all of its times."""
    if code is not None:
        frame = timeframe(code)
        return CandleArrays.of(read_recording(path, frame)), frame
    times = CandleArrays.of(read_recording(path, TIMEFRAMES[0])).time
    step = int(np.gcd.reduce(np.diff(times))) if len(times) > 1 else TIMEFRAMES[1].seconds
    fitting = [frame for frame in TIMEFRAMES if step % frame.seconds == 0]
    if not fitting:
        raise DomainError(f"{path}: its times lie {step} s apart, which is no timeframe; name it by --timeframe.")
    return CandleArrays.of(read_recording(path, fitting[-1])), fitting[-1]


def _parameter(text: str) -> tuple[str, object]:
    try:
        return given_parameter(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None
