"""`manage.py engine`: the process that trades."""

from __future__ import annotations

import asyncio
import signal
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from functools import partial
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from signalist import environment
from signalist.accounts.connectors import connectors
from signalist.accounts.keyholding import Keys
from signalist.audit.triggers import Disarmed, assert_armed
from signalist.clock import Clock, SystemClock
from signalist.db.connections import no_waiting_for_ever
from signalist.engine import garbage, real_market
from signalist.engine.live import LiveEngine
from signalist.engine.market import SYNTHETIC
from signalist.engine.paper_market import MarketClock
from signalist.engine.supplies import VenueMemory
from signalist.execution.engines import AnotherEngine
from signalist.venues.kraken.parse import KRAKEN
from tenants.rls import OverPrivileged, become_engine, refuse_privileged


class Command(BaseCommand):
    """Runs until SIGTERM or Ctrl-C; exit status 2 when it cannot run."""

    requires_system_checks = ()  # they would load every page
    help = "Run the trading engine: strategies, decisions, orders, reconciliation."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--clock",
            choices=["system", "market"],
            default="system",
            help="market: market time is that of the newest stored price, for recorded candles fed in by another process",
        )
        parser.add_argument(
            "--market",
            choices=[SYNTHETIC, KRAKEN, "none"],
            default=environment.text("SIGNALIST_MARKET", "none", choices=(SYNTHETIC, KRAKEN, "none")),
            help="synthetic: this engine makes the synthetic market as well, unless another one does; kraken: it feeds what follows "
            "Kraken's public prices (SIGNALIST_MARKET)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        settings.DEBUG = False  # Django keeps every statement of a debugging process in memory
        clock, synthetic = options["clock"], options["market"] == SYNTHETIC
        if options["market"] != "none" and clock == "market":
            self.stderr.write(
                f"The {options['market']} market is made by the system's clock; leave out --clock or --market."
            )
            sys.exit(2)
        sources = (KRAKEN,) if options["market"] == KRAKEN else ()
        try:
            no_waiting_for_ever()
            become_engine()
            refuse_privileged()
            assert_armed()
            garbage.look_seldom()
            asyncio.run(self._run(SystemClock() if clock == "system" else MarketClock(), synthetic, sources))
        except (AnotherEngine, OverPrivileged, Disarmed) as error:
            self.stderr.write(str(error))
            sys.exit(2)

    async def _run(self, clock: Clock, synthetic: bool, sources: Sequence[str]) -> None:
        # What accounts are connected to by keys; with none served, nobody looks for keys.
        keys, memory = Keys(), VenueMemory()
        others = {
            code: served.venue_with(partial(keys.secrets_of, code), memory.of(code))
            for code, served in connectors().items()
            if served.is_play_money
        }
        engine = LiveEngine(
            clock,
            synthetic=synthetic,
            others=others,
            keys=keys if others else None,
            memory=memory,
            sources=[real_market.source(clock, memory.of(code)) for code in sources],
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, engine.stop)
        self.stderr.write("The engine is starting.")
        try:
            await engine.run()
        finally:
            for venue in others.values():
                if (close := getattr(venue, "close", None)) is not None:
                    await close()
        self.stderr.write("The engine has stopped.")
