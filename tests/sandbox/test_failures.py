"""Whatever a strategy does, the parent gets a named failure, and the next run works."""

from __future__ import annotations

import textwrap
import time

import pytest

from signalist.domain.signals import SignalKind
from signalist.domain.strategies import SignalRow
from signalist.sandbox import Failed, FailureKind, Ran, RanWhole, StrategyProcess
from signalist.sandbox.warm import Zygote
from tests.random_walks import of_closes
from tests.sandbox.conftest import Start

CALM = of_closes([10, 11, 12])
TRIGGER = of_closes([10, 11, 5000])

# The second wall is climbed at once, to try the first.
STRATEGY = """
import numpy as np
from signalist_strategy import Candles, Signals

history = 3
real = Candles.__len__.__globals__["__builtins__"]["__import__"]
ctypes, os, resource, signal, struct, sys, time = map(real, ("ctypes", "os", "resource", "signal", "struct", "sys", "time"))

class Unreadable(Exception):
    def __str__(self):
        raise KeyError("no")

def write_to_channel(data):
    for descriptor in range(3, 64):
        try:
            os.write(descriptor, data)
        except OSError:
            continue

def signals(candles, parameters):
    if candles.close[-1] > 1000:
{body}
    return Signals(enter_long=candles.close > 0, stop_long=candles.close * 0.9)
"""
# Kinds of frames and the number of a run's request, as frames.py lays them out.
HEADER = "struct.pack('<BIQ', {kind}, {number}, {length})"


def _misbehaving(body: str) -> str:
    return STRATEGY.replace("{body}", textwrap.indent(body, " " * 8))


def _forged(kind: int, number: int, length: int, body: str = "b''") -> str:
    return f"write_to_channel({HEADER.format(kind=kind, number=number, length=length)} + {body})"


def _works(process: StrategyProcess) -> None:
    ran = process.last(CALM)
    assert isinstance(ran, Ran), ran
    assert ran.rows == (SignalRow(SignalKind.LONG, stop=12 * 0.9),)


RAISED, DIED, BAD = FailureKind.RAISED, FailureKind.DIED, FailureKind.BAD_OUTPUT
MISBEHAVIOUR = {
    "raises": ("raise ValueError('no idea')", RAISED, "ValueError: no idea"),
    "asks to exit": ("sys.exit('bye')", RAISED, "SystemExit: bye"),
    "interrupts": ("raise KeyboardInterrupt", RAISED, "KeyboardInterrupt"),
    "raises what cannot be read": ("raise Unreadable", RAISED, "Unreadable: its message cannot be read"),
    "raises half a character": ("raise ValueError('a\\x00\\ud800b')", RAISED, "ValueError: a  b"),
    "raises a book": ("raise ValueError('x' * 10**6)", RAISED, "ValueError: xxxx"),
    "aborts": ("os.abort()", DIED, "ended on signal"),
    "returns nothing": ("return None", BAD, "signals() must return Signals(...), not NoneType"),
    "returns rubbish": ("return {'enter_long': 7}", BAD, "not dict"),
    "returns a short array": ("return Signals(enter_long=candles.close[1:] > 0)", BAD, "enter_long has the shape (2,)"),
    "returns a long array": ("return Signals(stop_long=np.zeros(10**6))", BAD, "stop_long has the shape (1000000,)"),
    "returns one value": ("return Signals(enter_long=True)", BAD, "enter_long has the shape ()"),
    "returns a table": ("return Signals(enter_long=np.zeros((3, 3), dtype=bool))", BAD, "enter_long has the shape (3, 3)"),
    "returns ragged lists": ("return Signals(stop_long=[[1], [1, 2], 3])", BAD, "stop_long must be an array"),
    "returns numbers as flags": ("return Signals(exit_short=candles.close)", BAD, "exit_short holds values of type float64"),
    "returns objects": ("return Signals(stop_long=[object()] * 3)", BAD, "stop_long holds values of type object"),
    "returns text": ("return Signals(strength=['1'] * 3)", BAD, "strength holds values of type <U1"),
    "returns a negative target": ("return Signals(enter_short=candles.close > 0, target_short=-candles.low)", BAD, "target_short at bar 2"),
    "is too sure": ("return Signals(exit_long=candles.close > 0, confidence=candles.close)", BAD, "confidence at bar 2"),
    "contradicts itself": ("return Signals(enter_long=candles.close > 0, exit_long=candles.close > 0)", BAD, "enter_long and exit_long"),
    "prints megabytes": ("print('x' * 3_000_000)", FailureKind.TOO_MUCH_OUTPUT, "printed more than 1048576 bytes"),
    "closes its pipe": ("os.closerange(3, 64)", BAD, "closed the channel"),
    "forges a failure that is no JSON": (_forged(10, 1, 4, "b'{{{{'"), BAD, "a failure that cannot be read"),
    "closes its output and raises": ("os.close(1)\nos.close(2)\nraise ValueError('mute')", RAISED, "ValueError: mute"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISBEHAVIOUR)
def test_it_is_named_and_the_next_run_works(start: Start, name: str) -> None:
    body, kind, message = MISBEHAVIOUR[name]
    process = start(_misbehaving(body), memory_limit=512 << 20)
    failed = process.last(TRIGGER)
    assert isinstance(failed, Failed)
    assert failed.kind is kind, failed
    assert message in failed.message
    assert len(failed.message) <= 600
    assert failed.message.isprintable()
    _works(process)


@pytest.mark.parametrize(
    "body",
    [
        "time.sleep(60)",
        _forged(7, 1, 52) + "\ntime.sleep(60)",  # an answer that never ends
    ],
)
def test_it_is_stopped_at_its_time_limit(start: Start, body: str) -> None:
    process = start(_misbehaving(body), time_limit=1.0)
    assert process.last(TRIGGER) == Failed(FailureKind.TIMED_OUT, "The strategy did not answer within 1 s.")
    _works(process)


def test_the_top_of_a_file_has_a_time_limit_too(start: Start) -> None:
    failed = start("while True: pass", time_limit=0.5).manifest()
    assert failed == Failed(FailureKind.TIMED_OUT, "The strategy did not answer within 0.5 s.")


def test_it_fails_the_whole_run_in_the_same_ways(start: Start) -> None:
    process = start(_misbehaving("os._exit(3)"))
    failed = process.all(TRIGGER)
    assert isinstance(failed, Failed)
    assert failed.kind is DIED
    whole = process.all(CALM)
    assert isinstance(whole, RanWhole)
    forging = start(_misbehaving(_forged(9, 1, 7, "bytes(7)")))
    assert forging.all(TRIGGER) == Failed(BAD, "The strategy's process sent arrays of the wrong size.")


def test_the_line_that_raised_is_named(start: Start) -> None:
    source = _misbehaving("np.zeros(3).reshape(2, 2)")
    failed = start(source).last(TRIGGER)
    assert isinstance(failed, Failed)
    assert failed.line is not None
    assert "reshape" in source.splitlines()[failed.line - 1]


@pytest.mark.parametrize("house", [False, True])
def test_an_answer_too_many_is_not_taken_for_the_next_one(start: Start, house: bool) -> None:
    # A row that says exit_long, forged in answer to the run; the runner's own answer to it then waits in the channel. A stranger's
    # process is gone by then; the house's, which is asked again, is found out.
    number = 3 if house else 1
    forged_row = _forged(7, number, 52, "struct.pack('<4?6d', 0, 1, 0, 0, *[float('nan')] * 6)")
    process = start(_misbehaving(forged_row + "\ntime.sleep(0.02)"), house=house)
    forged = process.last(TRIGGER)
    assert isinstance(forged, Ran)
    assert forged.rows == (SignalRow(SignalKind.EXIT_LONG),)
    if house:
        time.sleep(0.1)
        following = process.last(CALM)
        assert isinstance(following, Failed)
        assert following.kind is BAD
    _works(process)


def test_printing_below_the_limit_is_no_failure(start: Start) -> None:
    process = start(_misbehaving("print('x' * 9_000)"), output_limit=10_000)
    assert isinstance(process.last(TRIGGER), Ran)
    assert isinstance(start(_misbehaving("print('x' * 11_000)"), output_limit=10_000).last(TRIGGER), Failed)


def test_memory_is_limited_as_asked(start: Start) -> None:
    body = "np.ones(50 << 20, dtype=np.uint8)"
    assert isinstance(start(_misbehaving(body), memory_limit=400 << 20).last(TRIGGER), Ran)
    failed = start(_misbehaving(body.replace("50", "400")), memory_limit=400 << 20).last(TRIGGER)
    assert isinstance(failed, Failed)
    assert failed.kind is FailureKind.MEMORY


def test_a_failing_strategy_disturbs_no_other(start: Start) -> None:
    failing, fine = start(_misbehaving("os._exit(1)")), start(_misbehaving("pass"), house=True)
    _works(fine)
    pid = fine.pid
    assert isinstance(failing.last(TRIGGER), Failed)
    _works(fine)
    assert fine.pid == pid


def test_its_processor_time_is_counted_by_the_kernel_too(start: Start) -> None:
    # Its limit stands a little above the time that we wait; a parent that is stopped does not let it go on for ever.
    limits = "[resource.getrlimit(each) for each in (resource.RLIMIT_CPU, resource.RLIMIT_DATA, resource.RLIMIT_FSIZE)]"
    said = set()
    # Kept or not, and however long we wait, it is given the same.
    for given in ({}, {"house": True}, {"time_limit": 1.5}, {"time_limit": 30.0}):
        failed = start(_misbehaving(f"raise ValueError({limits})"), **given).last(TRIGGER)
        assert isinstance(failed, Failed)
        said.add(failed.message)
    assert len(said) == 1
    assert "(42, 43)" in said.pop()


def test_a_process_that_is_kept_is_replaced_before_it_runs_out_of_processor_time(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signalist.sandbox.process._SOME_MORE", 0.3)
    slow = "end = os.times().user + 0.3\nwhile os.times().user < end: pass"
    process = start(_misbehaving(slow), house=True, time_limit=60)
    _works(process)
    first = process.pid
    assert isinstance(process.last(TRIGGER), Ran)
    _works(process)
    assert process.pid not in (None, first)


def test_python_that_cannot_start_is_a_failure_with_the_reason(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    failed = start("", of=Zygote("lean", leave_out=("bubblewrap",))).manifest()
    assert isinstance(failed, Failed)
    assert failed.kind is DIED
    assert "could not be started" in failed.message
    monkeypatch.setattr("sys.executable", "/bin/false")
    failed = start("", of=Zygote("lean", leave_out=("bubblewrap",))).manifest()
    assert isinstance(failed, Failed)
    assert "did not get ready: exit status 1" in failed.message
