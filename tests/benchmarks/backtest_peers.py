"""How long a backtest of a million minutes takes here and with its peers: warm, in turns, medians.

    python3 -m venv var/bench && var/bench/bin/pip install --require-hashes -r requirements/bench.txt
    .venv/bin/python -m tests.benchmarks.backtest_peers --peers var/bench/bin/python

Each peer is a process of its own that has run once before it is timed. Ours is timed from the candles in memory to the metrics: signals in
the sandbox, fills, equity at every bar, metrics. Reading files and starting processes is nobody's time. One JSON object on standard output.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from signalist.clock import monotonic
from signalist.domain.backtest.bars import Bars
from signalist.domain.backtest.kernel import trade
from signalist.domain.backtest.markets import recorded_market
from signalist.domain.backtest.metrics import equity, metrics
from signalist.domain.backtest.terms import BacktestTerms
from signalist.domain.candles import CandleArrays
from signalist.sandbox import RanWhole, StrategyProcess
from tests.benchmarks.backtest_data import columns

FOLDER = Path(__file__).parent
STRATEGY = """
from signalist_strategy import Candles, Parameters, Signals, indicators

history = 31


def signals(candles: Candles, parameters: Parameters) -> Signals:
    fast, slow = indicators.sma(candles.close, 10), indicators.sma(candles.close, 30)
    return Signals(
        enter_long=indicators.crossed_above(fast, slow),
        exit_long=indicators.crossed_below(fast, slow),
        stop_long=candles.close * 0.98,
        target_long=candles.close * 1.04,
    )
"""
TERMS = BacktestTerms(Decimal(10_000_000), quantity=Decimal(1), fee_rate=Decimal("0.001"))
PEERS = {"vectorbt": "peer_vectorbt.py", "backtesting": "peer_backtesting.py"}


class Ours:
    """Signalist, with its strategy's process warm. `kept`: as the house's own library runs; else a fresh process each time."""

    def __init__(self, *, kept: bool) -> None:
        self.process = StrategyProcess(STRATEGY, {}, time_limit=120, memory_limit=2 << 30, house=kept)
        self.candles: dict[str, CandleArrays] = {}

    def run(self, file: str) -> dict[str, Any]:
        """One backtest from candles to metrics, with the seconds of each stage."""
        if file not in self.candles:
            data = np.load(file)
            self.candles[file] = CandleArrays(data[0].astype(np.int64), *data[1:], volume=np.ones(data.shape[1]))
        candles = self.candles[file]
        spec = recorded_market("BENCH", candles)
        marks = [monotonic()]
        ran = self.process.all(candles)
        assert isinstance(ran, RanWhole), ran
        marks.append(monotonic())
        outcome = trade(Bars.of(candles, spec, 60), ran.signals, TERMS, spec)
        marks.append(monotonic())
        curve = equity(outcome)
        marks.append(monotonic())
        said = metrics(outcome, curve)
        marks.append(monotonic())
        stages = dict(zip(("signals", "fills", "equity", "metrics"), np.diff(marks).tolist(), strict=True))
        return {"seconds": marks[-1] - marks[0], "stages": stages, "said": asdict(said)}

    def close(self) -> None:
        self.process.close()


class Peer:
    """Another backtester in its own environment; it answers one line for each line."""

    def __init__(self, python: str, script: str) -> None:
        self.process = subprocess.Popen(
            [python, str(FOLDER / script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def run(self, file: str) -> dict[str, Any]:
        """Raises RuntimeError where it has ended."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{file}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("a peer ended without an answer")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


def measured(python: str | None, bars: int, runs: int, slow_runs: int) -> dict[str, Any]:
    """The result: seconds of each, what each said, ratios, and ours over a quarter and a half of the bars."""
    sides: dict[str, Any] = {"signalist": Ours(kept=True), "signalist, fresh process": Ours(kept=False)}
    sides |= {name: Peer(python, script) for name, script in PEERS.items()} if python else {}
    taken: dict[str, list[float]] = {name: [] for name in sides}
    said: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        files = {n: str(Path(folder) / f"{n}.npy") for n in (bars // 4, bars // 2, bars)}
        whole = columns(bars)
        for n, file in files.items():
            np.save(file, whole[:, :n])
        try:
            for name, side in sides.items():
                said[name] = side.run(files[bars // 4] if name == "backtesting" else files[bars])  # warm
            for turn in range(runs):
                for name, side in sides.items():
                    if name != "backtesting" or turn < slow_runs:
                        said[name] = side.run(files[bars])
                        taken[name].append(said[name]["seconds"])
            ours = sides["signalist"]
            growth = {}
            for n, file in files.items():
                ours.run(file)
                growth[str(n)] = round(median(ours.run(file)["seconds"] for _ in range(runs)), 4)
        finally:
            for side in sides.values():
                side.close()
    seconds = {name: round(median(times), 4) for name, times in taken.items() if times}
    return {
        "bars": bars,
        "seconds": seconds,
        "every_run": {name: [round(time, 3) for time in times] for name, times in taken.items()},
        "times_as_fast": {
            name: round(time / seconds["signalist"], 2) for name, time in seconds.items() if name != "signalist"
        },
        "stages": {stage: round(time, 4) for stage, time in said["signalist"]["stages"].items()},
        "seconds_by_bars": growth,
        "said": {name: _told(answer) for name, answer in said.items() if name != "signalist, fresh process"},
    }


def _told(answer: dict[str, Any]) -> dict[str, Any]:
    if "said" not in answer:
        return {name: value for name, value in answer.items() if name != "seconds"}
    ours = answer["said"]
    return {
        name: str(ours[name])
        for name in ("trades", "final_capital", "max_drawdown_fraction", "win_rate", "sharpe", "fees")
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--peers", help="the Python of an environment with requirements/bench.txt; ours alone where it is not given"
    )
    parser.add_argument("--bars", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--slow-runs", type=int, default=3, help="of the peer that takes many times as long")
    options = parser.parse_args()
    result = measured(options.peers, options.bars, options.runs, options.slow_runs)
    sys.stdout.write(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
