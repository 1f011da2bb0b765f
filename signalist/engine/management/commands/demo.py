"""`manage.py demo`: a dozen workspaces, four strategies, and two hours of trading behind them, ending now."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand

from signalist.engine.demo_cast import log_ins
from signalist.engine.demonstration import LENGTH, STOPPED, Refused, set_up
from signalist.execution.engines import AnotherEngine


class Command(BaseCommand):
    """Safe to repeat: once everything is there, nothing but the log-ins is printed. Exit status 2 when it cannot run."""

    requires_system_checks = ()  # they would load every page
    help = "Set up the demonstration: people, strategies, subscribers and two hours of the synthetic market."

    def add_arguments(self, parser: ArgumentParser) -> None:
        minutes = LENGTH // timedelta(minutes=1)
        parser.add_argument(
            "--minutes", type=int, default=minutes, help="how much of the synthetic market's past to make"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            set_up(self.stderr.write, timedelta(minutes=options["minutes"]))
        except (Refused, AnotherEngine) as error:
            self.stderr.write(str(error))
            sys.exit(2)
        except KeyboardInterrupt:
            self.stderr.write(STOPPED)
            sys.exit(130)
        self.stdout.write(log_ins())
