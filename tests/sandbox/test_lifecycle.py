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

from signalist.sandbox import Failed, Ran
from tests.random_walks import of_closes
from tests.sandbox.conftest import Start
from tests.sandbox.test_runs import strategy

ROOT = Path(__file__).parents[2]
CANDLES = of_closes([1, 2, 3])
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
    failed = start(f"import os, resource, sys\n{strategy(f'raise ValueError({expression})')}").last(CANDLES)
    assert isinstance(failed, Failed)
    return failed.message.removeprefix("ValueError: ")


def test_the_child_is_gone_after_close_and_comes_back_when_asked(start: Start) -> None:
    process = start(CALM)
    assert process.pid is None
    assert isinstance(process.last(CANDLES), Ran)
    pid = process.pid
    assert pid is not None
    process.close()
    assert process.pid is None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    process.close()
    assert isinstance(process.last(CANDLES), Ran)


def test_the_child_is_gone_after_a_failure(start: Start) -> None:
    process = start(strategy("if candles.close[-1] > 2: raise ValueError\nreturn Signals()"))
    assert isinstance(process.last(of_closes([1])), Ran)
    pid = process.pid
    assert pid is not None
    assert isinstance(process.last(CANDLES), Failed)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_what_a_strategy_started_dies_with_it(start: Start) -> None:
    if os.getuid() == 0:  # for anyone else the limit on processes is in the way already
        body = "import os, time\npid = os.fork()\nif pid == 0: time.sleep(600)\nraise ValueError(pid)"
        failed = start(strategy(body)).last(CANDLES)
        assert isinstance(failed, Failed)
        assert _ends(int(failed.message.removeprefix("ValueError: ")))
    else:
        assert "BlockingIOError" in str(start(strategy("import os\nos.fork()")).last(CANDLES))


@pytest.mark.parametrize("body", ["return Signals()", "while True: pass", "import time\ntime.sleep(600)"])
def test_the_child_dies_with_its_parent(body: str) -> None:
    script = f"""
import threading, time
from signalist.sandbox import StrategyProcess
from tests.random_walks import of_closes
process = StrategyProcess({strategy(body)!r}, {{}}, time_limit=600)
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
    process = start(CALM)
    first = threading.Thread(target=process.manifest)
    first.start()
    first.join()
    pid = process.pid
    assert pid is not None
    time.sleep(0.1)
    assert isinstance(process.last(CANDLES), Ran)
    assert process.pid == pid


def test_a_child_that_was_killed_between_runs_is_replaced_without_a_failure(start: Start) -> None:
    process = start(CALM)
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


def test_the_environment_is_empty(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://secret")
    assert _told(start, "f'{dict(os.environ)} {open(\"/proc/self/environ\").read()!r}'") == "{} ''"


def test_the_child_inherits_no_file_but_its_channel(start: Start, tmp_path: Path) -> None:
    with (tmp_path / "secret").open("w") as secret:
        os.set_inheritable(secret.fileno(), True)
        told = _told(
            start,
            "[os.readlink(f'/proc/self/fd/{n}').split(':')[0] for n in range(64) if os.path.lexists(f'/proc/self/fd/{n}')]",
        )
    assert told == "['/dev/null', 'pipe', 'pipe', 'socket']"


def test_the_child_has_nothing_on_its_input_or_command_line_and_works_in_no_folder_of_ours(start: Start) -> None:
    assert _told(start, "f'{sys.stdin.read()!r} {sys.argv} {os.getcwd()}'") == "'' ['<strategy>'] /"


def test_the_limits_are_set(start: Start) -> None:
    told = _told(
        start,
        "[resource.getrlimit(getattr(resource, 'RLIMIT_' + n)) for n in ('AS', 'CORE', 'FSIZE', 'NPROC', 'NOFILE')]",
    )
    assert told == f"[({1 << 30}, {1 << 30}), (0, 0), (0, 0), (0, 0), (64, 64)]"


def test_processor_time_is_limited_a_little_above_the_time_limit(start: Start) -> None:
    assert int(_told(start, "resource.getrlimit(resource.RLIMIT_CPU)[0]")) in (7, 8)


def test_no_file_can_be_written(start: Start, tmp_path: Path) -> None:
    target = tmp_path / "file"
    failed = start(strategy(f"with open({str(target)!r}, 'w') as file: file.write('x')")).last(CANDLES)
    assert isinstance(failed, Failed)
    assert "OSError" in failed.message
    assert target.read_text() == ""
