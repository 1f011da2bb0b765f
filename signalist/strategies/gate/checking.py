"""Runs all checks of the gate on one strategy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from signalist.domain.candles import CandleArrays
from signalist.sandbox import FailureKind
from signalist.strategies.gate.honesty import determinism, lookahead, warmup
from signalist.strategies.gate.made_up import MadeUp, made_up_candles
from signalist.strategies.gate.source_checks import broken_import, imports, parse
from signalist.strategies.gate.subject import Budget, Subject
from signalist.strategies.gate.trading_checks import resources, stops, walkforward
from signalist.strategies.gate.values import NAMES, Broke, CannotJudge, Check, Refused, Report

FEWEST = 200
_NOT_STARTED = "could not be started"
USUAL = 3_000

_CHECKS: dict[str, Callable[[Subject], str]] = dict(
    zip(NAMES, (parse, imports, determinism, lookahead, warmup, resources, stops, walkforward), strict=True)
)
# Without these there is nothing to go on with.
_NEEDED = ("parse", "imports", "determinism")


def examine(
    source: str,
    parameters: Mapping[str, object],
    candles: CandleArrays | None = None,
    seconds: int = 60,
    *,
    house: bool = False,
    budget: Budget | None = None,
    promised: int | None = None,
    which: MadeUp | None = None,
    only: Sequence[str] = NAMES,
) -> Report:
    """The gate's report on a strategy's `source` with these parameters, on `candles` of so many `seconds` each, or on made-up ones.

    `house` is code of our own library; `promised` the history that a version's row says, with whose parameters the file must agree,
    because it is run by the row and never asked again; `which` names the made-up market, `only` the checks that are made. Raises
    CannotJudge where the candles are too few for what the strategy looks at, or where this machine does not run it.
    """
    none = CandleArrays.of([])
    subject = Subject(
        source, parameters, none if candles is None else candles, seconds, house, budget or Budget(), promised
    )
    done: dict[str, Check] = {}
    for name, check in _CHECKS.items():
        if name in done or name not in only:
            continue
        stopped = next((needed for needed in _NEEDED if needed in done and not done[needed].passed), None)
        if stopped is not None:
            done[name] = Check(name, False, f"Not tried, because {stopped} was refused.")
            continue
        if name == "determinism":
            _provide_candles(subject, which or MadeUp(), made_up=candles is None)
        done |= _tried(name, check, subject)
    return Report(tuple(done[name] for name in NAMES if name in done))


def _tried(name: str, check: Callable[[Subject], str], subject: Subject) -> dict[str, Check]:
    """The answer of one check, and of the check that what went wrong in it belongs to."""
    try:
        return {name: Check(name, True, check(subject))}
    except Refused as refused:
        return {name: Check(name, False, refused.detail, refused.line)}
    except Broke as broke:
        failed = broke.failed
        if failed.kind is FailureKind.REFUSED or (failed.kind is FailureKind.DIED and _NOT_STARTED in failed.message):
            raise CannotJudge(failed.message) from None
        of_import = broken_import(broke)
        owner = "imports" if of_import is not None else "resources" if broke.used_too_much else name
        told = Check(owner, False, failed.message, failed.line)
        if owner == name:
            return {name: told}
        return {name: Check(name, False, f"Not finished: {failed.message}", failed.line), owner: told}


def _provide_candles(subject: Subject, which: MadeUp, *, made_up: bool) -> None:
    if made_up:
        subject.candles = made_up_candles(max(USUAL, 2 * subject.history + USUAL // 2), subject.seconds, which)
    elif len(subject.candles) < subject.history + FEWEST:
        raise CannotJudge(
            f"There are {len(subject.candles)} candles; a strategy that looks at {subject.history} is tried on "
            f"{subject.history + FEWEST} or more."
        )
