"""`manage.py up`: the whole product on one machine, web, worker and engine, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import asyncio
import signal
import sys
from argparse import ArgumentParser
from typing import Any, NoReturn

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import DatabaseError, connections

from signalist.engine import demo_cast
from signalist.engine.demonstration import STOPPED, Refused, migrate, set_up
from signalist.engine.market import SYNTHETIC
from signalist.engine.supervisor import Program, Supervisor, answers, busy
from signalist.execution.engines import AnotherEngine
from signalist.venues.kraken.parse import KRAKEN
from tenants.models import User

ASK_EVERY = 0.2
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # looked up, not bound to


MARKETS = {
    SYNTHETIC: "Synthetic market",
    KRAKEN: "Prices of Kraken",
    "recorded": "Recorded market",
    "none": "Prices of venues",
}
"""What pages call the market."""


class Command(BaseCommand):
    """Exit status 0 after a clean stop, 2 when it cannot start."""

    requires_system_checks = ()  # they would load every page, and the web process makes them
    help = "Run web, worker and engine side by side, and start again what crashes."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--bind", default="127.0.0.1", help="address to listen at")
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument(
            "--market",
            choices=[SYNTHETIC, KRAKEN, "recorded", "none"],
            default=SYNTHETIC,
            help="synthetic: the engine makes it; kraken: Kraken's public prices, traded on with play money; recorded: its time and "
            "prices come from `manage.py replay --speed`",
        )
        parser.add_argument("--demo", action="store_true", help="set up the demonstration first, where it is not there")

    def handle(self, *args: Any, **options: Any) -> None:
        bind, port = options["bind"], options["port"]
        reason = busy(bind, port)
        if reason:
            self._refuse(f"Nothing can listen at {bind} port {port} ({reason}); choose another with --port.")
        try:
            self._prepare(options["demo"], options["market"])
        except (Refused, AnotherEngine) as error:
            self._refuse(str(error))
        except DatabaseError as error:
            reason = str(error).strip().splitlines()[0]
            self._refuse(f"The database that DATABASE_URL names cannot be used: {reason}.")
        except KeyboardInterrupt:
            self._say(STOPPED)
            sys.exit(130)
        self._log_ins = f"{demo_cast.log_ins()}\n" if User.objects.filter(email=demo_cast.DEMO.email).exists() else ""
        connections.close_all()  # it has nothing to ask any more, for as long as everything runs
        asyncio.run(self._run(bind, port, options["market"]))
        self._say("Everything has stopped.")

    async def _run(self, bind: str, port: int, market: str) -> None:
        supervisor = Supervisor(programs(bind, port, market), self._say)
        loop = asyncio.get_running_loop()
        # Started with `nohup`, it goes on when its terminal is gone.
        hang_up = [] if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [signal.SIGHUP]
        for number in (signal.SIGTERM, signal.SIGINT, *hang_up):
            loop.add_signal_handler(number, supervisor.stop)
        announcing = asyncio.create_task(self._announce(bind, port))
        await supervisor.run()
        announcing.cancel()

    async def _announce(self, bind: str, port: int) -> None:
        """Say where it is, once it is there."""
        host = EVERYWHERE.get(bind, bind)
        # Whatever it says: a site in production may send those who ask without its name elsewhere.
        while not 0 < await answers(host, port, "/health") < 500:  # noqa: ASYNC110  # it is another process that gets ready
            await asyncio.sleep(ASK_EVERY)
        shown = f"[{host}]" if ":" in host else host
        self._say(f"\nSignalist is at http://{shown}:{port}/ (Ctrl-C stops it)\n{self._log_ins}")

    def _prepare(self, demo: bool, market: str) -> None:
        """Bring the tables up to date, which is done by hand in production, and set the demonstration up where it is wanted."""
        if demo:
            set_up(self._say, market=market)
        elif not settings.PRODUCTION:
            migrate()

    def _refuse(self, sentence: str) -> NoReturn:
        self.stderr.write(sentence)
        sys.exit(2)

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def programs(bind: str, port: int, market: str) -> list[Program]:
    """What runs side by side."""
    manage = [sys.executable, str(settings.BASE_DIR / "manage.py")]
    moves = ["--clock", "market", "--market", "none"] if market == "recorded" else ["--market", market]
    daphne = [sys.executable, "-m", "daphne", "-v", "0", "-b", bind, "-p", str(port), "signalist.asgi:application"]
    # Lines are to appear when they are written, not when a buffer is full.
    at_once = {"PYTHONUNBUFFERED": "1"}
    return [
        Program("web", daphne, {**at_once, "SIGNALIST_MARKET_NAME": MARKETS[market]}),
        Program("engine", [*manage, "engine", *moves], at_once),
        # Nobody waits for its first job; the others get the processors to begin with.
        Program("worker", [*manage, "qcluster"], at_once, after=3.0),
    ]
