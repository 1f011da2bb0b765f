"""The kernel beside the slow reference: trade by trade, by equity at every bar and by what was passed over."""

from __future__ import annotations

from decimal import Decimal

import numpy as np

from signalist.domain.backtest.bars import Bars
from signalist.domain.backtest.kernel import trade
from signalist.domain.backtest.metrics import equity
from signalist.domain.backtest.terms import BacktestTerms
from signalist.domain.candles import CandleArrays
from signalist.domain.instruments import InstrumentSpec
from signalist.domain.strategies import SignalArrays
from tests.domain.backtest.reference import Reference, ReferenceTrade


def assert_same(candles: CandleArrays, signals: SignalArrays, terms: BacktestTerms, spec: InstrumentSpec) -> int:
    """Returns the number of trades."""
    outcome = trade(Bars.of(candles, spec, 60), signals, terms, spec)
    columns = (candles.open, candles.high, candles.low, candles.close)
    prices = [tuple(spec.price(Decimal(repr(float(price)))) for price in bar) for bar in zip(*columns, strict=True)]
    said = [signals.at(bar) for bar in range(len(signals))]
    trades, curve, passed = Reference(terms, spec).run(prices, said)  # type: ignore[arg-type]
    grid = outcome.grid
    mine = [
        ReferenceTrade(
            fill.direction,
            fill.entry_bar,
            fill.exit_bar,
            grid.quantity(fill.lots),
            grid.price(fill.entry),
            grid.price(fill.exit),
            grid.amount(fill.entry_fee + fill.exit_fee),
            grid.amount(fill.pnl),
            fill.reason.value,
        )
        for fill in outcome.fills
    ]
    assert mine == trades
    assert outcome.passed_over == dict(passed)
    np.testing.assert_allclose(equity(outcome), [float(value) for value in curve], rtol=1e-12, atol=1e-9)
    return len(trades)
