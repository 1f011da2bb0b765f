"""A backtest's sizing in whole numbers is the live chain's in decimals."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest

from signalist.domain.backtest.terms import BacktestTerms, Costs, Grid, Sizer
from signalist.domain.instruments import InstrumentKind, InstrumentSpec
from signalist.domain.matching import slipped
from signalist.domain.money import ZERO, settle
from signalist.domain.orders import Side
from signalist.domain.rules import Allowed, Denied, EntryRequest, Standing, decide_entry
from signalist.domain.signals import Direction, Levels

D = Decimal


def _case(draw: random.Random) -> tuple[BacktestTerms, InstrumentSpec, int, int, Decimal]:
    """Terms, an instrument, the price and the stop in ticks, and the free money."""
    spec = InstrumentSpec(
        "paper",
        "X",
        "X",
        "Y",
        InstrumentKind.PERPETUAL,
        tick=D(draw.choice((1, 5, 25))).scaleb(-draw.randint(0, 6)),
        lot=D(draw.choice((1, 5))).scaleb(-draw.randint(0, 8)),
        min_quantity=D(draw.choice((0, 1, 10))).scaleb(-draw.randint(0, 4)),
        min_notional=D(draw.choice((0, 5, 10))),
        max_leverage=D(100),
    )
    sized = {"risk_fraction": None, "notional_fraction": None}
    sized[draw.choice(list(sized))] = D(draw.randint(1, 4999)).scaleb(-4)  # type: ignore[assignment]
    money = D(draw.randint(1, 10 ** draw.randint(4, 16))).scaleb(-draw.choice((2, 4, 10)))
    terms = BacktestTerms(
        money,
        leverage=D(draw.choice((1, 2, 3, 7, 50))) + D(draw.choice((0, 5))) / 10,
        fee_rate=D(draw.randint(0, 100)).scaleb(-5),
        slippage=D(draw.randint(0, 300)).scaleb(-5),
        **sized,
    )
    price = draw.randint(2, 10 ** draw.randint(1, 8) + 1)
    stop = max(price - draw.randint(1, max(price // 10, 1)), 1)
    return terms, spec, price, stop, settle(money * draw.choice((0, 1, 3, 10)) / draw.choice((1, 2, 3)))


def _assert_equal(seed: int, count: int) -> None:
    draw = random.Random(seed)
    rules = set()
    for _ in range(count):
        terms, spec, price, stop, available = _case(draw)
        grid = Grid(spec)
        decision = decide_entry(
            EntryRequest(
                Direction.LONG,
                spec,
                price * spec.tick,
                Levels(stop * spec.tick, None),
                terms.capital,
                terms.risk_fraction,
                terms.notional_fraction,
                terms.leverage,
                terms.fee_rate,
                Standing(available, available, available, 0, 0, ZERO, ZERO),
            )
        )
        lots, rule = Sizer(terms, grid).lots(price, stop, grid.units(available))
        expected = ZERO if isinstance(decision, Denied) else decision.quantity
        assert (grid.quantity(lots), rule) == (expected, "" if isinstance(decision, Allowed) else decision.rule)
        rules.add((type(decision).__name__, rule))
        costs = Costs(terms, grid)
        for side, mine in ((Side.BUY, costs.bought_at(price)), (Side.SELL, costs.sold_at(price))):
            assert grid.price(mine) == slipped(price * spec.tick, side, terms.slippage, spec.tick)
        assert grid.amount(costs.fee(price, lots)) == settle(price * spec.tick * grid.quantity(lots) * terms.fee_rate)
    assert rules == {("Allowed", ""), ("Resized", "balance"), ("Denied", "balance"), ("Denied", "minimum_size")}


def test_it_sizes_and_charges_as_the_rules_do() -> None:
    _assert_equal(1, 3000)


@pytest.mark.soak
def test_it_sizes_and_charges_as_the_rules_do_in_a_hundred_thousand_cases() -> None:
    _assert_equal(2, 100_000)
