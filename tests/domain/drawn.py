"""Numbers for property tests: exact decimals as the books hold them, and instruments whose steps they obey."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import strategies as st

from signalist.domain.instruments import InstrumentKind, InstrumentSpec
from signalist.domain.money import QUANTUM


def decimals(low: str | int, high: str | int, step: str = "0.01") -> st.SearchStrategy[Decimal]:
    """Multiples of `step` from `low` to `high`, both included."""
    unit = Decimal(step)
    return st.integers(int(Decimal(low) / unit), int(Decimal(high) / unit)).map(lambda count: count * unit)


# Anything that a column holds: up to 18 digits before the point and 10 behind it.
stored = st.integers(-(10**28) + 1, 10**28 - 1).map(lambda count: Decimal(count).scaleb(-10))
# What venues use as ticks and lots: powers of ten, halves, quarters, and odd ones.
steps = st.sampled_from(
    [
        Decimal(text)
        for text in ("0.0000000001", "0.00001", "0.001", "0.01", "0.05", "0.25", "0.3", "0.5", "1", "7", "100")
    ]
)
prices = decimals("0.01", "150000")
quantities = decimals("0.001", "1000", "0.001")


def spec(tick: str | Decimal = "0.1", lot: str | Decimal = "0.001", **changes: object) -> InstrumentSpec:
    """A perpetual on the paper venue without minimums; `changes` are fields of the specification."""
    values: dict[str, object] = {
        "venue": "paper",
        "symbol": "BTC-PERP",
        "base": "BTC",
        "quote": "USD",
        "kind": InstrumentKind.PERPETUAL,
        "tick": Decimal(tick),
        "lot": Decimal(lot),
        "min_quantity": QUANTUM,
        "min_notional": Decimal(0),
        "max_leverage": Decimal(50),
    }
    return InstrumentSpec(**{**values, **changes})  # type: ignore[arg-type]
