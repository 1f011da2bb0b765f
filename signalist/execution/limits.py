"""The platform's own layer of limits: outermost, and what an entry is measured against."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from signalist.domain.instruments import InstrumentSpec
from signalist.domain.rules import Limits

# RISK-12: 50 positions in the portfolio; ACC-08: 100 trades a day.
PLATFORM = Limits(open_positions=50, daily_entries=100)

# Markets of one pair that stand further apart than this are not the same market to a signal (CON: basis).
ALLOWED_BASIS = Decimal("0.01")

# A price older than this is no price to size an order by.
FRESH_WITHIN = timedelta(seconds=90)

# The fee of an order, as a fraction of its value, where its market's venue lists none (the paper venue, the loopback venue).
ASSUMED_FEE = Decimal("0.001")

# What is watched by the engine is watched on a price; when the newest is older than this, whichever source it came from, it is alarmed.
BLIND_AFTER = timedelta(seconds=90)


def fee_of(spec: InstrumentSpec) -> Decimal:
    """The fee that an order in this market is assumed to pay, as a fraction of its value: what its venue lists for who takes, because
    neither an entry nor a stop may wait for somebody to come to it."""
    return ASSUMED_FEE if spec.taker_fee is None else spec.taker_fee
