"""`manage.py sandbox_check`: which walls stand around strategies on this machine, tried from inside."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from signalist.sandbox import probe


class Command(BaseCommand):
    """Exit status 0 where a stranger's code may run here, 1 where it is refused, 2 where nothing can be run at all."""

    requires_system_checks = ()  # they would load every page
    help = "Say which walls stand around strategies here, and whether a stranger's code is run."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        report = probe.report()
        if options["json"]:
            self.stdout.write(json.dumps(report.as_json(), indent=2))
        else:
            for line in report.lines():
                self.stdout.write(line)
        if not report.strangers:
            sys.exit(1 if report.walls else 2)
