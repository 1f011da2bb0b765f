"""How long a price takes from a venue's socket to the pages' sockets, across the processes that it really passes.

`python -m tests.throwaway_postgres -- python -m tests.benchmarks.ticker_relay --seconds 60 --json`

A venue's process sends 1,000 tickers a second of 200 instruments over one WebSocket. This process is the feed: the market data service
with its lease, its rows and what tells prices on PostgreSQL's wire. A third one is the web process, Daphne with the whole application,
with 20 pages open that show 20 markets each; a fourth reads those as browsers would. A price is timed from right after it was read off
the venue's socket, in the feed, to when the message that carries it was given to a page's socket, in the web process, by the machine's
one clock; where several prices of a market go as one, from the first of them. Beside it stands how old the newest price in the rows is
when the web process finds it there, looking every half second, which is how pages were fed before; and how late the machine wakes an idle
process. The exit status is 1 where the 99th percentile is over 100 ms or memory grows.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from signalist.clock import monotonic
from tests.benchmarks.push_server import _people
from tests.benchmarks.ticker_fanout import (
    EACH,
    GROWTH_KB,
    INSTRUMENTS,
    LIMIT_MS,
    RATE,
    READERS,
    _begun,
    _engine,
    _instruments,
    _resident_kb,
    _wanted,
    symbol,
)

WARM_UP = 4.0
"""Seconds of what is measured that belong to nobody: sockets open, and interpreters have not run this before."""


async def pages(address: str, sessions: Sequence[str], ids: Sequence[int]) -> None:
    """Hold the pages' sockets, answer beats, count what comes until all are closed."""
    import aiohttp

    got = {"messages": 0, "prices": 0, "bytes": 0}

    async def one(client: aiohttp.ClientSession, number: int) -> None:
        shown = ",".join(str(ids[(number * 10 + n) % len(ids)]) for n in range(EACH))
        headers = {"Cookie": f"sessionid={sessions[number]}", "Origin": address}
        query = f"{address}/live/?regions=last-prices&prices={shown}"
        async with client.ws_connect(query, headers=headers, max_msg_size=0) as socket:
            async for message in socket:
                got["messages"] += 1
                got["bytes"] += len(message.data)
                got["prices"] += str(message.data).count('id="last-')
                if message.data.startswith('{"live":"beat"'):
                    await socket.send_str('{"live":"beat"}')

    late: list[float] = []

    async def probe() -> None:
        """How late the machine wakes a process that has next to nothing to do."""
        while True:
            due = monotonic() + 0.01
            await asyncio.sleep(0.01)
            late.append(monotonic() - due)

    async with aiohttp.ClientSession() as client:
        tasks = [asyncio.create_task(probe())]
        tasks += [asyncio.create_task(one(client, number)) for number in range(len(sessions))]
        await asyncio.to_thread(sys.stdin.readline)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    sys.stdout.write(f"{json.dumps(got | {'late_ms': _figures(late)})}\n")


async def measure(seconds: float, rate: int, sessions: Sequence[str]) -> dict[str, Any]:
    """Run the feed between the venue and the web process."""
    from signalist.clock import SystemClock
    from signalist.engine.database import Database
    from signalist.engine.price_teller import PriceTeller
    from signalist.markets.service import MarketService
    from signalist.markets.wanted import by_symbol
    from tests.markets.loopback_feed import FeedClient

    web = _piped("tests.benchmarks.ticker_web")
    ready = json.loads(await asyncio.to_thread(web.stdout.readline))  # type: ignore[union-attr]
    database = Database()
    routes = by_symbol(await database(_instruments))
    ids = [routes[symbol(n)][0] for n in range(INSTRUMENTS)]
    given = json.dumps([f"http://127.0.0.1:{ready['port']}", sessions, ids])
    reading = _piped("tests.benchmarks.ticker_relay", "--pages", given)
    fed = seconds + WARM_UP
    me = [sys.executable, "-m", "tests.benchmarks.ticker_fanout"]
    source = _begun(*me, "--venue", "--seconds", str(fed), "--rate", str(rate))
    port = json.loads(await asyncio.to_thread(source.stdout.readline))["port"]  # type: ignore[union-attr]
    client, wanted = FeedClient(f"http://127.0.0.1:{port}"), _wanted(routes)
    service = MarketService(client, SystemClock(), database, _engine(), lambda: wanted)
    beside = [asyncio.create_task(service.keep())]
    beside.append(asyncio.create_task(PriceTeller(service.board, service.routes).keep()))
    memory = []
    for _ in range(4):
        await asyncio.sleep(fed / 4)
        memory.append(_resident_kb())
    said = json.loads(await asyncio.to_thread(source.stdout.readline))  # type: ignore[union-attr]
    heard = client.heard - 1
    shown = await _told(web)
    read = await _told(reading)
    for task in beside:
        task.cancel()
    await asyncio.wait(beside)
    database.close()
    for process in (source, web, reading):
        process.kill()
        process.wait()
    return _report(seconds, said["sent"], heard, shown, read, memory)


def _piped(module: str, *words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", module, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ}
    )


async def _told(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """Have a process say what it measured."""
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(b"\n")
    process.stdin.flush()
    found: dict[str, Any] = json.loads(await asyncio.to_thread(process.stdout.readline))
    return found


def _report(
    seconds: float, sent: int, heard: int, shown: dict[str, Any], read: dict[str, Any], memory: Sequence[int]
) -> dict[str, Any]:
    settled = int(len(shown["sent"]) * WARM_UP / (seconds + WARM_UP))
    relay, rows = _figures(shown["sent"][settled:]), _figures(shown["stored"][len(shown["stored"]) // 10 :])
    web = shown["memory_kb"][len(shown["memory_kb"]) // 4 :]
    return {
        "path": "venue socket -> feed process -> NOTIFY -> web process -> page socket",
        "seconds": seconds,
        "sent": sent,
        "heard": heard,
        "prices_written_to_pages": len(shown["sent"]),
        "messages_read_by_pages": read["messages"],
        "messages_per_page_and_second": round(read["messages"] / READERS / (seconds + WARM_UP), 1),
        "prices_read_by_pages": read["prices"],
        "socket_to_socket_ms": relay,
        "rows_ms": rows,
        "times_sooner_than_by_rows": {part: round(rows[part] / relay[part], 1) for part in ("p50", "p99")},
        "p99_of_the_limit": round(relay["p99"] / LIMIT_MS, 2),
        "feed_memory_kb": list(memory),
        "feed_grew_kb": memory[-1] - memory[0],
        "web_memory_kb": [web[0], web[-1]],
        "web_grew_kb": web[-1] - web[0],
        "machine_wakes_late_ms": read["late_ms"],
        "load_average": os.getloadavg()[0],
        "cpu_share": {
            "feed": round(sum(os.times()[:2]) / (seconds + WARM_UP), 2),
            "web": round(shown["cpu_seconds"] / (seconds + WARM_UP), 2),
        },
    }


def _figures(waits: Sequence[float]) -> dict[str, float]:
    ordered = sorted(waits)
    assert ordered, "nothing was measured"
    return {
        name: round(ordered[min(int(len(ordered) * part), len(ordered) - 1)] * 1000, 1)
        for name, part in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0))
    }


def main(arguments: Sequence[str]) -> int:
    """Measure, in the database that DATABASE_URL names: an empty PostgreSQL."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rate", type=int, default=RATE)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--pages", default="", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.pages:
        asyncio.run(pages(*json.loads(options.pages)))
        return 0
    if not os.environ.get("DATABASE_URL", "").startswith("postgres"):
        sys.stderr.write(
            "Prices go past the rows on PostgreSQL only: run it by `python -m tests.throwaway_postgres -- …`.\n"
        )
        return 2
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "signalist.settings")
    _, sessions = _people(READERS)
    told = asyncio.run(measure(options.seconds, options.rate, sessions))
    words = "\n".join(f"{name:30} {value}" for name, value in told.items())
    sys.stdout.write(f"{json.dumps(told) if options.json else words}\n")
    grew = max(told["feed_grew_kb"], told["web_grew_kb"])
    return int(told["socket_to_socket_ms"]["p99"] > LIMIT_MS or grew > GROWTH_KB)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
