"""`manage.py instruments VENUE`: what a venue lists, what has changed of it, and which of its markets are offered here."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from collections import Counter
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from signalist.clock import utc_now
from signalist.markets.listing_models import InstrumentChange, VenueListing
from signalist.markets.listings import ask_for, offer
from signalist.markets.models import Instrument
from tenants.rls import become_engine

CANNOT = 2
SHOWN = 20


class Command(BaseCommand):
    """Exit status 0 when it is done, 2 when it cannot be."""

    requires_system_checks = ()  # they would load every page
    help = "Show what a venue lists and what has changed of it; offer its markets here, or offer them no more."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("venue")
        parser.add_argument(
            "--ask", action="store_true", help="have the engine that feeds from the venue hear its list anew"
        )
        parser.add_argument(
            "--offer", nargs="+", default=[], metavar="SYMBOL", help="offer these markets on this installation"
        )
        parser.add_argument(
            "--withdraw",
            nargs="+",
            default=[],
            metavar="SYMBOL",
            help="offer these no more; exits are sent all the same",
        )
        parser.add_argument("--json", action="store_true", dest="as_json")

    def handle(self, *args: Any, **options: Any) -> None:
        settings.DEBUG = False  # Django keeps every statement of a debugging process in memory
        become_engine()
        try:
            offer(options["venue"], options["offer"])
            offer(options["venue"], options["withdraw"], offered=False)
        except LookupError as error:
            self.stderr.write(str(error.args[0]))
            sys.exit(CANNOT)
        if options["ask"]:
            ask_for(options["venue"], utc_now())
        told = _told(options["venue"])
        if options["as_json"]:
            self.stdout.write(json.dumps(told))
        else:
            self._tell(told)

    def _tell(self, told: dict[str, Any]) -> None:
        heard = told["heard_at"] or "never"
        self.stdout.write(
            f"{told['venue']}: {told['listed']} markets in its list, heard {heard}. {told['problem']}".rstrip()
        )
        states = ", ".join(f"{count} {word}" for word, count in told["states"].items())
        self.stdout.write(f"In the books: {states or 'none'}. Offered here: {', '.join(told['offered']) or 'none'}.")
        for change in told["changes"]:
            self.stdout.write(
                f"{change['at']}  {change['symbol']}  {change['name']}: {change['before'] or '-'} → {change['after']}"
            )


def _told(code: str) -> dict[str, Any]:
    listing = VenueListing.objects.filter(code=code).first() or VenueListing(code=code)
    rows = list(Instrument.objects.filter(venue=code).order_by("symbol").values_list("symbol", "trading", "is_active"))
    changes = (
        InstrumentChange.objects.filter(instrument__venue=code).select_related("instrument").order_by("-at", "-pk")
    )
    return {
        "venue": code,
        "listed": listing.listed,
        "heard_at": None if listing.heard_at is None else listing.heard_at.isoformat(timespec="seconds"),
        "problem": listing.problem,
        "states": dict(sorted(Counter(trading for _, trading, _ in rows).items())),
        "offered": [symbol for symbol, _, is_active in rows if is_active],
        "changes": [
            {"at": row.at.isoformat(timespec="seconds"), "symbol": row.instrument.symbol, "name": row.name}
            | {"before": row.before, "after": row.after}
            for row in changes[:SHOWN]
        ],
    }
