"""The loopback venue as a process: `python -m signalist.venues.loopback.server --port 0 --latency-ms 50`.

It prints one JSON line, {"port", "control"}, and serves until standard input ends or SIGTERM. `control` is the token that requests to
`/control/…` carry in the header `X-Control`; see `control.py` for what they do.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hmac
import json
import secrets
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from signalist.clock import Clock, SystemClock, monotonic
from signalist.domain.orders import OrderType
from signalist.venues.errors import BadCredential, Busy, UnknownInstrument, VenueError
from signalist.venues.loopback import protocol
from signalist.venues.loopback.control import Control
from signalist.venues.loopback.faults import Fault, Faults
from signalist.venues.loopback.house import Holder, House
from signalist.venues.loopback.streams import Streams
from signalist.venues.loopback.wire import Request, Wire
from signalist.venues.paper.matching_desk import Terms


class SetClock:
    """The venue's clock: `ahead` of the one that it is set by, or behind."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self.ahead = clock, timedelta(0)

    def now(self) -> datetime:
        """The time at the venue."""
        return self._clock.now() + self.ahead


@dataclass(slots=True)
class Counters:
    """What the server has been asked."""

    requests: int = 0
    refused: int = 0
    placings: int = 0


class Server:
    """The venue: the wire on one side, the books on the other."""

    def __init__(self, terms: Terms, latency: float, token: str, clock: Clock) -> None:
        self.latency, self.faults, self.counters = latency, Faults(), Counters()
        self.clock = SetClock(clock)
        self.streams = Streams(self.faults)
        self.house = House(terms, self.clock.now, monotonic, self.streams.tell)
        self._control, self._token = Control(self), token

    async def listen(self, port: int) -> asyncio.Server:
        """Serve on the loopback interface; port 0 is any that is free."""
        loop = asyncio.get_running_loop()
        return await loop.create_server(lambda: Wire(self.handle, self._time), "127.0.0.1", port, backlog=8192)

    def _time(self) -> float:
        return self.clock.now().timestamp()

    def handle(self, request: Request) -> None:
        """Answer a request, now or when the latency has passed."""
        path = request.path
        if path in protocol.PRIVATE:
            self.counters.requests += 1
            self.counters.placings += path == protocol.PLACE
            self._private(request)
        elif path == protocol.STREAM:
            self.streams.open(request)
        elif path == protocol.JOIN:
            request.answer(200, self.streams.join(json.loads(request.body), self._signed))
        elif path == protocol.TIME:
            request.answer(200, {"time": self.clock.now().isoformat()})
        elif path.startswith(protocol.CONTROL):
            self._controlled(request)
        else:
            request.answer(404, {"error": "not_found", "message": "There is no such path."})

    # --- Private requests ------------------------------------------------------------------------

    def _private(self, request: Request) -> None:
        ref = request.headers.get("api-key", "")
        nonce, sign = request.headers.get("api-nonce", ""), request.headers.get("api-sign", "")
        try:
            holder = self._signed(ref, nonce, sign, request.path, request.body)
        except VenueError as error:
            self._later(self.latency, request, None, error)
            return
        fault = self.faults.play(ref, request.path, "bad_key", "ban", "slow", "lost", "delisted")
        if fault is not None and fault.kind == "ban":
            message = {"error": "busy", "message": "Too many requests."}
            self._answer_later(request, 429, message, {"Retry-After": f"{fault.seconds:g}"})
        elif fault is not None and fault.kind == "lost":
            request.drop()
        elif fault is not None and fault.kind == "bad_key":
            self._later(self.latency, request, None, BadCredential("The key is not valid."))
        elif fault is not None and fault.kind == "delisted":
            self._later(self.latency, request, None, UnknownInstrument("The instrument is not traded any more."))
        else:
            self._later(fault.seconds if fault is not None else self.latency, request, holder, None)

    def _signed(self, ref: str, nonce: str, sign: str, path: str, body: bytes) -> Holder:
        """The account that signed this. Raises BadCredential, or Busy for a nonce that was used: another one may do."""
        holder = self.house.holders.get(ref)
        if holder is None:
            raise BadCredential("The venue does not know this account.")
        if not hmac.compare_digest(protocol.signature(holder.secret, nonce, path, body), sign):
            raise BadCredential("The signature is not that of this request.")
        if not nonce.isdecimal() or not holder.takes(int(nonce)):
            raise Busy("The nonce has been used; the request was not looked at.")
        return holder

    def _later(self, seconds: float, request: Request, holder: Holder | None, error: VenueError | None) -> None:
        if seconds:
            asyncio.get_running_loop().call_later(seconds, self._work, request, holder, error)
        else:
            self._work(request, holder, error)

    def _answer_later(self, request: Request, status: int, said: Any, headers: Mapping[str, str]) -> None:
        asyncio.get_running_loop().call_later(self.latency, request.answer, status, said, headers)

    def _work(self, request: Request, holder: Holder | None, error: VenueError | None) -> None:
        """Carry it out, and let the answer go wrong where a fault says so."""
        if holder is None:
            assert error is not None
            self._refuse(request, error)
            return
        try:
            in_parts = self.faults.play(holder.ref, request.path, "partial") is not None
            said = self.house.ask(holder, request.path, json.loads(request.body), in_parts=in_parts)
            if request.path == protocol.RIGHTS:
                said = {"rights": said, "from": request.wire.peer}
        except VenueError as refused:
            self._refuse(request, refused)
            return
        except (ValueError, KeyError, TypeError, AssertionError, ArithmeticError) as problem:
            request.answer(400, {"error": "refused", "message": f"That is no request ({type(problem).__name__})."})
            return
        self._answer(request, said, self.faults.play(holder.ref, request.path, *AFTER))

    def _answer(self, request: Request, said: Any, fault: Fault | None) -> None:
        kind = fault.kind if fault is not None else ""
        if kind == "empty":
            request.answer_bytes(200, b"")
        elif kind == "error_after":
            request.answer(500, {"error": "internal", "message": "Something broke."})
        elif kind == "drop":
            request.drop()
        elif kind == "late" and fault is not None:
            asyncio.get_running_loop().call_later(fault.seconds, request.answer, 200, said)
        else:
            request.answer(200, None if kind == "not_found" else said)

    def _refuse(self, request: Request, error: VenueError) -> None:
        self.counters.refused += 1
        status = 401 if isinstance(error, BadCredential) else 400
        request.answer(status, {"error": error.code, "message": str(error)})

    # --- Control ---------------------------------------------------------------------------------

    def _controlled(self, request: Request) -> None:
        if not hmac.compare_digest(request.headers.get("x-control", ""), self._token):
            request.answer(404, {"error": "not_found", "message": "There is no such path."})
            return
        try:
            said = json.loads(request.body) if request.body else {}
            request.answer(200, self._control.do(request.path.removeprefix(protocol.CONTROL), said))
        except (ValueError, KeyError, TypeError, ArithmeticError) as problem:
            request.answer(400, {"error": "refused", "message": f"{type(problem).__name__}: {problem}"})


AFTER = ("empty", "error_after", "drop", "late", "not_found")


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="A venue on this machine, for benchmarks and tests.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency-ms", type=float, default=50.0)
    parser.add_argument("--slippage", type=Decimal, default=Decimal("0.0001"))
    parser.add_argument("--taker-fee", type=Decimal, default=Decimal("0.0005"))
    parser.add_argument("--maker-fee", type=Decimal, default=Decimal("0.0002"))
    parser.add_argument("--partial-chance", type=Decimal, default=Decimal(0))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-triggers", action="store_true", help="take no stops and no take-profits")
    parser.add_argument("--reserves-exits", action="store_true", help="each resting exit locks its quantity")
    parser.add_argument(
        "--faults", type=json.loads, default=[], help='[{"refs": ["*"], "kind": "slow", "seconds": 1, "times": 3}, …]'
    )
    return parser.parse_args(given)


async def serve(options: argparse.Namespace) -> None:
    """Serve until told to stop, or until whoever started this has gone."""
    taken = frozenset({OrderType.MARKET, OrderType.LIMIT} if options.no_triggers else OrderType)
    terms = Terms(
        options.taker_fee,
        options.maker_fee,
        options.slippage,
        options.partial_chance,
        0,
        options.seed,
        taken,
        options.reserves_exits,
    )
    token = secrets.token_hex(16)
    server = Server(terms, options.latency_ms / 1000, token, SystemClock())
    for fault in options.faults:
        server.faults.add(fault["refs"], fault)
    listening = await server.listen(options.port)
    beating = asyncio.create_task(server.streams.beat())
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    with contextlib.suppress(PermissionError, ValueError):  # a file or /dev/null has no end to wait for
        loop.add_reader(sys.stdin, lambda: None if sys.stdin.readline() else stop.set())
    sys.stdout.write(json.dumps({"port": listening.sockets[0].getsockname()[1], "control": token}) + "\n")
    sys.stdout.flush()
    await stop.wait()
    beating.cancel()
    listening.close()


if __name__ == "__main__":
    asyncio.run(serve(arguments()))
