"""vectorbt on the same candles and rules, run by its own environment's Python: one JSON line per line on standard input.

Fast 10 and slow 30, stop 2 % and target 4 %, fee 0.1 %, one unit, filled at the next open; and the same outputs: trades, equity, metrics.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np
import pandas as pd
import vectorbt as vbt


def backtested(data: np.ndarray) -> dict[str, float]:
    index = pd.to_datetime(data[0], unit="s")  # without a time zone, which would cost it seconds
    opened, high, low, close = (pd.Series(column, index=index) for column in data[1:])
    fast, slow = vbt.MA.run(close, 10), vbt.MA.run(close, 30)
    entries, exits = fast.ma_crossed_above(slow), fast.ma_crossed_below(slow)
    portfolio = vbt.Portfolio.from_signals(
        close=close,
        entries=entries.vbt.signals.fshift(1),
        exits=exits.vbt.signals.fshift(1),
        price=opened,
        open=opened,
        high=high,
        low=low,
        sl_stop=0.02,
        tp_stop=0.04,
        fees=0.001,
        size=1.0,
        init_cash=10_000_000.0,
        freq="1min",
    )
    trades, value = portfolio.trades, portfolio.value()
    returns = value.resample("1D").last().pct_change().dropna()
    said = {
        "trades": float(trades.count()),
        "final": float(value.iloc[-1]),
        "drawdown": float(portfolio.max_drawdown()),
        "total_return": float(portfolio.total_return()),
        "win_rate": float(trades.win_rate()),
        "profit_factor": float(trades.profit_factor()),
        "expectancy": float(trades.expectancy()),
        "exposure": float(portfolio.position_coverage()),
        "sharpe": float(returns.mean() / returns.std() * np.sqrt(365)),
        "sortino": float(returns.mean() / np.sqrt((np.minimum(returns, 0) ** 2).mean()) * np.sqrt(365)),
        "fees": float(trades.records["entry_fees"].sum() + trades.records["exit_fees"].sum()),
    }
    # Equity at every bar and the list of trades are part of what is asked for.
    said["points"] = float(len(value))
    said["listed"] = float(len(trades.records))
    return said


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
