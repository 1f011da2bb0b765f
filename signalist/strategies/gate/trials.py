"""Tries a version on several markets: made-up ones of each of its timeframes, and stored candles of its own; one report of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from signalist.domain.candles import CandleArrays
from signalist.strategies.gate.checking import examine
from signalist.strategies.gate.made_up import MadeUp
from signalist.strategies.gate.subject import Budget
from signalist.strategies.gate.values import NAMES, Check, Report

# What must hold on every market. How it trades on a short stretch of one market is no reason to refuse it.
HONESTY = ("parse", "imports", "determinism", "lookahead", "warmup", "resources")


@dataclass(frozen=True, slots=True)
class Trial:
    """Candles of `seconds` each to try a strategy on: `candles`, or those of the market `which`. `title` names them to the author."""

    title: str
    seconds: int
    which: MadeUp | None = None
    candles: CandleArrays | None = None


def examine_on(
    source: str,
    parameters: Mapping[str, object],
    trials: Sequence[Trial],
    budget: Budget,
    promised: int | None = None,
) -> Report:
    """One report of all `trials`: a check has passed where it passed in each, and tells where it did not. Raises CannotJudge."""
    reports = []
    for trial in trials:
        only = NAMES if trial.candles is None else HONESTY
        report = examine(
            source,
            parameters,
            trial.candles,
            trial.seconds,
            budget=budget,
            promised=promised,
            which=trial.which,
            only=only,
        )
        reports.append((trial.title, report))
        if not report.passed:
            break
    return _together(reports)


def _together(reports: Sequence[tuple[str, Report]]) -> Report:
    """Of several reports the first refusal of each check, or what all said; of one the report itself."""
    if len(reports) == 1:
        return reports[0][1]
    together = []
    for name in NAMES:
        said = [(title, check) for title, report in reports for check in report.checks if check.name == name]
        refused = next(((title, check) for title, check in said if not check.passed), None)
        if refused is not None:
            title, check = refused
            together.append(Check(name, False, f"On {title}: {check.detail}", check.line))
        elif len({check.detail for _, check in said}) == 1:
            together.append(said[0][1])
        else:
            together.append(Check(name, True, " ".join(f"On {title}: {check.detail}" for title, check in said)))
    return Report(tuple(together))
