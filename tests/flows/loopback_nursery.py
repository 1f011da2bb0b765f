"""Forks engines that trade at a loopback venue: `python -m tests.flows.loopback_nursery ADDRESS CLOCK`.

It reads one JSON object a line. {"failpoint", "log", "count"} forks an engine that is killed at the failpoint, and answers with its process
id; {"ended": id} answers with that engine's exit status as `subprocess` gives it, or null while it runs. A failpoint whose name begins with
"@" is armed by SIGUSR1 and not before; at one that begins with "~" (behind the "@") the engine is not killed but freezes (SIGSTOP), and at
one with "%" the thread that is there sleeps for a minute. Beside the house's failpoints there is HOLDING. With "watches" the venue is taken
for one that keeps no stop and no target, with "nameless" for one that knows no ids of ours. "count" names a file for how often
each failpoint was passed from SIGUSR1 on. The database is that of DATABASE_URL. Everything is loaded before the fork and no connection is
open then, so an engine is up in no time.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import django
from django.db import connection

from signalist import failpoints
from tests.flows.market_time import FileClock

HOLDING = "holding"
"""A place within a transaction of any stage that has the rows of accounts in hand."""
MINUTE = 60.0


def main(address: str, clock: str) -> None:
    """Answer requests until standard input ends; in a child, be an engine."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "signalist.settings")
    django.setup()
    _load()
    ended: dict[int, int] = {}
    while line := sys.stdin.readline():
        request = json.loads(line)
        if "ended" in request:
            _collect(ended)
            _answer(ended.get(request["ended"]))
            continue
        child = os.fork()
        if not child:
            _become(request)
            _trade(address, FileClock(clock), bool(request.get("watches")), bool(request.get("nameless")))
            return
        _answer(child)


def _load() -> None:
    """Load what an engine imports on its way."""
    import psycopg
    from django.urls import get_resolver

    from signalist.engine.live import LiveEngine

    assert psycopg and LiveEngine and get_resolver


def _collect(ended: dict[int, int]) -> None:
    try:
        while True:
            child, status = os.waitpid(-1, os.WNOHANG)
            if not child:
                return
            ended[child] = os.waitstatus_to_exitcode(status)
    except ChildProcessError:
        return


def _answer(said: object) -> None:
    sys.stdout.write(f"{json.dumps(said)}\n")
    sys.stdout.flush()


def _become(request: dict[str, str]) -> None:
    """Arm the failpoint, which a fresh process reads from its environment, and take a log of its own for what it says."""
    name, _, count = request["failpoint"].partition(":")
    passed: Counter[str] = Counter()

    wanted = name.removeprefix("@")

    def strike(at: str) -> None:
        passed.update([at])
        if at == wanted[1:] and passed[at] == int(count or "1"):
            if wanted.startswith("%"):
                time.sleep(MINUTE)
            else:
                os.kill(os.getpid(), signal.SIGSTOP)

    def arm(*_: object) -> None:
        if wanted.startswith(("~", "%")):
            passed.clear()
            failpoints._watch = strike
            return
        failpoints._ARMED, failpoints._LEFT = wanted, int(count or "1")
        if request["count"]:
            failpoints._watch = lambda at: passed.update([at])

    _mark_holding()
    if name and not name.startswith("@"):
        arm()
    signal.signal(signal.SIGUSR1, arm)
    if request["count"]:
        atexit.register(lambda: Path(request["count"]).write_text(json.dumps(passed), encoding="utf-8"))
    nothing, log = os.open(os.devnull, os.O_RDONLY), os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number, handle in ((0, nothing), (1, log), (2, log)):
        os.dup2(handle, number)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _mark_holding() -> None:
    """A failpoint where a stage, in its transaction, asks which of the accounts that it has locked are its engine's."""
    from signalist.execution import leases

    mine = leases.mine

    def held(*given: Any) -> Any:
        found = mine(*given)
        if connection.in_atomic_block and found:
            failpoints.failpoint(HOLDING)
        return found

    leases.mine = held


def _trade(address: str, clock: FileClock, watches: bool, nameless: bool) -> None:
    from dataclasses import replace

    from signalist.clock import SystemClock
    from signalist.db.connections import no_waiting_for_ever
    from signalist.domain.orders import OrderType
    from signalist.engine.bench.house import secret_of
    from signalist.engine.live import LiveEngine
    from signalist.venues.loopback.client import Client, Numbers
    from signalist.venues.loopback.venue import CAPABILITIES, LOOPBACK, LoopbackVenue
    from tenants.rls import become_engine, refuse_privileged

    async def run() -> None:
        # Market time may stand still or jump; nonces go on.
        kinds = frozenset({OrderType.MARKET, OrderType.LIMIT}) if watches else CAPABILITIES.order_types
        abilities = replace(CAPABILITIES, order_types=kinds)
        if nameless:
            # What was not carried out within a second will not be.
            abilities = replace(abilities, order_identity="none", answer_within=1.0, looks=2, look_interval=0.2)
        venue = LoopbackVenue(Client(address, clock, size=50, numbers=Numbers(SystemClock())), secret_of, abilities)
        engine = LiveEngine(clock, others={LOOPBACK: venue})
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, engine.stop)
        try:
            await engine.run()
        finally:
            await venue.close()

    no_waiting_for_ever()
    become_engine()
    refuse_privileged()
    asyncio.run(run())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
