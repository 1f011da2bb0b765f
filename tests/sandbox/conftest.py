"""Small strategies in processes that are closed after the test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import pytest

from signalist.sandbox import StrategyProcess
from signalist.sandbox.warm import Zygote

# The least walls that a stranger's code is run behind, wherever the tests run.
PLAIN = {kind: Zygote(kind, leave_out=("bubblewrap",)) for kind in ("lean", "pandas")}


class Start(Protocol):
    """Starts a strategy process of this source, with these parameter values and limits."""

    def __call__(self, source: str, parameters: dict[str, object] | None = None, **limits: Any) -> StrategyProcess: ...


@pytest.fixture
def start() -> Iterator[Start]:
    processes: list[StrategyProcess] = []

    def started(source: str, parameters: dict[str, object] | None = None, **limits: Any) -> StrategyProcess:
        limits.setdefault("of", PLAIN["pandas" if "pandas" in source else "lean"])
        processes.append(StrategyProcess(source, parameters or {}, **limits))
        return processes[-1]

    yield started
    for process in processes:
        process.close()


@pytest.fixture(scope="session", autouse=True)
def nothing_stays() -> Iterator[None]:
    """The warm processes end with the tests."""
    yield
    for zygote in PLAIN.values():
        zygote.close()
