"""A child has nothing but its channel, and never outlives what it belongs to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from signalist.sandbox import Failed, FailureKind, Ran
from signalist.sandbox.warm import Zygote
from tests.random_walks import of_closes
from tests.sandbox.conftest import Start
from tests.sandbox.test_runs import strategy

ROOT = Path(__file__).parents[2]
CANDLES = of_closes([1, 2, 3])
REAL = """
from signalist_strategy import Candles
real = Candles.__len__.__globals__["__builtins__"]["__import__"]
os, resource, sys = map(real, ("os", "resource", "sys"))
"""
CALM = strategy("return Signals(exit_long=candles.close > 0)")


def _is_gone(pid: int) -> bool:
    """Whether the process is dead, be it unburied."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def _ends(pid: int, seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if _is_gone(pid):
            return True
        time.sleep(0.01)
    return False


def _told(start: Start, expression: str) -> str:
    """What the expression is inside a strategy."""
    failed = start(f"{REAL}{strategy(f'raise ValueError({expression})')}").last(CANDLES)
    assert isinstance(failed, Failed)
    return failed.message.removeprefix("ValueError: ")


def test_a_run_s_process_is_gone_after_it(start: Start) -> None:
    process = start(CALM)
    assert process.pid is None
    told = {_told(start, "os.getpid()") for _ in range(3)}
    assert len(told) == 3
    assert all(_ends(int(pid)) for pid in told)
    assert isinstance(process.last(CANDLES), Ran)
    assert process.pid is None


def test_the_house_s_process_is_gone_after_close_and_comes_back_when_asked(start: Start) -> None:
    process = start(CALM, house=True)
    assert isinstance(process.last(CANDLES), Ran)
    pid = process.pid
    assert pid is not None
    process.close()
    assert process.pid is None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    process.close()
    assert isinstance(process.last(CANDLES), Ran)


def test_the_house_s_process_is_gone_after_a_failure(start: Start) -> None:
    process = start(strategy("if candles.close[-1] > 2: raise ValueError\nreturn Signals()"), house=True)
    assert isinstance(process.last(of_closes([1])), Ran)
    pid = process.pid
    assert pid is not None
    assert isinstance(process.last(CANDLES), Failed)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_the_warm_process_is_started_anew_when_it_was_lost(start: Start) -> None:
    one = Zygote("lean", leave_out=("bubblewrap",))
    process = start(CALM, of=one)
    assert isinstance(process.last(CANDLES), Ran)
    assert one.pid is not None
    lost = one.pid
    os.kill(lost, signal.SIGKILL)
    assert isinstance(process.last(CANDLES), Ran)
    assert one.pid != lost
    one.close()


@pytest.mark.parametrize("body", ["return Signals()", "while True: pass"])
def test_the_child_dies_with_its_parent(body: str) -> None:
    script = f"""
import threading, time
from signalist.sandbox import StrategyProcess
from signalist.sandbox.warm import Zygote
from tests.random_walks import of_closes
process = StrategyProcess({strategy(body)!r}, {{}}, time_limit=600, house=True, of=Zygote("lean", leave_out=("bubblewrap",)))
process.manifest()
threading.Thread(target=process.last, args=(of_closes([1, 2, 3]),)).start()
time.sleep(0.2)
print(process.pid, flush=True)
time.sleep(600)
"""
    parent = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert not _is_gone(child)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert _ends(child)


def test_the_child_outlives_the_thread_that_asked_first(start: Start) -> None:
    process = start(CALM, house=True)
    first = threading.Thread(target=process.manifest)
    first.start()
    first.join()
    pid = process.pid
    assert pid is not None
    time.sleep(0.1)
    assert isinstance(process.last(CANDLES), Ran)
    assert process.pid == pid


def test_a_child_that_was_killed_between_runs_is_replaced_without_a_failure(start: Start) -> None:
    process = start(CALM, house=True)
    assert isinstance(process.last(CANDLES), Ran)
    pid = process.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert _ends(pid)
    assert isinstance(process.last(CANDLES), Ran)
    assert process.pid != pid


def test_a_forked_worker_starts_children_of_its_own() -> None:
    script = f"""
import os
from signalist.sandbox import StrategyProcess
source = {CALM!r}
print(StrategyProcess(source, {{}}).manifest().history, flush=True)
pid = os.fork()
if pid == 0:
    print(StrategyProcess(source, {{}}).manifest().history, flush=True)
    os._exit(0)
os.waitpid(pid, 0)
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout == "1\n1\n"


def test_a_child_has_nothing_of_ours(start: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://secret")
    assert (
        _told(start, "f'{dict(os.environ)} {sys.stdin.read()!r} {sys.argv} {os.getcwd()}'") == "{} '' ['<strategy>'] /"
    )
    with (tmp_path / "secret").open("w") as secret:
        os.set_inheritable(secret.fileno(), True)
        kinds = "[(n, _seeks(n)) for n in range(64) if not _closed(n)]"
        closed = "def _closed(n):\n    try: os.get_inheritable(n)\n    except OSError: return True\n"
        closed += "def _seeks(n):\n    try: return os.lseek(n, 0, 1)\n    except OSError: return None\n"
        failed = start(f"{REAL}{closed}{strategy(f'raise ValueError({kinds})')}").last(CANDLES)
    assert isinstance(failed, Failed)
    # Nothing on its input (a character device), pipes for what it prints, and the channel (a socket).
    assert failed.message == "ValueError: [(0, 0), (1, None), (2, None), (3, None)]"


def test_the_limits_are_set(start: Start) -> None:
    told = _told(
        start,
        "[resource.getrlimit(getattr(resource, 'RLIMIT_' + n)) for n in ('CPU', 'CORE', 'FSIZE', 'NPROC', 'NOFILE')]",
    )
    assert told == "[(42, 43), (0, 0), (0, 0), (0, 0), (48, 48)]"
    room = int(_told(start, "resource.getrlimit(resource.RLIMIT_AS)[0]"))
    assert 1 << 29 < room < 1 << 30


def test_no_stranger_s_code_runs_where_a_wall_is_missing_but_the_house_s_does(start: Start) -> None:
    for wall in ("seccomp", "landlock"):
        one = Zygote("lean", leave_out=(wall, "bubblewrap"))
        assert one.walls().level == "weak"
        refused = start(CALM, of=one).last(CANDLES)
        assert isinstance(refused, Failed)
        assert refused.kind is FailureKind.REFUSED
        assert refused.message == f"This machine cannot hold a stranger's code: it lacks {wall} ({wall}: left out)."
        assert isinstance(start(CALM, of=one, house=True).last(CANDLES), Ran)
        one.close()
