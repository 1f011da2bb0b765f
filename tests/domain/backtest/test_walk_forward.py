"""Walk-forward: where the past ends, what is chosen by it, and that nothing after it has a say."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from signalist.domain.backtest.bars import Bars
from signalist.domain.backtest.kernel import trade
from signalist.domain.backtest.markets import recorded_market
from signalist.domain.backtest.metrics import metrics
from signalist.domain.backtest.terms import BacktestTerms
from signalist.domain.backtest.walk_forward import Fold, WalkForward, folds, walk_forward
from signalist.domain.errors import DomainError
from signalist.domain.strategies import SignalArrays
from tests.random_walks import of_closes

TERMS = BacktestTerms(Decimal(10_000), quantity=Decimal(1), fee_rate=Decimal(0))
# Up for sixty bars, down for sixty: what was best at first is worst after it.
CANDLES = of_closes([100.0 + bar for bar in range(60)] + [160.0 - bar for bar in range(60)])
SPEC = recorded_market("X", CANDLES)
BARS = Bars.of(CANDLES, SPEC, 60)


def _always(side: str, every: int = 4) -> SignalArrays:
    """Enters at each `every`th bar and leaves two bars later."""
    at = np.arange(len(BARS)) % every
    return SignalArrays.of(len(BARS), {f"enter_{side}": at == 0, f"exit_{side}": at == 2})


def _walked(stretches: tuple[Fold, ...]) -> WalkForward:
    return walk_forward(BARS, {"long": _always("long"), "short": _always("short")}, TERMS, SPEC, stretches)


def test_stretches_of_one_length_follow_each_other_to_the_last_bar() -> None:
    assert folds(122, 4, past=2) == (Fold(2, 42, 62), Fold(22, 62, 82), Fold(42, 82, 102), Fold(62, 102, 122))
    assert folds(122, 4, past=2, anchored=True)[-1] == Fold(2, 102, 122)
    for count, past, bars in ((0, 1, 100), (3, 0, 100), (5, 2, 13)):
        with pytest.raises(DomainError):
            folds(bars, count, past=past)


def test_each_stretch_is_traded_with_what_was_best_before_it() -> None:
    walked = _walked(folds(len(BARS), 4, past=2))
    assert [result.chosen for result in walked.folds] == ["long", "long", "long", "short"]
    assert [result.after.net_pnl > 0 for result in walked.folds] == [True, False, False, True]
    assert walked.consistency == 0.5
    before = sum(result.past.total_return / 40 for result in walked.folds)
    after = sum(result.after.total_return / 20 for result in walked.folds)
    assert walked.efficiency == pytest.approx(after / before)
    first = walked.folds[0]
    alone = trade(BARS.cut(40, 60), _always("long").cut(40, 60), TERMS, SPEC)
    assert first.outcome.fills == alone.fills
    assert first.after == metrics(alone)
    assert (first.after.bars, first.past.bars, first.after.initial_capital) == (20, 40, 10_000)


def test_what_comes_after_the_split_has_no_say_in_what_is_chosen() -> None:
    stretch = (Fold(0, 40, 60),)
    bent = of_closes([*CANDLES.close[:40], *(200.0 - 3 * bar for bar in range(20))])
    other = walk_forward(
        Bars.of(bent, SPEC, 60),
        {side: _always(side).cut(0, 60) for side in ("short", "long")},
        TERMS,
        SPEC,
        stretch,
    )
    (result,) = other.folds
    assert result.chosen == "long"
    assert result.past == _walked(stretch).folds[0].past
    assert result.after.net_pnl < 0


def test_a_past_that_earned_nothing_has_no_efficiency_and_no_candidate_is_refused() -> None:
    walked = walk_forward(BARS, {"none": SignalArrays.of(len(BARS), {})}, TERMS, SPEC, folds(len(BARS), 2))
    assert (walked.efficiency, walked.consistency) == (None, 0.0)
    with pytest.raises(DomainError, match="needs a candidate"):
        walk_forward(BARS, {}, TERMS, SPEC, folds(len(BARS), 2))
