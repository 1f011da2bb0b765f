"""How long a price takes from the feed's socket to the sockets of its readers: `python -m tests.benchmarks.ticker_fanout --seconds 60`.

A venue in another process sends 1,000 tickers a second of 200 instruments over one WebSocket. This process runs the market data service
on them (with its own database, where it stores prices once a second and its rows every two) and serves 20 sockets, of which each follows
20 instruments and gets what changed at most thirty times a second; a third process reads those. A price is timed from right after it was
read off the feed's socket to when the message that carries it was given to the reader's socket: where several prices of an instrument go
as one, from the first of them. This is the fan-out inside one process; the way that a price really goes, from the engine's process to the
web process's sockets, is measured by `ticker_relay`. Prints one JSON object; the exit status is 1 where the 99th percentile is over 100
ms or the memory grows.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
from array import array
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from signalist.clock import monotonic

INSTRUMENTS, READERS, EACH, RATE = 200, 20, 20, 1000
BATCH = 10
"""Tickers that the venue sends in one turn of its loop."""
GATHER = 0.03
LIMIT_MS, GROWTH_KB = 100.0, 8192


def symbol(number: int) -> str:
    return f"C{number:03}/USD"


# --- The venue --------------------------------------------------------------------------------------


async def venue(seconds: float, rate: int) -> None:
    """Say its address, and send tickers from when somebody listens."""
    done = asyncio.Event()

    async def stream(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.receive()
        await socket.send_str(json.dumps({"say": "open"}))
        begun, sent = monotonic(), 0
        while (now := monotonic()) - begun < seconds and not socket.closed:
            due = int((now - begun) * rate)
            while sent < due:
                price = 100 + sent % 997 / 100
                words = {"say": "ticker", "symbol": symbol(sent * 7 % INSTRUMENTS), "price": f"{price:.2f}"}
                await socket.send_str(json.dumps(words))
                sent += 1
            await asyncio.sleep(BATCH / rate)
        print(json.dumps({"sent": sent}), flush=True)  # noqa: T201  # what the other process reads
        done.set()
        async for _ in socket:
            pass
        return socket

    async def nothing(request: web.Request) -> web.Response:
        return web.json_response({"candles": [], "more": None} if request.path == "/history" else {})

    app = web.Application()
    app.add_routes([web.get("/stream", stream), web.get("/history", nothing), web.get("/tickers", nothing)])
    await _serve(app)
    await done.wait()
    await asyncio.sleep(3)


async def _serve(app: web.Application) -> None:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(json.dumps({"port": runner.addresses[0][1]}), flush=True)  # noqa: T201


# --- The readers ------------------------------------------------------------------------------------


async def readers(address: str, count: int) -> None:
    """Read everything that comes; say how much that was."""
    got = {"messages": 0, "prices": 0}

    async def one(session: aiohttp.ClientSession, number: int) -> None:
        async with session.ws_connect(f"{address}/prices/{number}") as socket:
            async for message in socket:
                got["messages"] += 1
                got["prices"] += len(json.loads(message.data))

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(one(session, number) for number in range(count)))
    print(json.dumps(got), flush=True)  # noqa: T201


# --- What is measured -------------------------------------------------------------------------------


class Fanout:
    """The sockets of the readers, on a board of prices."""

    def __init__(self, board: Any) -> None:
        self._board, self.waits, self.messages = board, array("d"), 0
        self.sockets: list[web.WebSocketResponse] = []

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        number = int(request.match_info["number"])
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets.append(socket)
        reader = self._board.follow([symbol((number * 10 + n) % INSTRUMENTS) for n in range(EACH)])
        while not socket.closed:
            news = await self._board.read(reader)
            try:
                await socket.send_str(json.dumps({s: [str(q.price), q.at.timestamp()] for s, (q, _) in news.items()}))
            except ConnectionError:
                break
            now = monotonic()
            self.waits.extend(now - since for _, since in news.values())
            self.messages += 1
            await asyncio.sleep(GATHER)
        return socket


async def measure(seconds: float, rate: int) -> dict[str, Any]:
    """Run the service between the venue and the readers."""
    from signalist.clock import SystemClock
    from signalist.engine.database import Database
    from signalist.markets.service import MarketService
    from signalist.markets.wanted import by_symbol
    from tests.markets.loopback_feed import FeedClient

    database = Database()
    ids = await database(_instruments)
    me = [sys.executable, "-m", "tests.benchmarks.ticker_fanout"]
    source = _begun(*me, "--venue", "--seconds", str(seconds), "--rate", str(rate))
    port = json.loads(await asyncio.to_thread(source.stdout.readline))["port"]  # type: ignore[union-attr]
    client = FeedClient(f"http://127.0.0.1:{port}")
    wanted = _wanted(by_symbol(ids))
    service = MarketService(client, SystemClock(), database, _engine(), lambda: wanted)
    fanout = Fanout(service.board)
    app = web.Application()
    app.add_routes([web.get("/prices/{number}", fanout.serve)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    address = f"http://127.0.0.1:{runner.addresses[0][1]}"
    reading = _begun(*me, "--readers", address)
    feeding = asyncio.create_task(service.keep())
    memory = [await _after(seconds * part) for part in (0.25, 0.25, 0.25, 0.25)]
    said = json.loads(await asyncio.to_thread(source.stdout.readline))  # type: ignore[union-attr]
    await asyncio.sleep(0.5)
    for socket in fanout.sockets:
        await socket.close()
    got = json.loads(await asyncio.to_thread(reading.stdout.readline))  # type: ignore[union-attr]
    heard, stored = client.heard - 1, await database(_stored)
    feeding.cancel()
    await asyncio.wait([feeding])
    await runner.cleanup()
    database.close()
    for process in (source, reading):
        process.kill()
        process.wait()
    return _report(seconds, fanout, said["sent"], heard, got, stored, memory)


def _begun(*words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(words, stdout=subprocess.PIPE)


async def _after(seconds: float) -> int:
    await asyncio.sleep(seconds)
    return _resident_kb()


def _report(
    seconds: float, fanout: Fanout, sent: int, heard: int, got: dict[str, int], stored: int, memory: Sequence[int]
) -> dict[str, Any]:
    waits = sorted(fanout.waits)

    def at(part: float) -> float:
        return round(waits[min(int(len(waits) * part), len(waits) - 1)] * 1000, 2)

    return {
        "seconds": seconds,
        "sent": sent,
        "heard": heard,
        "heard_per_second": round(heard / seconds),
        "readers": len(fanout.sockets),
        "messages_written": fanout.messages,
        "prices_written": len(waits),
        "prices_read": got["prices"],
        "socket_to_socket_ms": {"p50": at(0.5), "p95": at(0.95), "p99": at(0.99), "max": at(1.0)},
        "latest_prices_stored": stored,
        "memory_kb": list(memory),
        "memory_grew_kb": memory[-1] - memory[0],
        "load_average": os.getloadavg()[0],
        "cpu_seconds": round(sum(os.times()[:2]), 1),
    }


def _resident_kb() -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0])


def _engine() -> Any:
    import uuid

    return uuid.UUID(int=1)


def _wanted(routes: Any) -> Any:
    from signalist.markets.wanted import Wanted

    return Wanted(routes)


def _instruments() -> list[tuple[str, int]]:
    from signalist.domain.timeframes import timeframe
    from signalist.markets.models import Candle, Instrument

    rules = {"tick": Decimal("0.01"), "lot": Decimal(1), "min_quantity": Decimal(1), "min_notional": Decimal(1)}
    made = [
        Instrument(venue="loop", symbol=symbol(n), base=f"C{n}", quote="USD", kind="SPOT", **rules)
        for n in range(INSTRUMENTS)
    ]
    Instrument.objects.bulk_create(made)
    found = list(Instrument.objects.order_by("pk").values_list("symbol", "pk"))
    # A past, so that nothing but the stream is asked for.
    close = timeframe("1m").last_close(datetime.now(UTC)) + timedelta(0)
    prices = dict.fromkeys(("open", "high", "low", "close"), Decimal(100))
    Candle.objects.bulk_create(
        Candle(instrument_id=key, timeframe="1m", close_time=close, volume=Decimal(1), **prices) for _, key in found
    )
    return found


def _stored() -> int:
    from signalist.markets.models import LatestPrice

    return LatestPrice.objects.count()


def main() -> int:
    """Measure, in a database of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rate", type=int, default=RATE)
    parser.add_argument("--venue", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--readers", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.venue:
        asyncio.run(venue(options.seconds, options.rate))
        return 0
    if options.readers:
        asyncio.run(readers(options.readers, READERS))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DATABASE_URL"] = f"sqlite:///{folder}/fanout.sqlite3"
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "signalist.settings")
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0, interactive=False, skip_checks=True)
        told = asyncio.run(measure(options.seconds, options.rate))
    print(json.dumps(told))  # noqa: T201
    return int(told["socket_to_socket_ms"]["p99"] > LIMIT_MS or told["memory_grew_kb"] > GROWTH_KB)


if __name__ == "__main__":
    sys.exit(main())
