"""Whatever a hostile strategy tries, it is contained and named, nothing is changed outside, and the next run works."""

from __future__ import annotations

import os
import platform
import socket
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from signalist.domain.signals import SignalKind
from signalist.domain.strategies import SignalRow
from signalist.sandbox import Failed, FailureKind, Ran, StrategyProcess
from tests.random_walks import of_closes
from tests.sandbox.conftest import PLAIN, Start
from tests.sandbox.escapes import ATTEMPTS, PRELUDE

CALM, TRIGGER = of_closes([10, 11, 12]), of_closes([10, 11, 5000])
ROOT = Path(__file__).resolve().parents[2]
PLANTED = [Path("/tmp/signalist-escape"), Path("/dev/shm/signalist-escape")]


@dataclass(frozen=True, slots=True)
class Outside:
    """What lies around the sandbox and must stay as it is."""

    canary: Path
    listener: socket.socket
    sibling: StrategyProcess

    def names(self) -> dict[str, object]:
        return {
            "root": ROOT, "canary": self.canary, "port": self.listener.getsockname()[1], "sibling": self.sibling.pid,
            "us": os.getpid(), "mprotect": 226 if platform.machine() == "aarch64" else 10,
        }  # fmt: skip

    def is_untouched(self) -> bool:
        try:
            self.listener.accept()
        except BlockingIOError:
            return self.canary.read_text() == "rows" and not any(path.exists() for path in PLANTED)
        return False


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    canary = tmp_path_factory.mktemp("outside") / "db.sqlite3"
    canary.write_text("rows")
    source = PRELUDE.replace("{body}", "        pass") + "SECRET = 'siblings-secret'\n"
    sibling = StrategyProcess(source, {}, house=True, of=PLAIN["lean"])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        assert isinstance(sibling.last(CALM), Ran)
        assert sibling.pid is not None
        yield Outside(canary, listener, sibling)
    sibling.close()


def test_there_are_many_attempts() -> None:
    assert len(ATTEMPTS) >= 60


@pytest.mark.parametrize("name", ATTEMPTS)
def test_it_is_contained_and_named_and_the_next_run_works(start: Start, outside: Outside, name: str) -> None:
    attempt, sibling = ATTEMPTS[name], outside.sibling.pid
    body = textwrap.indent(attempt.body.format(**outside.names()), " " * 8)
    process = start(
        PRELUDE.replace("{body}", body), time_limit=attempt.seconds, memory_limit=128 << 20, output_limit=1 << 16
    )
    failed = process.last(TRIGGER)
    assert isinstance(failed, Failed), failed
    assert "ESCAPED" not in failed.message
    assert failed.kind is attempt.kind, failed
    assert attempt.said in failed.message
    assert outside.is_untouched()
    ran = start(PRELUDE.replace("{body}", body)).last(CALM)
    assert isinstance(ran, Ran), ran
    assert ran.rows == (SignalRow(SignalKind.LONG, stop=12 * 0.9),)
    assert outside.sibling.pid == sibling


def test_nothing_is_left_for_the_next_run(start: Start) -> None:
    source = PRELUDE.replace("{body}", "        np.left = sys.left = 1; time.sleep = None")
    process = start(source + "\nimport math\nhistory = 3\n")
    assert isinstance(process.last(TRIGGER), Ran)
    looks = start(
        PRELUDE.replace(
            "{body}", "        raise ValueError([hasattr(np, 'left'), hasattr(sys, 'left'), time.sleep is None])"
        )
    )
    told = looks.last(TRIGGER)
    assert told == Failed(
        FailureKind.RAISED, "ValueError: [False, False, False]", told.line if isinstance(told, Failed) else None
    )


def test_random_numbers_are_the_same_in_every_run(start: Start) -> None:
    source = PRELUDE.replace(
        "{body}", "        raise ValueError([np.random.random(), real('random').random(), hash('word')])"
    )
    one, other = (start(source).last(TRIGGER) for _ in range(2))
    assert isinstance(one, Failed)
    assert one == other
