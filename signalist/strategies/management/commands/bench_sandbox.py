"""`manage.py bench_sandbox`: from candle rows to signal rows through the sandbox, beside a bare fork, and many due at once."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from signalist.sandbox import bench
from signalist.sandbox.warm import CannotStart
from signalist.strategies.house import LIBRARY


class Command(BaseCommand):
    """Needs no database. Exit status 2 where nothing could be measured."""

    requires_system_checks = ()  # they would load every page
    help = "Measure how fast a stranger's strategy is run on this machine."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--strategy", default="moving_average_crossover", help="a file of the library")
        parser.add_argument("--runs", type=int, default=300)
        parser.add_argument("--bars", type=int, default=500)
        parser.add_argument("--due", type=int, default=1000, help="strategies that are due at one boundary")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        # As a stranger's: a window of all the bars, whatever the strategy would ask for.
        source = (LIBRARY / f"{options['strategy']}.py").read_text(encoding="utf-8")
        source += f"\n\nhistory = {options['bars']}\n"
        try:
            found = bench.measure(source, runs=options["runs"], bars=options["bars"], due=options["due"])
        except (bench.Unmeasured, CannotStart) as error:
            self.stderr.write(str(error))
            sys.exit(2)
        if options["json"]:
            self.stdout.write(json.dumps(found.as_json(), indent=2))
            return
        self.stdout.write(
            f"run: {found.run_ms.median:.2f} ms, p99 {found.run_ms.p99:.2f}; bare fork: {found.fork_ms.median:.2f} ms, p99 "
            f"{found.fork_ms.p99:.2f}; {found.p99_over_fork:.2f} x; {found.due} due at once: {found.boundary_s:.2f} s"
        )
