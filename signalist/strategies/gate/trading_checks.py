"""Whether a strategy can be traded: that it answers in time, protects its entries sanely, and can be walked forward by the kernel."""

from __future__ import annotations

from decimal import Decimal
from statistics import median

import numpy as np

from signalist.domain.backtest.bars import Bars
from signalist.domain.backtest.markets import recorded_market
from signalist.domain.backtest.terms import BacktestTerms
from signalist.domain.backtest.walk_forward import folds, walk_forward
from signalist.domain.errors import DomainError
from signalist.domain.strategies import Flags, Floats
from signalist.strategies.gate.subject import Subject, run_last
from signalist.strategies.gate.values import Refused

RUNS = 20
# A signal has ten seconds from its candle's close to the venue; running may take this much of them.
SLOWEST_MS = 1_000.0
FARTHEST = 0.5
FARTHEST_TARGET = 9.0
FOLDS = 5
TERMS = BacktestTerms(Decimal(1_000_000), notional_fraction=Decimal("0.2"), fee_rate=Decimal("0.0005"))


def resources(subject: Subject) -> str:
    """A run at a candle's close takes its time and memory, and no more, within the limits that it has live. Raises Refused."""
    n = len(subject.candles)
    with subject.started(live=True) as process:
        run_last(process, subject.cut(n - subject.history, n))  # what is loaded at first is not counted
        took = [
            run_last(process, subject.cut(n - subject.history - k, n - k))[1]
            for k in range(min(RUNS, n - subject.history + 1))
        ]
    typical = median(took)
    if typical > SLOWEST_MS:
        raise Refused(f"A run takes {typical:.0f} ms; it may take {SLOWEST_MS:.0f}.")
    return f"A run takes less than {SLOWEST_MS:.0f} ms and stays within its memory and output."


def stops(subject: Subject) -> str:
    """Every entry's stop and target lie on their side of the close, and not absurdly far; none or all have a stop. Raises Refused."""
    whole, said = subject.whole, []
    for side, sign in (("long", 1), ("short", -1)):
        entries: Flags = getattr(whole, f"enter_{side}")
        for kind, way in (("stop", -sign), ("target", sign)):
            _check_levels(subject, f"{kind}_{side}", entries, getattr(whole, f"{kind}_{side}"), way)
        stop: Floats = getattr(whole, f"stop_{side}")
        missing = entries & np.isnan(stop)
        if missing.any() and not missing[entries].all():
            raise Refused(
                f"The entry at {subject.name_of(int(np.argmax(missing)))} names no stop_{side}, and others do."
            )
        if entries.any():
            said.append(f"{int(entries.sum())} {side} entries {'without a stop' if missing.any() else 'with a stop'}")
    if any("without" in part for part in said):
        return f"{'; '.join(said)}: who follows it can size by a share of the money only."
    return f"{'; '.join(said) or 'no entries'}."


def walkforward(subject: Subject) -> str:
    """The kernel trades it in stretches one after the other, and it leaves money in each. Raises Refused."""
    spec = recorded_market("CHECK", subject.candles)
    try:
        bars = Bars.of(subject.candles, spec, subject.seconds)
        walked = walk_forward(bars, {"": subject.whole}, TERMS, spec, folds(len(bars), FOLDS, past=1))
    except DomainError as error:
        raise Refused(f"It cannot be traded: {error}") from None
    trades = sum(result.after.trades for result in walked.folds)
    if not trades:
        raise Refused(f"It traded nothing in {len(subject.candles)} candles: try it on candles that it trades on.")
    ruined = [number for number, result in enumerate(walked.folds, 1) if result.after.max_drawdown_fraction >= 1]
    if ruined:
        raise Refused(f"It lost everything in stretch {ruined[0]} of {FOLDS}.")
    returns = ", ".join(f"{result.after.total_return:+.2%}" for result in walked.folds)
    return f"{trades} trades in {FOLDS} stretches with a fifth of the money each: {returns}."


def _check_levels(subject: Subject, name: str, entries: Flags, levels: Floats, way: int) -> None:
    """`way` is +1 for a level above the close, -1 for one below."""
    named = entries & ~np.isnan(levels)
    close = subject.candles.close
    wrong = named & ((levels - close) * way <= 0)
    if wrong.any():
        bar = int(np.argmax(wrong))
        side = "above" if way > 0 else "below"
        raise Refused(
            f"{name} at {subject.name_of(bar)} is {levels[bar]:.10g}; it must lie {side} the close of {close[bar]:.10g}."
        )
    is_stop = name.startswith("stop")
    far = named & (np.abs(levels - close) > (FARTHEST if is_stop else FARTHEST_TARGET) * close)
    if far.any():
        bar = int(np.argmax(far))
        raise Refused(
            f"{name} at {subject.name_of(bar)} is {levels[bar]:.10g}, more than {'half of' if is_stop else 'nine times'} the close of "
            f"{close[bar]:.10g} away."
        )
