"""backtesting.py on the same candles and rules, run by its own environment's Python: one JSON line per line on standard input."""

from __future__ import annotations

import json
import sys
import time
import warnings

import numpy as np
import pandas as pd
from backtesting import Backtest, Strategy
from backtesting.lib import crossover

warnings.simplefilter("ignore")


class Crossover(Strategy):
    """Long only, one unit, filled at the next open."""

    def init(self) -> None:
        close = pd.Series(self.data.Close)
        self.fast = self.I(lambda: close.rolling(10).mean())
        self.slow = self.I(lambda: close.rolling(30).mean())

    def next(self) -> None:
        price = self.data.Close[-1]
        if crossover(self.fast, self.slow):
            if not self.position:
                self.buy(size=1, sl=price * 0.98, tp=price * 1.04)
        elif crossover(self.slow, self.fast) and self.position:
            self.position.close()


def backtested(data: np.ndarray) -> dict[str, float]:
    frame = pd.DataFrame(
        {"Open": data[1], "High": data[2], "Low": data[3], "Close": data[4], "Volume": 1.0},
        index=pd.to_datetime(data[0], unit="s"),
    )
    stats = Backtest(frame, Crossover, cash=10_000_000, commission=0.001, finalize_trades=True).run()
    return {"trades": float(stats["# Trades"]), "final": float(stats["Equity Final [$]"])}


def main() -> None:
    loaded = {}
    for line in sys.stdin:
        file = line.strip()
        data = loaded.setdefault(file, np.load(file))
        began = time.perf_counter()
        said = backtested(data)
        print(json.dumps({"seconds": time.perf_counter() - began, **said}), flush=True)


if __name__ == "__main__":
    main()
