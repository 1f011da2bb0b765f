"""`python -m tests.browser.metronome` publishes a strategy that trades at every other close: a journey need not wait for a market."""

from __future__ import annotations

import hashlib
import os

import django

SOURCE = '''"""Long at one close, out at the next."""

from __future__ import annotations

import numpy as np
from signalist_strategy import Candles, Parameters, Signals

parameters = {}


def history(parameters: Parameters) -> int:
    return 4


def signals(candles: Candles, parameters: Parameters) -> Signals:
    step = np.round(candles.time / 10.0).astype(int) % 2
    return Signals(
        enter_long=step == 0,
        exit_long=step == 1,
        stop_long=candles.close * 0.97,
        target_long=candles.close * 1.05,
    )
'''


def main() -> None:
    """Publish it on the 10-second candles of the demonstration's first market."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "signalist.settings")
    django.setup()
    from signalist.markets.models import Instrument
    from signalist.strategies.models import Schedule, Strategy, StrategyVersion

    strategy = Strategy.objects.create(
        slug="metronome", name="Metronome", description="In at one close, out at the next."
    )
    version = StrategyVersion.objects.create(
        strategy=strategy,
        number=1,
        source=SOURCE,
        content_hash=hashlib.sha256(SOURCE.encode()).hexdigest(),
        parameters={},
        history=4,
        state="PUBLISHED",
    )
    instrument = Instrument.objects.get(venue="paper", symbol="NOVA/USD")
    Schedule.objects.create(version=version, instrument=instrument, timeframe="10s")


if __name__ == "__main__":
    main()
