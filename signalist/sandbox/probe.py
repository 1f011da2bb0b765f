"""Tries the sandbox from inside: a strategy that climbs the second wall and then asks for what no strategy gets."""

from __future__ import annotations

import ast
from dataclasses import dataclass

import numpy as np

from signalist.domain.candles import CandleArrays

from .outcomes import Failed
from .process import StrategyProcess
from .warm import CannotStart, Walls, zygote

_TRIED = """
from signalist_strategy import Candles, Signals
real = Candles.__len__.__globals__["__builtins__"]["__import__"]
os, socket, signal, ctypes = map(real, ("os", "socket", "signal", "ctypes"))
history = 1

def attempt(do):
    try:
        return f"reached: {do()!r}"[:80]
    except BaseException as error:
        return ""

def signals(candles, parameters):
    raise LookupError([
        ("read a file", attempt(lambda: os.open("/etc/passwd", os.O_RDONLY))),
        ("write a file", attempt(lambda: os.open("/tmp/signalist-probe", os.O_WRONLY | os.O_CREAT))),
        ("open a socket", attempt(lambda: socket.socket())),
        ("start a process", attempt(lambda: os.fork())),
        ("run a program", attempt(lambda: os.execv("/bin/true", ["true"]))),
        ("signal its parent", attempt(lambda: os.kill(os.getppid(), 0))),
        ("lift a limit", attempt(lambda: real("resource").setrlimit(7, (4096, 4096)))),
        ("read its environment", attempt(lambda: dict(os.environ)["PATH"])),
    ])
"""


@dataclass(frozen=True, slots=True)
class Report:
    """Which walls stand, None where the sandbox cannot be started; what was tried from inside, and what it reached, "" for nothing."""

    walls: Walls | None
    tried: tuple[tuple[str, str], ...]
    problem: str

    @property
    def level(self) -> str:
        """`namespaces`, `filters`, `weak` or `none`."""
        return "none" if self.walls is None else self.walls.level

    @property
    def strangers(self) -> bool:
        """Whether a stranger's code is run here, and held."""
        return self.walls is not None and not self.refusal

    @property
    def refusal(self) -> str:
        """Why it is not."""
        if self.problem or self.walls is None:
            return self.problem
        through = [name for name, reached in self.tried if reached]
        return self.walls.refusal or (f"From inside one could {', '.join(through)}." if through else "")

    def as_json(self) -> dict[str, object]:
        """For a machine."""
        return {
            "level": self.level, "strangers": self.strangers, "refusal": self.refusal,
            "walls": list(self.walls.stand) if self.walls else [], "missing": list(self.walls.missing) if self.walls else [],
            "tried": [{"attempt": name, "held": not reached, "reached": reached} for name, reached in self.tried],
        }  # fmt: skip

    def lines(self) -> list[str]:
        """For a reader."""
        verdict = "run" if self.strangers else f"REFUSED: {self.refusal}"
        told = [f"level: {self.level}", f"strangers' code: {verdict}"]
        if self.walls is not None:
            told += [f"stands: {', '.join(self.walls.stand)}", *(f"missing: {reason}" for reason in self.walls.missing)]
        return told + [f"{name}: {reached or 'held'}" for name, reached in self.tried]


def report() -> Report:
    """The walls of this machine, and what comes of trying them."""
    try:
        walls = zygote("lean").walls()
    except CannotStart as reason:
        return Report(None, (), f"Nothing can be run: {reason}.")
    candle = [np.array([100.0])] * 5
    with StrategyProcess(_TRIED, {}, house=True) as process:
        said = process.last(CandleArrays(np.array([60], dtype=np.int64), *candle))
    prefix = "LookupError: "
    if not isinstance(said, Failed) or not said.message.startswith(prefix):
        return Report(walls, (), f"The attempt from inside did not come to its end: {said}.")
    return Report(walls, tuple(ast.literal_eval(said.message.removeprefix(prefix))), "")
