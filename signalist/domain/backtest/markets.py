"""The market that a recording shows, where nobody names an instrument: its price grid read off the candles."""

from __future__ import annotations

from decimal import Decimal

import numpy as np

from signalist.domain.candles import CandleArrays
from signalist.domain.instruments import InstrumentKind, InstrumentSpec
from signalist.domain.money import DECIMALS, ZERO

FINE_LOT = Decimal("0.00000001")
# A float is within half of 2.2e-16 of the decimal that it was read from; multiplying by a power of ten adds as much again.
_NOISE = 5e-16


def recorded_market(
    symbol: str,
    candles: CandleArrays,
    *,
    tick: Decimal | None = None,
    lot: Decimal | None = None,
    leverage: Decimal = Decimal(1),
    spot: bool = False,
) -> InstrumentSpec:
    """An instrument that `candles` can be of: the coarsest decimal `tick` that holds all their prices, a fine `lot`, no minimum.

    It lends `leverage` at most; `spot` is not sold short.
    """
    lot = FINE_LOT if lot is None else lot
    return InstrumentSpec(
        venue="recorded",
        symbol=symbol,
        base=symbol,
        quote="quote",
        kind=InstrumentKind.SPOT if spot else InstrumentKind.PERPETUAL,
        tick=finest_step(candles) if tick is None else tick,
        lot=lot,
        min_quantity=lot,
        min_notional=ZERO,
        max_leverage=leverage,
    )


def finest_step(candles: CandleArrays) -> Decimal:
    """The coarsest power of ten, 1 to 10 decimals, of which every price is a multiple."""
    columns = [candles.open, candles.high, candles.low, candles.close]
    for places in range(DECIMALS):
        if all(_whole(column * 10.0**places) for column in columns):
            return Decimal(1).scaleb(-places)
    return Decimal(1).scaleb(-DECIMALS)


def _whole(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> bool:
    """Whether all are whole numbers, but for what floats do not hold; a sample is asked first, for it mostly knows."""
    return all(bool(np.all(np.abs(some - np.rint(some)) <= _NOISE * np.abs(some))) for some in (values[:100], values))
