"""`manage.py replay`: recorded candles through the whole pipeline on the paper venue."""

from __future__ import annotations

import asyncio
import json
import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import DatabaseError

from signalist.db.connections import no_waiting_for_disk
from signalist.domain.candles import Candle
from signalist.domain.errors import DomainError
from signalist.domain.timeframes import timeframe
from signalist.engine import demo_cast, garbage
from signalist.engine.demonstration import migrate
from signalist.engine.feeding import Feeding, check_engines
from signalist.engine.replay import Replay
from signalist.engine.replay_cast import Plan, ReplayError, set_up
from signalist.execution.engines import AnotherEngine
from signalist.markets.recordings import RecordingError, read_recording
from tenants.doors import across_tenants
from tenants.rls import become_engine

CANNOT = 2
LIMIT = 1e6


class Command(BaseCommand):
    """One JSON object on standard output; progress and errors on standard error; exit status 2 when it cannot run."""

    requires_system_checks = ()  # they would load every page
    help = "Replay recorded candles (CSV or CSV.gz) through the whole pipeline on the paper venue."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument(
            "--instrument", required=True, help="name of the instrument that was recorded, such as BTC-PERP"
        )
        parser.add_argument("--timeframe", required=True)
        parser.add_argument("--strategy", required=True, help="slug of a strategy, such as moving-average-crossover")
        parser.add_argument("--subscribers", type=int, default=20)
        parser.add_argument(
            "--start", type=_moment, default=None, help="first candle close, ISO 8601 (UTC unless it says otherwise)"
        )
        parser.add_argument("--end", type=_moment, default=None, help="last candle close")
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument(
            "--speed",
            type=_speed,
            default=None,
            help="max (the default): in this process, as fast as it goes; a number: into the running product, so many times "
            "faster than real time (`manage.py up --market recorded`)",
        )
        parser.add_argument("--json", action="store_true", help="print the result as one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            result = self._replay(options)
        except (ReplayError, RecordingError, DomainError, AnotherEngine) as error:
            self._refuse(str(error))
        except KeyboardInterrupt:
            self.stderr.write("Stopped. The same command goes on from here.")
            return
        except DatabaseError as error:
            self._refuse(f"The database that DATABASE_URL names cannot be used: {str(error).strip().splitlines()[0]}.")
        if options["json"]:
            self.stdout.write(json.dumps(result))
        else:
            for name, value in result.items():
                self.stdout.write(f"{name:20} {value}")

    def _replay(self, options: dict[str, Any]) -> dict[str, object]:
        if options["subscribers"] < 1:
            raise ReplayError("A replay needs at least one subscriber.")
        frame = timeframe(options["timeframe"])
        candles = read_recording(options["file"], frame, start=options["start"], end=options["end"])
        if not candles:
            raise ReplayError("No candle of the file lies between --start and --end.")
        settings.DEBUG = False  # Django keeps every statement of a debugging process in memory
        plan = Plan(
            options["file"], options["instrument"], frame, options["strategy"], options["subscribers"], options["seed"]
        )
        if options["speed"] is not None:
            return self._feed(plan, candles, options["speed"])
        migrate()
        become_engine()
        no_waiting_for_disk()
        garbage.look_seldom()
        return asyncio.run(Replay(plan, candles, self._tell).run())

    def _feed(self, plan: Plan, candles: Sequence[Candle], speed: float) -> dict[str, object]:
        with across_tenants("replay"):
            check_engines()
            if not settings.PRODUCTION:
                demo_cast.people()
        become_engine()
        with across_tenants("replay"):
            cast = set_up(plan, candles, alone=False)
            if not settings.PRODUCTION:
                demo_cast.demo_follows(cast.schedule, candles[0].close_time - plan.frame.length)
        return Feeding(plan, candles, cast, speed, self._tell).run()

    def _tell(self, line: str) -> None:
        self.stderr.write(line)

    def _refuse(self, sentence: str) -> None:
        self.stderr.write(sentence)
        sys.exit(CANNOT)


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < LIMIT:
        raise ArgumentTypeError(f"give max or a number above zero, not {text!r}")
    return speed


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
