"""The web process of `ticker_relay`: Daphne with the whole application.

Prints one line of JSON when it listens, and another with what it measured when its standard input says anything.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from array import array
from datetime import datetime, timedelta
from importlib import import_module
from typing import Any

from tests.benchmarks.ticker_fanout import _resident_kb

LOOK_EVERY = 0.5
"""Seconds between two looks at the rows, as pages were fed before prices went past them."""


def main() -> None:
    """Serve until told to end."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "signalist.settings")
    os.environ["SIGNALIST_PROCESS"] = "web"
    application = import_module("signalist.asgi").application
    server_module = import_module("daphne.server")
    server = server_module.Server(
        application, endpoints=["tcp:port=0:interface=127.0.0.1"], signal_handlers=False, verbosity=0
    )
    threading.Thread(target=_obey, args=(server, server_module.twisted_loop), daemon=True).start()
    server.run()


class Waits:
    """Seconds that prices took, in fixed storage, and this process's memory as it went on."""

    def __init__(self) -> None:
        self.sent, self.stored, self.memory = array("f"), array("f"), array("l")
        self._seen: dict[int, datetime] = {}

    def note(self, wait: timedelta) -> None:
        self.sent.append(wait.total_seconds())

    def look(self) -> None:
        """How old the rows are that have changed since the last look: what a page that is fed by them shows."""
        from signalist.clock import utc_now
        from signalist.markets.models import LatestPrice

        rows = list(LatestPrice.objects.values_list("instrument_id", "at"))
        now = utc_now()
        for key, at in rows:
            if self._seen.get(key) != at:
                self._seen[key] = at
                self.stored.append((now - at).total_seconds())
        self.memory.append(_resident_kb())


async def _watched(waits: Waits) -> None:
    from signalist.live.hub import hub

    hub().quotes.written = waits.note


def _obey(server: Any, loop: asyncio.AbstractEventLoop) -> None:
    while not server.listening_addresses:
        time.sleep(0.01)
    waits, done = Waits(), threading.Event()
    asyncio.run_coroutine_threadsafe(_watched(waits), loop).result()
    threading.Thread(target=lambda: (sys.stdin.readline(), done.set()), daemon=True).start()
    _say({"port": server.listening_addresses[0][1]})
    while not done.wait(LOOK_EVERY):
        waits.look()
    _say(
        {
            "sent": list(waits.sent),
            "stored": list(waits.stored),
            "memory_kb": list(waits.memory),
            "cpu_seconds": round(sum(os.times()[:2]), 1),
        }
    )
    os._exit(0)


def _say(words: dict[str, Any]) -> None:
    sys.stdout.write(f"{json.dumps(words)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
