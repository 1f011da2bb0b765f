"""Recordings for replays: made-up minutes in a CSV file, and the recorded month where it lies beside the project."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from signalist.domain.candles import CandleArrays
from tests.random_walks import random_walk

BESIDE = Path(__file__).parents[3] / "shared" / "market" / "BTC-PERP-1m-2022-01.csv.gz"
HEADER = ("open_time", "open", "high", "low", "close", "volume")


def walk(path: Path, bars: int, seed: int = 1) -> Path:
    """A random walk of `bars` minutes around 40,000, with prices to a tenth."""
    return written(path, random_walk(bars, seed, start=40_000.0, sigma=0.001))


def swings(path: Path, bars: int, seed: int = 3) -> Path:
    """Minutes that swing fast enough for two averages to cross every ten, with noise that reaches stops and targets."""
    draw = np.random.default_rng(seed)
    at = np.arange(bars)
    close = 40_000 * (1 + 0.003 * np.sin(2 * np.pi * at / 20) + np.cumsum(draw.normal(0, 0.0012, bars)))
    opened = np.concatenate(([close[0]], close[:-1]))
    wick = np.abs(draw.normal(0, 0.00085, bars))
    return written(
        path,
        CandleArrays(
            time=1_700_000_040 + 60 * at.astype(np.int64),
            open=opened,
            high=np.maximum(opened, close) * (1 + wick),
            low=np.minimum(opened, close) * (1 - wick),
            close=close,
            volume=np.full(bars, 5.0),
        ),
    )


def written(path: Path, candles: CandleArrays) -> Path:
    """`candles` as a recording with a column `open_time`."""
    prices = (candles.open, candles.high, candles.low, candles.close, candles.volume)
    lines = ([int(time), *(f"{value:.1f}" for value in row)] for time, *row in zip(candles.time, *prices, strict=True))
    return table(path, [HEADER, *lines])


def table(path: Path, lines: Sequence[Sequence[object]]) -> Path:
    """A CSV file of these lines."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(lines)
    return path


def minutes_of(hours: int, folder: Path) -> tuple[Path, list[str]]:
    """So many hours of minutes and the options that cut them out: recorded ones where they are at hand, else a walk of the same length."""
    if BESIDE.is_file():
        begin = datetime(2022, 1, 10, tzinfo=UTC)
        return BESIDE, ["--start", begin.isoformat(), "--end", (begin + timedelta(hours=hours)).isoformat()]
    return walk(folder / "minutes.csv", 60 * hours), []
