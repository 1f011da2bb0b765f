"""The door to a strategy: candles in, signals out; everything that can go wrong is a value."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from types import TracebackType

import numpy as np

from signalist.clock import monotonic
from signalist.domain.candles import CandleArrays
from signalist.domain.errors import DomainError
from signalist.domain.strategies import BarSignals, SignalArrays, StrategyManifest, bar_name, resolve

from . import frames, replies
from .child import Child, readable
from .frames import Frame
from .limits import PROCESSOR_SECONDS, RUN_MEMORY, RUN_OUTPUT, RUN_SECONDS
from .outcomes import Failed, FailureKind, Ran, RanWhole
from .warm import CannotStart, Zygote, zygote

# Wall seconds that a process of the longest runs is kept for.
_SOME_MORE = 10.0


class StrategyProcess:
    """Runs one strategy file with one set of parameter values, each run in a process of its own behind the sandbox's walls.

    `house` is code of our own library: it is run on a machine without all walls, too, and keeps its process from run to run until it
    fails (its file is executed afresh all the same). Calls from several threads wait for each other. `time_limit` is wall seconds for
    one call (starting Python does not count), `memory_limit` bytes beyond what Python and numpy take, `output_limit` bytes that the
    strategy may print in one call (limits.py). Processor time is limited to PROCESSOR_SECONDS, or a little more than `time_limit` where
    that is longer; a process that is kept is replaced by a fresh one before it could run out of it. `of` is the process to fork from,
    where it is not this process's usual one.
    """

    def __init__(
        self,
        source: str,
        parameters: Mapping[str, object],
        *,
        time_limit: float = RUN_SECONDS,
        memory_limit: int = RUN_MEMORY,
        output_limit: int = RUN_OUTPUT,
        house: bool = False,
        of: Zygote | None = None,
    ) -> None:
        self._house = house
        self._zygote = of or zygote("pandas" if "pandas" in source else "lean")
        self._source = source
        self._given = dict(parameters)
        self._seconds = time_limit
        self._processor = max(PROCESSOR_SECONDS, time_limit + _SOME_MORE)
        self._spent = 0.0
        """Wall seconds that its process has been asked for: it cannot have used more of its processor time."""
        self._memory = memory_limit
        self._output = output_limit
        self._child: Child | None = None
        self._manifest: StrategyManifest | None = None
        self._lock = threading.Lock()
        self._printed = ""
        self._too_late = False

    def __enter__(self) -> StrategyProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The child's process id; None while there is none."""
        return None if self._child is None else self._child.pid

    @property
    def printed(self) -> str:
        """What the strategy printed during the last call, for its author."""
        return self._printed

    def manifest(self) -> StrategyManifest | Failed:
        """What the strategy declares, with its values and its history."""
        with self._lock:
            return self._ready()

    def know(self, manifest: StrategyManifest) -> None:
        """Take as declared what a version has in its rows: `manifest` must be this source's with these values."""
        self._manifest = manifest

    def last(self, arrays: CandleArrays) -> Ran | Failed:
        """The signals of the newest of `arrays`, from the newest `history` candles; none while there are fewer."""
        with self._lock:
            ready = self._ready()
            if isinstance(ready, Failed):
                return ready
            manifest = ready
            if len(arrays) < manifest.history:
                return Ran((), 0.0)
            window = arrays.tail(manifest.history)
            started = monotonic()
            body = self._run(Frame.LAST, window, Frame.ROW, frames.ROW_BODY.size)
            if isinstance(body, Failed):
                return body
            if len(body) != frames.ROW_BODY.size:
                return self._refuse("The strategy's process sent a row of the wrong size.")
            try:
                said = BarSignals(*frames.ROW_BODY.unpack(body))
                rows = said.rows(bar_name(len(window) - 1, int(window.time[-1])), float(window.close[-1]))
            except DomainError as error:
                return self._refuse(str(error))
            return Ran(rows, (monotonic() - started) * 1000)

    def all(self, arrays: CandleArrays) -> RanWhole | Failed:
        """The signals of every bar, from one call over all candles. Bars before a whole history say nothing, as live does."""
        with self._lock:
            ready = self._ready()
            if isinstance(ready, Failed):
                return ready
            manifest = ready
            bars = len(arrays)
            if bars < manifest.history:
                return RanWhole(SignalArrays.of(bars, {}), 0.0)
            started = monotonic()
            body = self._run(Frame.ALL, arrays, Frame.ARRAYS, frames.arrays_size(bars))
            if isinstance(body, Failed):
                return body
            try:
                signals = replies.arrays(body, bars).silent_before(manifest.history - 1)
                signals.checked(arrays.time, arrays.close)
            except DomainError as error:
                return self._refuse(str(error))
            return RanWhole(signals, (monotonic() - started) * 1000)

    def close(self) -> None:
        """End the child. A later call would start a new one."""
        with self._lock:
            self._stop()

    def _ready(self) -> StrategyManifest | Failed:
        """The manifest, from a process started for it if need be."""
        self._printed = ""
        if self._child is not None and self._child.speaks_unasked():
            return self._refuse("The strategy's process sent something that was not asked for.")
        if self._child is not None and self._child.has_ended():
            self._stop()
        if self._manifest is None:
            declared = self._declared()
            if self._was_too_late():
                declared = self._declared()
            if isinstance(declared, Failed):
                self._stop()
                return declared
            self._manifest = declared
            self._rest()
        return self._manifest

    def _declared(self) -> StrategyManifest | Failed:
        child = self._started()
        if isinstance(child, Failed):
            return child
        declared = self._ask(child, Frame.LOAD, _json({"source": self._source}), Frame.DECLARED, frames.TEXT_LIMIT)
        if isinstance(declared, Failed):
            return declared
        try:
            specs = replies.specs(declared)
        except DomainError as error:
            return Failed(FailureKind.DECLARATION, readable(str(error)))
        try:
            values = resolve(specs, self._given)
        except DomainError as error:
            return Failed(FailureKind.PARAMETERS, readable(str(error)))
        bound = self._ask(child, Frame.BIND, _json(values), Frame.BOUND, frames.TEXT_LIMIT)
        if isinstance(bound, Failed):
            return bound
        try:
            return StrategyManifest(specs, values, replies.history(bound))
        except DomainError as error:
            return Failed(FailureKind.DECLARATION, readable(str(error)))

    def _started(self) -> Child | Failed:
        """A child of its own; the house's code keeps it."""
        try:
            if not self._house:
                reason = self._zygote.walls().refusal
                if reason is not None:
                    return Failed(FailureKind.REFUSED, readable(reason))
            self._child = Child(self._zygote, seconds=self._processor, memory=self._memory, output=self._output)
            self._spent = 0.0
        except (CannotStart, OSError) as error:
            return Failed(FailureKind.DIED, readable(f"The strategy's process could not be started: {error}."))
        return self._child

    def _run(self, kind: Frame, arrays: CandleArrays, expected: Frame, size: int) -> memoryview | Failed:
        """One request with candles, once more where the warm process was gone before it began."""
        body = self._asked(kind, arrays, expected, size)
        if self._was_too_late():
            body = self._asked(kind, arrays, expected, size)
        if not isinstance(body, Failed):
            self._rest()
        return body

    def _asked(self, kind: Frame, arrays: CandleArrays, expected: Frame, size: int) -> memoryview | Failed:
        """The answer of a child; one that knows nothing yet is told source and values first."""
        child, setup = self._child, b""
        if child is None:
            assert self._manifest is not None
            setup = json.dumps({"source": self._source, "values": self._manifest.values}).encode()
            started = self._started()
            if isinstance(started, Failed):
                return started
            child = started
        return self._ask(child, kind, _candles(arrays), expected, size, setup)

    def _was_too_late(self) -> bool:
        """Whether the last child never began; said once."""
        was, self._too_late = self._too_late, False
        return was

    def _ask(
        self, child: Child, kind: Frame, body: list[bytes | memoryview], expected: Frame, size: int, setup: bytes = b""
    ) -> memoryview | Failed:
        began = monotonic()
        answer = child.ask(kind, body, expected, size, self._seconds, setup=setup)
        self._spent += monotonic() - began
        self._printed += child.printed.decode(errors="replace")
        if isinstance(answer, Failed):
            self._too_late = child.never_began
            self._stop()
        return answer

    def _refuse(self, message: str) -> Failed:
        """The failure of a strategy whose answer means nothing; a process that it has is not used again."""
        self._stop()
        return Failed(FailureKind.BAD_OUTPUT, message)

    def _rest(self) -> None:
        """After an answer: a stranger's process has done its work, and so has one that might run out of processor time in the next run."""
        worn = self._spent + self._seconds > self._processor
        if (worn or not self._house) and self._child is not None:
            self._child.leave()
            self._child = None

    def _stop(self) -> None:
        if self._child is not None:
            self._child.kill()
        self._child = None


def _candles(arrays: CandleArrays) -> list[bytes | memoryview]:
    kinds = ["<i8"] + ["<f8"] * (len(frames.CANDLE_COLUMNS) - 1)
    columns = (np.ascontiguousarray(getattr(arrays, n), k) for n, k in zip(frames.CANDLE_COLUMNS, kinds, strict=True))
    return [frames.COUNT.pack(len(arrays)), *(column.data.cast("B") for column in columns)]


def _json(value: Mapping[str, object]) -> list[bytes | memoryview]:
    return [json.dumps(value).encode()]
