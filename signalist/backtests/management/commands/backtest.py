"""`manage.py backtest`: a strategy over recorded candles, as one JSON object that the same input always gives byte for byte."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, ArgumentTypeError
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand
from django.db import DatabaseError

from signalist.backtests.encoding import encoded
from signalist.backtests.running import Backtest, Stopwatch, StrategyFailed, backtested
from signalist.backtests.walking import candidates_of, walked
from signalist.domain.backtest.markets import recorded_market
from signalist.domain.backtest.results import Values, equity_points, metric_values, trade_values
from signalist.domain.backtest.terms import BacktestTerms
from signalist.domain.backtest.walk_forward import folds
from signalist.domain.candles import CandleArrays
from signalist.domain.errors import DomainError
from signalist.domain.money import exact
from signalist.domain.timeframes import timeframe
from signalist.markets.recordings import RecordingError, read_recording
from signalist.strategies.sources import find_source, given_parameter

CANNOT = 2
USUAL_RISK = Decimal("0.02")


class Command(BaseCommand):
    """The result on standard output; a sentence on standard error and exit status 2 where it cannot be run."""

    requires_system_checks = ()  # they would load every page
    help = "Trade a strategy over recorded candles (CSV or CSV.gz)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("strategy", help="a slug such as moving-average-crossover, or a file that ends in .py")
        parser.add_argument("--candles", type=Path, required=True)
        parser.add_argument("--timeframe", required=True)
        parser.add_argument(
            "--param", type=_parameter, action="append", default=[], metavar="NAME=VALUE", help="may be repeated"
        )
        parser.add_argument("--start", type=_moment, help="where the first candle may begin, ISO 8601")
        parser.add_argument("--end", type=_moment, help="where the last candle may close")
        parser.add_argument("--capital", type=_number, default=Decimal(10_000))
        sizes = parser.add_mutually_exclusive_group()
        sizes.add_argument("--risk", type=_number, help="fraction of the capital lost at the stop; 0.02")
        sizes.add_argument("--notional", type=_number, help="fraction of the capital that a position is worth")
        sizes.add_argument("--quantity", type=_number, help="base units of every position")
        parser.add_argument("--leverage", type=_number, default=Decimal(1))
        parser.add_argument(
            "--fee", type=_number, default=Decimal("0.001"), help="fraction of the value of each side; 0.001 is 0.1 %%"
        )
        parser.add_argument("--slippage", type=_number, default=Decimal(0), help="fraction of the price")
        parser.add_argument("--tick", type=_number, help="the price step; read off the candles")
        parser.add_argument("--lot", type=_number, help="the quantity step; 0.00000001")
        parser.add_argument("--spot", action="store_true", help="a market that is not sold short")
        parser.add_argument(
            "--walk-forward",
            type=int,
            metavar="FOLDS",
            help="also in so many stretches, each after a past to choose by",
        )
        parser.add_argument("--past", type=int, default=2, help="stretches of a fold's past; 2")
        parser.add_argument("--anchored", action="store_true", help="a fold's past begins with the candles")
        parser.add_argument(
            "--try",
            dest="tried",
            type=_parameters,
            action="append",
            default=[],
            metavar="NAME=VALUE,…",
            help="values to choose from in each fold, in the place of those given; may be repeated",
        )
        parser.add_argument("--json", action="store_true", help="print the result as one JSON object")
        parser.add_argument("--no-equity", action="store_true", help="leave out the equity at every bar")
        parser.add_argument("--timing", action="store_true", help="say how many seconds each stage took")

    def handle(self, *args: Any, **options: Any) -> None:
        watch = Stopwatch()
        try:
            result, walk = self._run(options, watch)
        except (RecordingError, DomainError, StrategyFailed) as error:
            self._refuse(str(error))
        except DatabaseError as error:
            self._refuse(f"The database that DATABASE_URL names cannot be used: {str(error).strip().splitlines()[0]}.")
        if options["json"]:
            printed = self._values(result, options, watch) | ({} if walk is None else {"walk_forward": walk})
            self.stdout.write(encoded(printed))
        else:
            for name, value in metric_values(result.metrics, result.outcome).items():
                self.stdout.write(f"{name:22} {value}")
            if walk is not None:
                self.stdout.write(f"{'walk_forward':22} {encoded(walk)}")

    def _run(self, options: dict[str, Any], watch: Stopwatch) -> tuple[Backtest, Values | None]:
        frame = timeframe(options["timeframe"])
        strategy = find_source(options["strategy"])
        candles = watch.timed(
            "read",
            lambda: CandleArrays.of(
                read_recording(options["candles"], frame, start=options["start"], end=options["end"])
            ),
        )
        steps = {"tick": options["tick"], "lot": options["lot"], "spot": options["spot"]}
        spec = recorded_market(options["candles"].name, candles, leverage=options["leverage"], **steps)
        parameters = {**strategy.parameters, **dict(options["param"])}
        terms, house = _terms(options), strategy.house
        result = backtested(strategy.source, parameters, candles, frame.seconds, terms, spec, watch, house=house)
        if options["walk_forward"] is None:
            return result, None
        stretches = folds(len(candles), options["walk_forward"], past=options["past"], anchored=options["anchored"])
        tried = candidates_of(strategy.source, options["tried"], parameters, candles, house=house)
        bars = result.outcome.bars
        return result, watch.timed(
            "walk_forward", lambda: walked(bars, tried or {"": result.signals}, terms, spec, stretches)
        )

    def _values(self, result: Backtest, options: dict[str, Any], watch: Stopwatch) -> dict[str, object]:
        values: dict[str, object] = {
            "metrics": metric_values(result.metrics, result.outcome),
            "trades": trade_values(result.outcome),
        }
        if not options["no_equity"]:
            values["equity"] = equity_points(result.outcome, result.curve)
        if options["timing"]:
            values["timing"] = {stage: round(seconds, 6) for stage, seconds in watch.seconds.items()}
        return values

    def _refuse(self, sentence: str) -> None:
        self.stderr.write(sentence)
        sys.exit(CANNOT)


def _terms(options: dict[str, Any]) -> BacktestTerms:
    """Raises DomainError for terms that make no sense."""
    risk, notional, quantity = options["risk"], options["notional"], options["quantity"]
    return BacktestTerms(
        options["capital"],
        risk_fraction=USUAL_RISK if risk is None and notional is None and quantity is None else risk,
        notional_fraction=notional,
        quantity=quantity,
        leverage=options["leverage"],
        fee_rate=options["fee"],
        slippage=options["slippage"],
    )


def _parameter(text: str) -> tuple[str, object]:
    try:
        return given_parameter(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


def _parameters(text: str) -> dict[str, object]:
    return dict(map(_parameter, text.split(",")))


def _number(text: str) -> Decimal:
    try:
        return exact(text)
    except DomainError as error:
        raise ArgumentTypeError(str(error)) from None


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
