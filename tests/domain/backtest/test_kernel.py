"""The fill loop: its rules one by one, and trade by trade against a slow second opinion on random strategies and recorded candles."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from signalist.domain.backtest.bars import Bars
from signalist.domain.backtest.kernel import ExitReason, Outcome, trade
from signalist.domain.backtest.terms import BacktestTerms
from signalist.domain.candles import CandleArrays
from signalist.domain.errors import DomainError
from signalist.domain.instruments import InstrumentKind, InstrumentSpec
from signalist.domain.signals import Direction
from signalist.domain.strategies import SignalArrays
from tests.domain.backtest.comparing import assert_same

D = Decimal
SPEC = InstrumentSpec(
    "paper", "BTC-PERP", "BTC", "USDT", InstrumentKind.PERPETUAL, D("0.5"), D("0.001"), D("0.001"), D(5), D(20)
)
FREE = BacktestTerms(D(10_000), quantity=D(1), fee_rate=D(0))
Price = float | int


def _candles(*bars: tuple[Price, Price, Price, Price]) -> CandleArrays:
    """Minutes from their (open, high, low, close)."""
    columns = [np.array(column, dtype=np.float64) for column in zip(*bars, strict=True)]
    times = np.arange(1, len(bars) + 1, dtype=np.int64) * 60
    return CandleArrays(times, *columns, volume=np.ones(len(bars)))


def _says(n: int, **given: dict[int, float | bool]) -> SignalArrays:
    """Signals for n bars: by field, what is said at which bar."""
    columns = {}
    for name, said in given.items():
        flag = name.startswith(("enter", "exit"))
        column = np.zeros(n, dtype=np.bool_) if flag else np.full(n, np.nan)
        for bar, value in said.items():
            column[bar] = value
        columns[name] = column
    return SignalArrays.of(n, columns)


def _traded(
    candles: CandleArrays, signals: SignalArrays, terms: BacktestTerms = FREE, spec: InstrumentSpec = SPEC
) -> Outcome:
    return trade(Bars.of(candles, spec, 60), signals, terms, spec)


def _flat(n: int, price: Price = 100) -> list[tuple[Price, Price, Price, Price]]:
    return [(price, price, price, price)] * n


# --- The rules -----------------------------------------------------------------------------------


def test_a_signal_is_traded_at_the_next_open_and_not_at_its_own_close() -> None:
    candles = _candles((100, 100, 100, 100), (103, 104, 102, 104), (107, 108, 106, 107), (110, 110, 110, 110))
    outcome = _traded(candles, _says(4, enter_long={0: True}, exit_long={2: True}))
    (fill,) = outcome.fills
    assert (fill.entry_bar, outcome.grid.price(fill.entry)) == (1, 103)
    assert (fill.exit_bar, outcome.grid.price(fill.exit), fill.reason) == (3, 110, ExitReason.SIGNAL)
    assert outcome.grid.amount(fill.pnl) == 7


def test_a_signal_of_the_last_bar_is_not_traded() -> None:
    outcome = _traded(_candles(*_flat(3)), _says(3, enter_long={2: True}))
    assert outcome.fills == ()
    assert outcome.passed_over == {"after_the_end": 1}


@pytest.mark.parametrize(
    ("side", "levels", "bar", "price", "reason"),
    [
        ("long", (95, 105), (100, 106, 94, 100), 95, ExitReason.STOP),
        ("long", (95, 105), (100, 106, 96, 100), 105, ExitReason.TARGET),
        ("long", (95, 105), (93, 106, 92, 100), 93, ExitReason.STOP),
        ("long", (95, 105), (107, 108, 94, 100), 107, ExitReason.TARGET),
        ("short", (105, 95), (100, 106, 94, 100), 105, ExitReason.STOP),
        ("short", (105, 95), (100, 104, 94, 100), 95, ExitReason.TARGET),
        ("short", (105, 95), (107, 108, 94, 100), 107, ExitReason.STOP),
        ("short", (105, 95), (93, 106, 92, 100), 93, ExitReason.TARGET),
    ],
    ids=[
        *("stop first", "target", "gap through the stop", "gap through the target"),
        *("short stop first", "short target", "short gap through the stop", "short gap through the target"),
    ],
)
def test_inside_a_bar_the_stop_comes_first_and_a_gap_is_paid_in_full(
    side: str, levels: tuple[int, int], bar: tuple[Price, ...], price: int, reason: ExitReason
) -> None:
    """CON-60, CON-61, CON-63."""
    candles = _candles(*_flat(2), bar, *_flat(1))  # type: ignore[arg-type]
    said: dict[str, dict[int, float | bool]] = {
        f"enter_{side}": {0: True},
        f"stop_{side}": {0: levels[0]},
        f"target_{side}": {0: levels[1]},
    }
    outcome = _traded(candles, _says(4, **said))
    (fill,) = outcome.fills
    assert (fill.exit_bar, outcome.grid.price(fill.exit), fill.reason) == (2, price, reason)


def test_a_target_beyond_any_price_is_a_target_that_is_never_met() -> None:
    signals = _says(4, enter_long={0: True}, target_long={0: 1e30})
    (fill,) = _traded(_candles(*_flat(4)), signals).fills
    assert fill.reason is ExitReason.END


def test_levels_are_watched_in_the_very_bar_of_the_entry() -> None:
    candles = _candles((100, 100, 100, 100), (100, 101, 94, 99), (99, 99, 99, 99))
    (fill,) = _traded(candles, _says(3, enter_long={0: True}, stop_long={0: 95})).fills
    assert (fill.entry_bar, fill.exit_bar, fill.reason) == (1, 1, ExitReason.STOP)


def test_an_exit_at_the_open_comes_before_the_levels_of_its_bar() -> None:
    candles = _candles(*_flat(2), (100, 100, 90, 95), *_flat(1))
    (fill,) = _traded(candles, _says(4, enter_long={0: True}, stop_long={0: 95}, exit_long={1: True})).fills
    assert (fill.exit_bar, fill.reason, fill.exit_at_open) == (2, ExitReason.SIGNAL, True)


def test_of_an_exit_and_an_entry_of_one_bar_both_are_traded_at_the_same_open() -> None:
    candles = _candles(*_flat(2), *_flat(3, 110))
    outcome = _traded(candles, _says(5, enter_long={0: True}, exit_long={1: True}, enter_short={1: True}))
    first, second = outcome.fills
    assert (first.exit_bar, second.entry_bar, second.direction) == (2, 2, Direction.SHORT)


def test_an_exit_of_the_other_direction_closes_nothing() -> None:
    (fill,) = _traded(_candles(*_flat(5)), _says(5, enter_long={0: True}, exit_short={2: True})).fills
    assert fill.reason is ExitReason.END


def test_entries_while_a_position_is_open_are_passed_over_and_counted() -> None:
    outcome = _traded(_candles(*_flat(6)), _says(6, enter_long={0: True, 1: True, 2: True}, enter_short={3: True}))
    assert len(outcome.fills) == 1
    assert outcome.passed_over == {"position_open": 3}


def test_a_taker_pays_slippage_and_fees_on_both_sides() -> None:
    terms = replace(FREE, fee_rate=D("0.001"), slippage=D("0.0012"))
    outcome = _traded(_candles(*_flat(4)), _says(4, enter_long={0: True}, exit_long={1: True}), terms)
    (fill,) = outcome.fills
    # 0.12 of a price of 100 is rounded against the taker to the next half.
    assert (outcome.grid.price(fill.entry), outcome.grid.price(fill.exit)) == (D("100.5"), D("99.5"))
    assert (outcome.grid.amount(fill.entry_fee), outcome.grid.amount(fill.exit_fee)) == (D("0.1005"), D("0.0995"))
    assert outcome.grid.amount(fill.pnl) == D("-1.2")


def test_the_reference_case_of_sizing_gives_a_fifth_and_loses_two_hundred_at_the_stop() -> None:
    """CON-01, EXE-13: 10 000, 2 %, 45 000 to 44 000, at any leverage."""
    candles = _candles(*_flat(2, 45_000), (45_000, 45_000, 43_000, 44_500), *_flat(1, 44_500))
    for leverage in (D(1), D(10)):
        terms = BacktestTerms(D(10_000), risk_fraction=D("0.02"), leverage=leverage, fee_rate=D(0))
        outcome = _traded(candles, _says(4, enter_long={0: True}, stop_long={0: 44_000}), terms)
        (fill,) = outcome.fills
        assert outcome.grid.quantity(fill.lots) == D("0.2")
        assert outcome.grid.amount(fill.pnl) == -200


@pytest.mark.parametrize(
    ("said", "terms", "rule"),
    [
        ({"enter_long": {0: True}}, BacktestTerms(D(10_000), risk_fraction=D("0.01")), "stop_missing"),
        ({"enter_long": {0: True}, "stop_long": {0: 101.0}}, FREE, "stop_side"),
        ({"enter_short": {0: True}, "target_short": {0: 101.0}}, FREE, "stop_side"),
        ({"enter_long": {0: True}}, replace(FREE, quantity=D("0.0001")), "minimum_size"),
        ({"enter_long": {0: True}}, replace(FREE, capital=D(4)), "balance"),
    ],
)
def test_what_cannot_be_traded_is_passed_over_by_its_rule(
    said: dict[str, dict[int, float | bool]], terms: BacktestTerms, rule: str
) -> None:
    outcome = _traded(_candles(*_flat(3)), _says(3, **said), terms)
    assert outcome.fills == ()
    assert outcome.passed_over == {rule: 1}


def test_spot_is_not_sold_short() -> None:
    spot = replace(SPEC, kind=InstrumentKind.SPOT, max_leverage=D(1))
    assert _traded(_candles(*_flat(3)), _says(3, enter_short={0: True}), spec=spot).passed_over == {
        "short_unsupported": 1
    }


def test_a_leveraged_position_ends_when_the_account_is_used_up() -> None:
    """CON-67: 1,000 at ten times buys 100 at 100; they are worth nothing from 90 down, and less is kept as maintenance."""
    terms = BacktestTerms(D(1000), notional_fraction=D(1), quantity=None, leverage=D(10), fee_rate=D(0))
    terms = replace(terms, notional_fraction=None, quantity=D(100))
    candles = _candles(*_flat(2), (99, 99, 85, 86), (120, 120, 120, 120))
    outcome = _traded(candles, _says(4, enter_long={0: True}), terms)
    (fill,) = outcome.fills
    assert fill.reason is ExitReason.LIQUIDATION
    # 1000 + 100 × (p - 100) = 0.005 × 100 × p at 90.45…, and 90 is the first price on the grid that is as bad.
    assert outcome.grid.price(fill.exit) == 90


def test_what_is_open_at_the_end_is_closed_at_the_last_close() -> None:
    outcome = _traded(_candles(*_flat(2), (100, 108, 100, 107)), _says(3, enter_long={0: True}))
    (fill,) = outcome.fills
    assert (fill.reason, outcome.grid.price(fill.exit)) == (ExitReason.END, 107)


def test_signals_of_another_length_are_refused() -> None:
    with pytest.raises(DomainError, match="signals for 2 bars and 3 bars"):
        _traded(_candles(*_flat(3)), _says(2))


def test_a_price_off_every_grid_is_refused_with_its_bar() -> None:
    with pytest.raises(DomainError, match="The low nan of bar 1"):
        Bars.of(_candles((1, 1, 1, 1), (1, 1, math.nan, 1)), SPEC, 60)


# --- Against the slow second opinion -------------------------------------------------------------


def _random_case(seed: int) -> tuple[CandleArrays, SignalArrays, BacktestTerms, InstrumentSpec]:
    """A walk with gaps, a strategy that knows nothing, terms and an instrument, all drawn from the seed."""
    draw = random.Random(seed)
    n = draw.choice((2, 40, 150, 400, 400))
    tick, lot = draw.choice((D("0.5"), D("0.01"), D("0.00001"), D(1))), draw.choice((D("0.001"), D(1), D("0.00000001")))
    scale = draw.choice((30, 300, 50_000))
    bars, close = [], scale
    for _ in range(n):
        opened = max(close + draw.choice((0, 0, 0, draw.randint(-scale // 20 - 1, scale // 20 + 1))), 2)
        close = max(opened + draw.randint(-scale // 25 - 1, scale // 25 + 1), 2)
        reach = scale // 40 + 1
        high, low = max(opened, close) + draw.randint(0, reach), max(min(opened, close) - draw.randint(0, reach), 1)
        bars.append(tuple(float(ticks * tick) for ticks in (opened, high, low, close)))
    kind = draw.choice((InstrumentKind.PERPETUAL, InstrumentKind.PERPETUAL, InstrumentKind.SPOT))
    leverage = draw.choice((D(1), D(3), D(20))) if kind is InstrumentKind.PERPETUAL else D(1)
    spec = replace(SPEC, tick=tick, lot=lot, min_quantity=lot * draw.randint(0, 5), min_notional=D(5), kind=kind)
    spec = replace(spec, max_leverage=leverage)
    sizing: dict[str, Decimal] = draw.choice(
        [
            {"risk_fraction": D(draw.randint(1, 5000)) / 10_000},
            {"notional_fraction": D(draw.randint(1, 1000)) / 1000},
            {"quantity": max((D(draw.randint(1, 5000)) / scale / tick).quantize(D("1e-8")), D("1e-8"))},
        ]
    )
    terms = BacktestTerms(
        D(draw.choice((1, 100, 10_000, 12_345_678))) + D(draw.randint(0, 10**10)).scaleb(-10),
        leverage=leverage,
        fee_rate=D(draw.choice((0, 5, 10, 26, 200))).scaleb(-4),
        slippage=D(draw.choice((0, 1, 12))).scaleb(-4),
        **sizing,  # type: ignore[arg-type]  # one of three by name
    )
    often = draw.choice((0.02, 0.2, 0.6))
    enter = np.array([draw.random() < often for _ in range(n)])
    long = np.array([draw.random() < 0.5 for _ in range(n)])
    leave = np.array([draw.random() < often / 2 for _ in range(n)])
    closes = np.array([bar[3] for bar in bars])

    def level(side: int) -> np.ndarray:
        away = np.array([draw.choice((math.nan, 0.004, 0.02, 0.02, 0.2, 0.003777, 0.01, -0.01)) for _ in range(n)])
        return np.maximum(closes * (1 + side * away), float(tick) / 3)

    signals = SignalArrays.of(
        n,
        {
            "enter_long": enter & long,
            "enter_short": enter & ~long,
            "exit_long": leave & ~(enter & long),
            "exit_short": leave & ~(enter & ~long),
            "stop_long": level(-1),
            "target_long": level(1),
            "stop_short": level(1),
            "target_short": level(-1),
        },
    )
    return _candles(*bars), signals, terms, spec  # type: ignore[arg-type]


@pytest.mark.parametrize("first", range(0, 200, 50))
def test_it_agrees_with_the_slow_reference_on_random_strategies(first: int) -> None:
    assert sum(assert_same(*_random_case(seed)) for seed in range(first, first + 50)) > 200


@pytest.mark.soak
@pytest.mark.parametrize("first", range(200, 1200, 100))
def test_it_agrees_with_the_slow_reference_on_many_more(first: int) -> None:
    assert sum(assert_same(*_random_case(seed)) for seed in range(first, first + 100)) > 300
