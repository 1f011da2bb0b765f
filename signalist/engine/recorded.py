"""A recording as a replay sees it: what closes at each candle, in the recorded market and in its twin, and at what prices both go on."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from signalist.domain.candles import Candle
from signalist.engine.replay_cast import Cast, Plan, twin_candle
from signalist.engine.stepping import Bars
from signalist.markets.models import Candle as CandleRow


class Recorded:
    """The candles of a recording with the twins that they have in the second market."""

    def __init__(self, plan: Plan, candles: Sequence[Candle], cast: Cast) -> None:
        self._plan, self._candles, self._cast = plan, candles, cast
        self._twins: dict[int, Candle] = {}

    def stored(self) -> int:
        """How many of the candles are stored already, by an earlier run that was stopped."""
        newest = (
            CandleRow.objects.filter(instrument=self._cast.recorded, timeframe=self._plan.frame.code)
            .order_by("-close_time")
            .first()
        )
        if newest is None:
            return 0
        return sum(1 for candle in self._candles if candle.close_time <= newest.close_time)

    def bars(self, index: int) -> list[Bars]:
        """What closes in the recorded market and in its twin."""
        frame, recorded, twin = self._plan.frame, self._candles[index], self._twin(index)
        recorded_next, twin_next = self._goes_on(index)
        return [
            Bars(self._cast.recorded, [(frame, recorded)], recorded_next),
            Bars(self._cast.twin, [(frame, twin)], twin_next),
        ]

    def _goes_on(self, index: int) -> tuple[Decimal, Decimal]:
        """The prices at which the markets go on: the next candle's open where it follows without a gap, else this close."""
        follows = (
            index + 1 < len(self._candles)
            and self._candles[index + 1].close_time == self._candles[index].close_time + self._plan.frame.length
        )
        if follows:
            return self._candles[index + 1].open, self._twin(index + 1).open
        return self._candles[index].close, self._twin(index).close

    def _twin(self, index: int) -> Candle:
        if index not in self._twins:
            self._twins = {key: value for key, value in self._twins.items() if key >= index - 1}
            self._twins[index] = twin_candle(self._candles[index], self._cast.twin.tick, self._plan.seed)
        return self._twins[index]
