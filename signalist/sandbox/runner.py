"""The child's side of the sandbox: runs one strategy file for its parent, request by request, until the channel closes.

Loaded by path in the process that children are forked from; see frames.py for what goes over the channel.
"""

from __future__ import annotations

import gc
import json
import os
import random
import sys
from collections.abc import Callable
from contextlib import suppress
from types import ModuleType
from typing import Any

# What a child does before it gets its run, so that the run finds it warm: a fork shares memory page by page at the first touch.
_EXERCISE = """
from signalist_strategy import Parameter, Signals, indicators
parameters = {"bars": Parameter(int, 3, min=2, max=50)}
def history(parameters):
    return parameters.bars + 1
def signals(candles, parameters):
    mean = indicators.sma(candles.close, parameters.bars)
    high = indicators.rolling_max(candles.high, parameters.bars)
    atr = indicators.atr(candles.high, candles.low, candles.close, parameters.bars)
    return Signals(enter_long=indicators.crossed_above(candles.close, mean), exit_long=candles.close > high, stop_long=candles.close - atr)
"""
_TINY = "parameters = {}\ndef signals(candles, parameters):\n    return [one for one in candles if one > 3]\n"


def exercise(read: Callable[[str], Any]) -> Any:
    """The exercise as a strategy, made once."""
    made = read(_EXERCISE)
    made.keep({"bars": 3})
    return made


def begin(interface: ModuleType, warming: Any) -> None:
    """Make a forked process one of its own: fresh streams, and random numbers that are the same in every run.

    `warming` is the exercise of a process that has time for it.
    """
    numpy = sys.modules["numpy"]
    sys.stdout = open(1, "w", encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115
    if warming is not None:
        interface.compiled(_TINY)
        closes = numpy.arange(1.0, 65.0)
        warming.run([numpy.arange(64), closes, closes + 1, closes - 1, closes, closes])
    random.seed(0)  # noqa: TID251  # of a process that makes one run
    numpy.random.seed(0)
    gc.enable()


class Channel:
    """The child's end of the socket. The parent is trusted, so nothing is checked here."""

    def __init__(self, frames: ModuleType, descriptor: int) -> None:
        self._frames = frames
        self._descriptor = descriptor

    def header(self) -> tuple[int, int, int] | None:
        """Wait for a request; None when the parent has closed the channel."""
        header = self._exactly(self._frames.HEADER.size)
        return self._frames.HEADER.unpack(header) if header else None

    def body(self, size: int) -> memoryview:
        return self._exactly(size)

    def send(self, frame: int, number: int, *parts: bytes | memoryview) -> None:
        size = sum(len(part) for part in parts)
        message = [self._frames.HEADER.pack(frame, number, size), *parts]
        try:
            for piece in self._frames.pieces(message):
                left = memoryview(piece)
                while left:
                    left = left[os.write(self._descriptor, left) :]
        except OSError:
            os._exit(self._frames.CHANNEL_LOST)

    def _exactly(self, size: int) -> memoryview:
        """`size` bytes, read-only; fewer only where the channel ended."""
        # Not a bytearray, which would be filled with zeros first.
        buffer = memoryview(sys.modules["numpy"].empty(size, dtype="u1"))
        filled = 0
        while filled < size:
            count = os.readv(self._descriptor, [buffer[filled:]])
            if count == 0:
                return buffer[:0]
            filled += count
        return buffer.toreadonly()


class Server:
    """Answers the parent's requests one after the other."""

    def __init__(
        self,
        frames: ModuleType,
        interface: ModuleType,
        read: Callable[[str], Any],
        channel: Channel,
        stand_at: Callable[[float], None],
    ) -> None:
        self._stand_at = stand_at
        self._frames = frames
        self._interface = interface
        self._read = read
        self._channel = channel
        self._strategy: Any = None
        self._setup = b""

    def serve(self) -> None:
        """Answer until the channel closes."""
        while (header := self._channel.header()) is not None:
            kind, number, size = header
            try:
                given = self._channel.body(size)
                if kind == self._frames.Frame.SETUP:
                    self._setup = bytes(given)
                    continue
                frame, parts = self._answer(kind, given)
            except BaseException as error:  # noqa: BLE001  # SystemExit and KeyboardInterrupt too: the strategy raised them
                frame, parts = self._frames.Frame.FAILED, [self._interface.text(self._interface.failure(error))]
            # A strategy may have closed or replaced its own streams; what it loses is its own print.
            with suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            self._channel.send(frame, number, *parts)

    def _answer(self, kind: int, body: memoryview) -> tuple[int, list[bytes | memoryview]]:
        known = self._frames.Frame
        if kind == known.LOAD:
            self._strategy = self._read(json.loads(bytes(body))["source"])
            return known.DECLARED, [self._interface.text(self._strategy.declared())]
        bars, columns = self._candles(body) if kind in (known.LAST, known.ALL) else (0, [])
        if bars:
            self._stand_at(float(columns[0][-1]))
        if self._setup:
            given, self._setup = json.loads(self._setup), b""
            self._strategy = self._read(given["source"])
            self._strategy.keep(given["values"])
        if self._strategy is None:
            raise RuntimeError("no strategy has been loaded")
        if kind == known.BIND:
            return known.BOUND, [self._interface.text({"history": self._strategy.history(json.loads(bytes(body)))})]
        answer = self._strategy.run(columns)
        if kind == known.LAST:
            flags = [answer[name] is not None and bool(answer[name][-1]) for name in self._frames.FLAG_COLUMNS]
            numbers = [
                float("nan") if answer[name] is None else float(answer[name][-1])
                for name in self._frames.NUMBER_COLUMNS
            ]
            return known.ROW, [self._frames.ROW_BODY.pack(*flags, *numbers)]
        return known.ARRAYS, self._columns(answer)

    def _candles(self, body: memoryview) -> tuple[int, list[Any]]:
        """The candles of a request as read-only arrays on its bytes."""
        numpy = sys.modules["numpy"]
        (bars,) = self._frames.COUNT.unpack_from(body)
        offsets = range(self._frames.COUNT.size, len(body), 8 * bars)
        kinds = ["<i8"] + ["<f8"] * (len(self._frames.CANDLE_COLUMNS) - 1)
        return bars, [numpy.frombuffer(body, kind, bars, offset) for kind, offset in zip(kinds, offsets, strict=True)]

    def _columns(self, answer: dict[str, Any]) -> list[bytes | memoryview]:
        """Which columns the strategy says, and those, without copying them."""
        contiguous = sys.modules["numpy"].ascontiguousarray
        said, columns = 0, []
        for bit, name in enumerate(self._frames.ARRAY_COLUMNS):
            if answer[name] is not None:
                said |= 1 << bit
                columns.append(memoryview(contiguous(answer[name])).cast("B"))
        return [self._frames.SAID.pack(said), *columns]
