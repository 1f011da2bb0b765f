"""The supervisor with small programs: what crashes is started again, and nobody is left behind however it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from signalist.engine.supervisor import busy
from tests.engine.processes import MARK, command, marked, parent, until

ROOT = Path(__file__).resolve().parents[2]

# HUGE in a program makes it longer than what the system takes for one argument.
SUPERVISE = """
import asyncio, signal, sys
from signalist.engine.supervisor import Patience, Program, Supervisor

async def main():
    told = [code.replace("HUGE", "#" * 300_000) for code in sys.argv[3::2]]
    programs = [Program(name, [sys.executable, "-u", "-c", code]) for name, code in zip(sys.argv[2::2], told)]
    supervisor = Supervisor(programs, lambda line: print(line, flush=True), Patience(0.1, 0.4, 60, float(sys.argv[1])))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, supervisor.stop)
    await supervisor.run()

asyncio.run(main())
"""
WAITS = "import time; print('here'); time.sleep(600)"
# Forks as the job runner does, and both shrug off what they are asked.
STUBBORN = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.fork()
print('here')
time.sleep(600)
"""


class Running:
    """A supervisor in a process of its own; `mark` is in the environment of everything that it started."""

    def __init__(self, tmp_path: Path, *programs: str, grace: float = 5, piped: bool = False) -> None:
        self.mark = uuid.uuid4().hex
        self.told = tmp_path / "told"
        with self.told.open("wb") as told:
            self.process = subprocess.Popen(
                [sys.executable, "-c", textwrap.dedent(SUPERVISE), str(grace), *programs],
                cwd=ROOT,
                env={**os.environ, MARK: self.mark},
                stdout=subprocess.PIPE if piped else told,
                stderr=told,
            )

    def lines(self, start: str = "") -> list[str]:
        """What it has said so far."""
        return [line for line in self.told.read_text().splitlines() if line.startswith(start)]

    def pids(self) -> set[int]:
        """Everything that it started and that lives, itself left out."""
        return marked(self.mark) - {self.process.pid}


def the_program(running: Running) -> int:
    """The one program under the one keeper."""
    (pid,) = (pid for pid in running.pids() if b"keeper.py" not in Path(f"/proc/{pid}/cmdline").read_bytes())
    return pid


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Starts supervisors; none outlives the test."""
    started: list[Running] = []

    def begin(*programs: str, grace: float = 5, piped: bool = False) -> Running:
        started.append(Running(tmp_path, *programs, grace=grace, piped=piped))
        return started[-1]

    yield begin
    for running in started:
        running.process.kill()
        running.process.wait()
        for pid in marked(running.mark):
            os.kill(pid, signal.SIGKILL)


def test_lines_come_with_the_name_of_their_program(start: Callable[..., Running]) -> None:
    running = start(
        "web", WAITS, "engine", "import sys, time; print('x' * 200_000); sys.stderr.write('half'); time.sleep(600)"
    )
    until(lambda: running.lines("web    | here") and running.lines("engine | xxx"), "both have spoken")
    assert len(running.lines("engine | xxx")[0]) == len("engine | ") + 200_000
    running.process.terminate()
    assert running.process.wait(10) == 0
    assert running.lines("engine | half")


def test_what_is_killed_is_started_again(start: Callable[..., Running]) -> None:
    running = start("web", WAITS)
    until(lambda: running.lines("web | here"), "it runs")
    first = the_program(running)
    os.kill(first, signal.SIGKILL)
    until(lambda: len(running.lines("web | here")) == 2, "it runs again")
    assert running.lines("web | ended with status 137; starting again in 0.1 s")
    assert the_program(running) != first


def test_what_keeps_crashing_is_started_after_growing_pauses(start: Callable[..., Running]) -> None:
    running = start("web", "raise SystemExit(3)")
    until(lambda: len(running.lines("web | ended")) == 5, "five crashes")
    assert running.lines("web | ended") == [
        f"web | ended with status 3; starting again in {pause} s" for pause in ("0.1", "0.2", "0.4", "0.4", "0.4")
    ]
    running.process.terminate()
    assert running.process.wait(10) == 0, "also in the middle of a pause"


def test_what_cannot_be_started_now_is_tried_again_while_the_others_run(start: Callable[..., Running]) -> None:
    running = start("web", "HUGE", "engine", WAITS)
    until(lambda: len(running.lines("web    | could not")) == 3, "it is tried again")
    assert running.lines("web    | could not") == [
        f"web    | could not be started (argument list too long); starting again in {pause} s"
        for pause in ("0.1", "0.2", "0.4")
    ]
    assert running.lines("engine | here") and running.pids()
    running.process.terminate()
    assert running.process.wait(10) == 0
    assert running.pids() == set()


def test_when_nobody_takes_what_it_says_everything_stops(start: Callable[..., Running]) -> None:
    running = start("web", "import time\nwhile True: print('here'); time.sleep(0.05)", "engine", WAITS, piped=True)
    assert running.process.stdout is not None
    assert running.process.stdout.readline()
    running.process.stdout.close()
    assert running.process.wait(10) != 0
    assert running.pids() == set()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_with_everything_it_started(start: Callable[..., Running], how: signal.Signals) -> None:
    running = start("web", WAITS, "engine", WAITS)
    until(lambda: len(running.lines()) == 2, "both run")
    running.process.send_signal(how)
    assert running.process.wait(10) == 0
    assert running.pids() == set()


def test_what_does_not_end_when_asked_is_killed_with_what_it_forked(start: Callable[..., Running]) -> None:
    running = start("worker", STUBBORN, grace=0.3)
    until(lambda: len(running.lines()) == 2, "it and its fork run")
    running.process.terminate()
    assert running.process.wait(10) == 0
    assert running.pids() == set()


def test_asked_twice_it_does_not_wait(start: Callable[..., Running]) -> None:
    running = start("worker", STUBBORN, grace=60)
    until(lambda: len(running.lines()) == 2, "it and its fork run")
    running.process.terminate()
    time.sleep(0.3)
    running.process.terminate()
    assert running.process.wait(10) == 0
    assert running.pids() == set()


@pytest.mark.parametrize("code", [WAITS, STUBBORN], ids=["willing", "stubborn"])
def test_nobody_outlives_a_supervisor_that_is_killed(start: Callable[..., Running], code: str) -> None:
    running = start("worker", code, grace=0.3)
    until(lambda: running.lines("worker | here"), "it runs")
    running.process.kill()
    until(lambda: running.pids() == set(), "all have ended")


def test_nobody_outlives_a_supervisor_that_is_killed_while_it_stops(start: Callable[..., Running]) -> None:
    running = start("worker", STUBBORN, grace=1)
    until(lambda: len(running.lines()) == 2, "it and its fork run")
    running.process.terminate()
    time.sleep(0.3)
    running.process.kill()
    until(lambda: running.pids() == set(), "all have ended")


def test_what_a_program_forked_does_not_outlive_it(start: Callable[..., Running]) -> None:
    running = start("worker", STUBBORN.replace("os.fork()", "os.fork() or os._exit(4) if not os.fork() else None"))
    until(lambda: running.lines("worker | here"), "it runs")
    before = running.pids()
    for pid in before:
        if b"keeper.py" in command(parent(pid)).encode():
            os.kill(pid, signal.SIGKILL)
    until(lambda: not (before & running.pids()), "its forks are gone with it")


def test_a_keeper_that_is_killed_takes_its_program_along(start: Callable[..., Running]) -> None:
    running = start("web", WAITS)
    until(lambda: running.lines("web | here"), "it runs")
    program = the_program(running)
    os.kill(parent(program), signal.SIGKILL)
    until(lambda: len(running.lines("web | here")) == 2, "it runs again")
    assert program not in running.pids()


def test_a_port_in_use_is_told_from_a_free_one() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        port = taken.getsockname()[1]
        assert busy("127.0.0.1", port) == "address already in use"
    assert busy("127.0.0.1", port) is None
