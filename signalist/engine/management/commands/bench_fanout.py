"""`manage.py bench_fanout`: how long one candle's signal takes to every subscriber's venue."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import DatabaseError, connection

from signalist.clock import SystemClock
from signalist.engine import garbage
from signalist.engine.bench.cast import NotEmpty, set_up
from signalist.engine.bench.companion import CompanionError, work_beside
from signalist.engine.bench.fanout import Bench
from signalist.engine.bench.house import HouseError
from signalist.engine.bench.report import POISONS, Plan
from signalist.execution.engines import AnotherEngine
from tenants.doors import across_tenants
from tenants.rls import become_engine

CANNOT = 2
USUAL_ENGINES = 2
"""So many engines at most share the accounts where nobody says how many."""
ONE_IN = 0.1
"""The share of subscribers who are poisoned where a kind is named and no share."""


class Command(BaseCommand):
    """One JSON object on standard output; progress and errors on standard error; exit status 2 when it cannot run."""

    requires_system_checks = ()  # they would load every page
    help = "Measure the fan-out on an empty database, against a venue in another process of this machine."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--subscribers", type=int, default=1000)
        parser.add_argument("--latency-ms", type=float, default=50.0, help="how long the venue takes to answer")
        parser.add_argument(
            "--legs", type=int, choices=(1, 2, 3), default=3, help="entry; and its stop; and its target"
        )
        parser.add_argument("--runs", type=int, default=5, help="medians are taken over these")
        parser.add_argument(
            "--poison",
            type=_poison,
            default=(0.0, POISONS),
            metavar="SHARE|KIND|all",
            help="have the venue misbehave in every other run with this share of subscribers, in all ways in turn; or with one in ten, "
            f"in all ways or in one: {', '.join(POISONS)}",
        )
        parser.add_argument(
            "--engines",
            type=int,
            default=None,
            help="how many engines share the accounts, each a process (PostgreSQL); by default one for each processor, two at most",
        )
        parser.add_argument(
            "--beside", metavar="ADDRESS", help="be a further engine of a benchmark, which starts these by itself"
        )
        parser.add_argument("--no-bare", action="store_true", help="leave out the bare client")
        parser.add_argument("--json", action="store_true", help="print the result as one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        settings.DEBUG = False  # Django keeps every statement of a debugging process in memory
        if options["beside"]:
            become_engine()
            asyncio.run(work_beside(options["beside"]))
            return
        several = connection.vendor == "postgresql"
        if options["engines"] is None:
            options["engines"] = min(os.cpu_count() or 1, USUAL_ENGINES) if several else 1
        if min(options["subscribers"], options["runs"], options["engines"]) < 1:
            self._refuse("A benchmark needs at least one subscriber, one run and one engine.")
        if options["engines"] > 1 and not several:
            self._refuse("Several engines need PostgreSQL; name one in DATABASE_URL, or leave out --engines.")
        plan = Plan(
            options["subscribers"],
            options["latency_ms"],
            options["legs"],
            options["runs"],
            options["poison"][0],
            not options["no_bare"],
            options["engines"],
            options["poison"][1],
        )
        try:
            result = self._bench(plan)
        except (NotEmpty, HouseError, CompanionError, AnotherEngine) as error:
            self._refuse(str(error))
        except DatabaseError as error:
            self._refuse(f"The database that DATABASE_URL names cannot be used: {str(error).strip().splitlines()[0]}.")
        if options["json"]:
            self.stdout.write(json.dumps(result))
        else:
            for name, value in result.items():
                self.stdout.write(f"{name:20} {value}")

    def _bench(self, plan: Plan) -> dict[str, object]:
        call_command("migrate", verbosity=0, interactive=False)
        with across_tenants("bench"):
            cast = set_up(plan.subscribers, plan.legs, SystemClock())
        become_engine()
        garbage.look_seldom()  # as the engine does
        return asyncio.run(Bench(plan, self.stderr.write).run(cast))

    def _refuse(self, sentence: str) -> None:
        self.stderr.write(sentence)
        sys.exit(CANNOT)


def _poison(text: str) -> tuple[float, tuple[str, ...]]:
    """The share of subscribers with whom the venue misbehaves, and in which ways."""
    if text == "all" or text in POISONS:
        return ONE_IN, POISONS if text == "all" else (text,)
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 0.5:
        raise ArgumentTypeError(f"give a share between 0 and 0.5, all, or one of {', '.join(POISONS)}, not {text!r}")
    return share, POISONS
