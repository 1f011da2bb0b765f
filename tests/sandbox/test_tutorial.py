"""Every strategy of the tutorial runs as it stands there."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from signalist.domain.strategies import StrategyManifest
from signalist.sandbox import RanWhole
from tests.random_walks import random_walk
from tests.sandbox.conftest import Start

TUTORIAL = Path(__file__).resolve().parents[2] / "docs" / "strategies.md"


def test_every_strategy_of_the_tutorial_says_something(start: Start) -> None:
    sources = re.findall(r"```python\n(.*?)```", TUTORIAL.read_text(), re.DOTALL)
    assert len(sources) == 4
    walk = random_walk(2000, seed=5)
    five_minutes = replace(walk, time=np.arange(1, len(walk) + 1) * 300)
    for source in sources:
        process = start(source)
        assert isinstance(process.manifest(), StrategyManifest)
        whole = process.all(five_minutes)
        assert isinstance(whole, RanWhole), whole
        assert whole.signals.enter_long.any()
