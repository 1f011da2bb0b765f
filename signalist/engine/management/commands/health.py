"""`manage.py health engine|worker|web`: whether that process works on this machine, for whoever restarts what does not."""

from __future__ import annotations

import asyncio
import socket
import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import DatabaseError
from django_q.conf import Conf
from django_q.status import Stat

from signalist.clock import utc_now
from signalist.engine.supervisor import answers
from signalist.execution.engines import on_this_machine
from signalist.execution.health import BEATS


class Command(BaseCommand):
    """One line on standard output; exit status 0 where all is well, 1 where not."""

    requires_system_checks = ()  # they would load every page
    help = "Say whether the engine, the worker or the web process of this machine works."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("process", choices=["engine", "worker", "web"])
        parser.add_argument("--port", type=int, default=8000, help="where the web process listens")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            well, told = {"engine": _engine, "worker": _worker}.get(options["process"], lambda: _web(options["port"]))()
        except DatabaseError as error:
            well, told = False, f"the database cannot be used: {str(error).strip().splitlines()[0]}"
        self.stdout.write(f"{options['process']}: {told}")
        if not well:
            sys.exit(1)


def _engine() -> tuple[bool, str]:
    engines = on_this_machine()
    if not engines:
        return False, "none runs here"
    age = utc_now() - engines[0].seen_at
    return age <= BEATS, f"seen {age.total_seconds():.1f} s ago"


def _worker() -> tuple[bool, str]:
    here = [stat for stat in Stat.get_all() if stat.host == socket.gethostname()]
    if not here:
        return False, "none runs here"
    return any(stat.status in (Conf.IDLE, Conf.WORKING) for stat in here), ", ".join(
        str(s.status).lower() for s in here
    )


def _web(port: int) -> tuple[bool, str]:
    # As a visitor of the site's own name would ask, whom production lets in.
    headers = {"Host": next(iter(settings.ALLOWED_HOSTS), "localhost").lstrip("."), "X-Forwarded-Proto": "https"}
    status = asyncio.run(answers("127.0.0.1", port, "/health", headers))
    return status == 200, f"answers with status {status}" if status else "does not answer"
