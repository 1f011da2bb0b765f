"""Further engines of a benchmark, each in a process of its own: `manage.py bench_fanout --beside ADDRESS`, where the venue is.

Such a process works until its standard input ends. For each line there it answers with one JSON line: the CPU seconds and the statements
that it has spent since the line before.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
from dataclasses import dataclass

from signalist.clock import SystemClock
from signalist.engine.bench.house import secret_of
from signalist.engine.bench.turns import Statements, Turns
from signalist.venues.loopback.client import Client
from signalist.venues.loopback.venue import LoopbackVenue

START_WITHIN = 30.0
ANSWER_WITHIN = 20.0


class CompanionError(RuntimeError):
    """A companion did not start, or does not answer; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What companions have spent: CPU seconds, and statements at the database."""

    cpu: float = 0.0
    queries: int = 0


class Companions:
    """So many further engines, which end with this process."""

    def __init__(self, count: int, address: str) -> None:
        self._count, self._address = count, address
        self._processes: list[asyncio.subprocess.Process] = []

    async def start(self) -> None:
        """Start them. Raises CompanionError."""
        for _ in range(self._count):
            self._processes.append(
                await asyncio.create_subprocess_exec(
                    *(sys.executable, sys.argv[0], "bench_fanout", "--beside", self._address),
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                )
            )
        for process in self._processes:
            await _heard(process, START_WITHIN)

    async def spent(self) -> Spent:
        """What all of them have spent since this was last asked. Raises CompanionError."""
        cpu, queries = 0.0, 0
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(b"\n")
            said = await _heard(process, ANSWER_WITHIN)
            cpu, queries = cpu + said["cpu"], queries + int(said["queries"])
        return Spent(cpu, queries)

    async def stop(self) -> None:
        """End them in good order; one that does not end by itself is killed."""
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.close()
        for process in self._processes:
            try:
                await asyncio.wait_for(process.wait(), ANSWER_WITHIN)
            except TimeoutError:
                process.kill()
                await process.wait()
        self._processes.clear()


async def _heard(process: asyncio.subprocess.Process, within: float) -> dict[str, float]:
    assert process.stdout is not None
    try:
        said: dict[str, float] = json.loads(await asyncio.wait_for(process.stdout.readline(), within))
    except (TimeoutError, ValueError):
        raise CompanionError("A further engine of the benchmark did not answer; see what it said above.") from None
    return said


async def work_beside(address: str) -> None:
    """Be one of them."""
    statements, venue = Statements(), LoopbackVenue(Client(address, SystemClock()), secret_of)
    turns, lines = Turns(venue), asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)

    def mark() -> Spent:
        spent, count = os.times(), statements.count
        statements.reset()
        return Spent(spent.user + spent.system, count)

    try:
        await venue.client.warm()
        await turns.start()
        before = await turns.database(mark)
        _say(Spent())
        while await lines.readline():
            turns.check()
            now = await turns.database(mark)
            _say(Spent(now.cpu - before.cpu, now.queries))
            before = now
            gc.collect()
    finally:
        await turns.stop()
        await venue.close()


def _say(spent: Spent) -> None:
    sys.stdout.write(json.dumps({"cpu": spent.cpu, "queries": spent.queries}) + "\n")
    sys.stdout.flush()
