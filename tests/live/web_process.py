"""A web process for tests: Daphne with the whole application, the tests' regions and a page that shows them, `/test-page/`.

Run as `python -m tests.live.web_process PACE [PORT]`, or so in a child of `tests.flows.nursery`; PACE is JSON with fields of `Pace`. It
prints the port that it listens on, and ends when its standard input does.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from importlib import import_module


def main(pace: dict[str, float], port: str) -> None:
    """Serve until told to end."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "signalist.settings")
    os.environ["SIGNALIST_PROCESS"] = "web"
    from django.conf import settings

    application = import_module("signalist.asgi").application
    server_module = import_module("daphne.server")
    from signalist.live.hub import Hub, use
    from signalist.live.pace import Pace
    from signalist.live.regions import register
    from tests.live.regions import LONG, NEWS, ROWS, TEMPLATES, WORDS

    settings.TEMPLATES[0]["DIRS"].append(TEMPLATES)
    for region in (WORDS, NEWS, LONG, ROWS):
        register(region)
    _open_the_page()
    if pace:
        server_module.twisted_loop.call_soon(lambda: use(Hub(Pace(**pace))))
    server = server_module.Server(application, endpoints=[f"tcp:port={port}:interface=127.0.0.1"], verbosity=0)
    threading.Thread(target=_watch, args=(server,), daemon=True).start()
    server.run()


def _open_the_page() -> None:
    from django.shortcuts import render
    from django.urls import path

    from tenants.access import member

    regions = ("test-words", "test-rows")
    page = member(lambda request: render(request, "test-page.html", {"regions": regions, "words": ["first"]}))
    import_module("signalist.urls").urlpatterns.append(path("test-page/", page))


def _watch(server: object) -> None:
    """Say where it listens; a test that ends without a word takes its processes with it."""
    while not server.listening_addresses:  # type: ignore[attr-defined]
        time.sleep(0.01)
    sys.stdout.write(f"{server.listening_addresses[0][1]}\n")  # type: ignore[attr-defined]
    sys.stdout.flush()
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), *(sys.argv[2:] or ["0"]))
