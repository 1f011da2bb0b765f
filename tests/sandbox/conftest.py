"""Small strategies in processes that are closed after the test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import pytest

from signalist.sandbox import StrategyProcess


class Start(Protocol):
    """Starts a strategy process of this source, with these parameter values and limits."""

    def __call__(self, source: str, parameters: dict[str, object] | None = None, **limits: Any) -> StrategyProcess: ...


@pytest.fixture
def start() -> Iterator[Start]:
    processes: list[StrategyProcess] = []

    def started(source: str, parameters: dict[str, object] | None = None, **limits: Any) -> StrategyProcess:
        processes.append(StrategyProcess(source, parameters or {}, **limits))
        return processes[-1]

    yield started
    for process in processes:
        process.close()
