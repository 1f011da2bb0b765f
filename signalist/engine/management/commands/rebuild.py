"""`manage.py rebuild [--check]`: recompute from the fills what is folded from them."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction

from signalist.trading.rebuild import differences, rebuild
from tenants.doors import across_tenants
from tenants.rls import become_engine


class Command(BaseCommand):
    """With --check nothing is written, and the exit status is 1 when something differs."""

    requires_system_checks = ()  # they would load every page
    help = "Recompute orders, positions, trades, daily results and reservations from the fills."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="compare only; exit status 1 when something differs")

    def handle(self, *args: Any, **options: Any) -> None:
        become_engine()
        with across_tenants("rebuild"), transaction.atomic():
            if not options["check"]:
                self.stdout.write(f"{rebuild()} values rewritten.")
            found = list(differences())
        for difference in found:
            self.stdout.write(str(difference))
        self.stdout.write("Everything agrees with the fills." if not found else f"{len(found)} differences.")
        if found:
            sys.exit(1)
