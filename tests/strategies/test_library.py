"""The strategies that come with the house: the same live and in a backtest, and true to their rules."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from signalist.domain.candles import CandleArrays
from signalist.domain.signals import SignalKind
from signalist.domain.strategies import FLAG_FIELDS, SignalArrays, StrategyManifest
from signalist.sandbox import Failed, FailureKind, Ran, RanWhole, StrategyProcess
from tests.random_walks import cut, flat, of_closes, random_walk

LIBRARY = Path(__file__).parents[2] / "signalist" / "strategies" / "library"
NAMES = ["bollinger_reversion", "donchian_breakout", "moving_average_crossover", "rsi_mean_reversion"]
VARIANTS: list[tuple[str, dict[str, object]]] = [
    ("moving_average_crossover", {}),
    ("moving_average_crossover", {"fast": 3, "slow": 7, "atr": 20, "shorts": False}),
    ("rsi_mean_reversion", {}),
    ("rsi_mean_reversion", {"period": 5, "oversold": 40, "overbought": 60, "atr": 3}),
    ("donchian_breakout", {}),
    ("donchian_breakout", {"entry": 8, "exit": 3, "width": 0.0, "atr": 12, "shorts": False}),
    ("bollinger_reversion", {}),
    ("bollinger_reversion", {"period": 7, "deviations": 1.2, "calm": 100.0, "atr": 20, "shorts": False}),
]


@pytest.fixture(scope="module")
def warm() -> Iterator[dict[str, StrategyProcess]]:
    """The processes of this module by strategy and parameters; started when first asked for."""
    processes: dict[str, StrategyProcess] = {}
    yield processes
    for process in processes.values():
        process.close()


def _process(
    warm: dict[str, StrategyProcess], name: str, parameters: dict[str, object] | None = None
) -> StrategyProcess:
    key = f"{name} {parameters or {}}"
    if key not in warm:
        warm[key] = StrategyProcess((LIBRARY / f"{name}.py").read_text(), parameters or {})
    return warm[key]


def _whole(process: StrategyProcess, candles: CandleArrays) -> SignalArrays:
    ran = process.all(candles)
    assert isinstance(ran, RanWhole), ran
    return ran.signals


def _history(process: StrategyProcess) -> int:
    manifest = process.manifest()
    assert isinstance(manifest, StrategyManifest), manifest
    return manifest.history


def test_the_library_holds_the_crossover_and_the_reversion() -> None:
    assert {"moving_average_crossover", "rsi_mean_reversion"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_is_explained_and_bounded(warm: dict[str, StrategyProcess], name: str) -> None:
    manifest = _process(warm, name).manifest()
    assert isinstance(manifest, StrategyManifest)
    for spec in manifest.parameters:
        assert spec.help.endswith("."), spec.name
        assert spec.type == "bool" or None not in (spec.minimum, spec.maximum), spec.name


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        variant if number % 2 else pytest.param(*variant, marks=pytest.mark.soak)
        for number, variant in enumerate(VARIANTS)
    ],
)
@pytest.mark.parametrize(
    ("seed", "every"), [(1, 5), pytest.param(1, 1, marks=pytest.mark.soak), pytest.param(2, 1, marks=pytest.mark.soak)]
)
def test_the_last_row_over_its_history_is_the_whole_run_at_every_bar(
    warm: dict[str, StrategyProcess], name: str, parameters: dict[str, object], seed: int, every: int
) -> None:
    """Each bar takes a call of the strategy; those of few are all at which it says something, and every fifth of the others."""
    process, candles = _process(warm, name, parameters), random_walk(400, seed)
    history, whole = _history(process), _whole(process, candles)
    said = np.logical_or.reduce([getattr(whole, field) for field in FLAG_FIELDS])
    for bar in range(history - 1, len(candles)):
        if bar % every and not said[bar]:
            continue
        ran = process.last(cut(candles, bar + 1 - history, bar + 1))
        assert isinstance(ran, Ran)
        assert ran.rows == whole.at(bar).rows(""), bar
    assert whole.enter_long.sum() >= 2
    assert whole.exit_long.sum() >= 2
    assert whole.exit_short.sum() >= 2
    assert (whole.enter_short.sum() >= 2) == (parameters.get("shorts") is not False)


@pytest.mark.parametrize(("name", "parameters"), VARIANTS)
def test_what_is_said_does_not_change_when_more_candles_follow(
    warm: dict[str, StrategyProcess], name: str, parameters: dict[str, object]
) -> None:
    process, candles = _process(warm, name, parameters), random_walk(300, seed=3)
    whole = _whole(process, candles)
    for bars in (_history(process), 100, 177, 299):
        prefix = _whole(process, cut(candles, 0, bars))
        for field in SignalArrays.__slots__:
            assert getattr(prefix, field).tobytes() == getattr(whole, field)[:bars].tobytes(), (field, bars)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_happens_in_a_flat_market(warm: dict[str, StrategyProcess], name: str) -> None:
    whole = _whole(_process(warm, name), flat(300, price=1 / 3))
    assert not any(getattr(whole, field).any() for field in FLAG_FIELDS)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("sigma", [0.004, 0.3])
def test_every_entry_is_protected_on_the_right_side(warm: dict[str, StrategyProcess], name: str, sigma: float) -> None:
    candles = random_walk(3000, seed=8, sigma=sigma)
    whole, close = _whole(_process(warm, name), candles), candles.close
    assert (whole.enter_long | whole.enter_short).sum() > 20
    for entry, below, above in (
        (whole.enter_long, whole.stop_long, whole.target_long),
        (whole.enter_short, whole.target_short, whole.stop_short),
    ):
        assert (below[entry] > 0).all()
        assert (below[entry] < close[entry]).all()
        assert (close[entry] < above[entry]).all()
        assert np.isfinite(above[entry]).all()


def _rows(warm: dict[str, StrategyProcess], name: str, closes: list[float], **parameters: Any) -> list[tuple[str, ...]]:
    """The kinds of signals at the newest bar."""
    ran = _process(warm, name, parameters).last(of_closes(closes))
    assert isinstance(ran, Ran), ran
    return [row.kind for row in ran.rows]


CROSS = {"fast": 2, "slow": 4, "atr": 3}


def test_the_cross_above_leaves_the_short_and_enters_the_long(warm: dict[str, StrategyProcess]) -> None:
    closes = [100.0, 100, 100, 99, 98, 97, 104]
    assert _rows(warm, "moving_average_crossover", closes, **CROSS) == [SignalKind.EXIT_SHORT, SignalKind.LONG]
    ran = _process(warm, "moving_average_crossover", CROSS).last(of_closes(closes))
    assert isinstance(ran, Ran)
    average_range = (
        2 + 2 + 8
    ) / 3  # bars that reach 1 above and below their close; the last one gaps up from 97 to 104
    assert ran.rows[1].stop == pytest.approx(104 - 2 * average_range)
    assert ran.rows[1].target == pytest.approx(104 + 4 * average_range)


def test_the_cross_below_leaves_the_long_and_enters_the_short(warm: dict[str, StrategyProcess]) -> None:
    closes = [100.0, 100, 100, 101, 102, 103, 96]
    assert _rows(warm, "moving_average_crossover", closes, **CROSS) == [SignalKind.EXIT_LONG, SignalKind.SHORT]
    assert _rows(warm, "moving_average_crossover", closes, **CROSS, shorts=False) == [SignalKind.EXIT_LONG]


def test_no_cross_is_no_signal(warm: dict[str, StrategyProcess]) -> None:
    assert _rows(warm, "moving_average_crossover", [100.0, 101, 102, 103, 104, 105, 106], **CROSS) == []


def test_a_fast_average_that_is_not_faster_is_refused() -> None:
    source = (LIBRARY / "moving_average_crossover.py").read_text()
    with StrategyProcess(source, {"fast": 30, "slow": 30}) as process:
        refused = process.manifest()
    assert isinstance(refused, Failed)
    assert refused.kind is FailureKind.RAISED
    assert refused.message == "ValueError: fast (30) must be less than slow (30)"


REVERSION = {"period": 3, "atr": 3}


def test_the_index_coming_back_from_oversold_enters_the_long(warm: dict[str, StrategyProcess]) -> None:
    # The index is 0 after three falls; the rise of 1 against falls of 1 and 1 brings it to 33.
    closes = [105.0, 104, 103, 102, 103]
    ran = _process(warm, "rsi_mean_reversion", REVERSION).last(of_closes(closes))
    assert isinstance(ran, Ran)
    assert [row.kind for row in ran.rows] == [SignalKind.LONG]
    assert ran.rows[0].strength == 1.0
    assert ran.rows[0].stop == pytest.approx(103 - 2 * 2)
    assert ran.rows[0].target == pytest.approx(103 + 3 * 2)


def test_the_index_coming_back_from_overbought_enters_the_short(warm: dict[str, StrategyProcess]) -> None:
    closes = [101.0, 102, 103, 104, 103]
    assert _rows(warm, "rsi_mean_reversion", closes, **REVERSION) == [SignalKind.SHORT]
    assert _rows(warm, "rsi_mean_reversion", closes, **REVERSION, shorts=False) == []


def test_the_middle_is_where_positions_are_left(warm: dict[str, StrategyProcess]) -> None:
    assert _rows(warm, "rsi_mean_reversion", [105.0, 104, 103, 104, 105], **REVERSION) == [SignalKind.EXIT_LONG]
    assert _rows(warm, "rsi_mean_reversion", [101.0, 102, 103, 102, 101], **REVERSION) == [SignalKind.EXIT_SHORT]


def test_a_jump_over_the_middle_is_an_exit_and_no_entry(warm: dict[str, StrategyProcess]) -> None:
    assert _rows(warm, "rsi_mean_reversion", [105.0, 104, 103, 102, 112], **REVERSION) == [SignalKind.EXIT_LONG]


def test_a_strength_is_a_share(warm: dict[str, StrategyProcess]) -> None:
    whole = _whole(_process(warm, "rsi_mean_reversion"), random_walk(3000, seed=9))
    strengths = whole.strength[whole.enter_long | whole.enter_short]
    assert len(strengths) > 50
    assert ((strengths >= 0) & (strengths <= 1)).all()
    assert math.isnan(whole.strength[0])
