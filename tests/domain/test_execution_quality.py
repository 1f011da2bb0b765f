"""Slippage by its formula, and the figures of a set of orders."""

from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalist.domain.errors import DomainError
from signalist.domain.execution_quality import Latency, SentOrder, quality, slippage_bps
from signalist.domain.orders import OrderStatus, Side

D = Decimal
BUY, SELL = Side.BUY, Side.SELL
prices = st.decimals("0.0001", "1000000", places=4)
FILLED = SentOrder(BUY, OrderStatus.FILLED, True, D(100), D("100.1"), D("0.05"), "USD")
RESTING = replace(FILLED, status=OrderStatus.CANCELLED, average=None, fees=D(0))
REFUSED = replace(RESTING, status=OrderStatus.REJECTED, taken=False)
sent = st.builds(
    SentOrder,
    st.sampled_from(Side),
    st.sampled_from(OrderStatus),
    st.booleans(),
    st.none() | prices,
    st.none() | prices,
    st.decimals("-1", "10", places=2),
    st.sampled_from(["USD", "EUR"]),
)


@pytest.mark.parametrize(
    ("side", "reference", "average", "paid"),
    [
        (BUY, "45000", "45022.5", "5"),
        (BUY, "45000", "44977.5", "-5"),
        (SELL, "45000", "44977.5", "5"),
        (SELL, "45000", "45022.5", "-5"),
        (BUY, "100", "100", "0"),
    ],
)
def test_slippage_is_positive_where_it_was_paid(side: Side, reference: str, average: str, paid: str) -> None:
    assert slippage_bps(side, D(reference), D(average)) == D(paid)


@given(prices, prices)
def test_what_a_buyer_pays_a_seller_gets(reference: Decimal, average: Decimal) -> None:
    bought = slippage_bps(BUY, reference, average)
    assert slippage_bps(SELL, reference, average) == -bought
    assert (bought > 0) <= (average > reference)
    assert (bought < 0) <= (average < reference)


@given(prices, prices, st.integers(1, 1000))
def test_it_does_not_depend_on_the_scale_of_prices(reference: Decimal, average: Decimal, scale: int) -> None:
    apart = slippage_bps(BUY, reference * scale, average * scale) - slippage_bps(BUY, reference, average)
    assert abs(apart) <= D("1e-8") * max(1, abs(slippage_bps(BUY, reference, average)))


@pytest.mark.parametrize(("reference", "average"), [("0", "1"), ("1", "0"), ("-1", "1")])
def test_there_is_no_slippage_between_prices_that_are_none(reference: str, average: str) -> None:
    with pytest.raises(DomainError, match="above zero"):
        slippage_bps(BUY, D(reference), D(average))


def test_a_stop_that_rested_and_was_withdrawn_was_successful_and_a_refused_one_was_not() -> None:
    found = quality([FILLED, RESTING, REFUSED])
    assert (found.total, found.successful, found.filled) == (3, 2, 1)
    assert found.success_rate is not None and round(found.success_rate, 4) == D("0.6667")


def test_what_is_in_doubt_counts_neither_way() -> None:
    found = quality([FILLED, replace(REFUSED, status=OrderStatus.UNKNOWN)])
    assert (found.total, found.in_doubt, found.success_rate) == (1, 1, 1)


def test_slippage_is_averaged_over_what_can_be_measured() -> None:
    found = quality([FILLED, replace(FILLED, average=D("100.3")), replace(FILLED, reference=None), RESTING])
    assert (found.slippage, found.measured) == (20, 2)


def test_fees_are_never_added_over_currencies() -> None:
    assert quality([FILLED, FILLED, replace(FILLED, currency="EUR")]).fees == {"EUR": D("0.05"), "USD": D("0.10")}


def test_latencies_are_told_by_their_middle_and_their_tail() -> None:
    assert Latency.of([float(n) for n in range(1, 101)]) == Latency(100, 50.5, 50.5, 95.0)
    assert Latency.of([7.0]) == Latency(1, 7.0, 7.0, 7.0)
    assert Latency.of([]) is None


def test_nothing_is_no_rate() -> None:
    found = quality([])
    assert found.is_empty and found.success_rate is None and found.slippage is None
    assert not quality([], missed={"late": 2}).is_empty


@given(st.lists(sent, max_size=20), st.lists(st.floats(0, 1e5), max_size=20), st.randoms())
def test_figures_are_of_the_set_and_not_of_its_order(
    orders: list[SentOrder], latencies: list[float], mixer: random.Random
) -> None:
    found = quality(orders, latencies)
    assert found.total + found.in_doubt == len(orders)
    assert 0 <= found.successful <= found.total
    if found.latency is not None:
        assert min(latencies) <= found.latency.median <= max(latencies)
        assert found.latency.p95 in latencies
        assert found.latency.p95 >= found.latency.median or len(latencies) < 3
    mixed = list(orders)
    mixer.shuffle(mixed)
    assert quality(mixed, sorted(latencies)).slippage == found.slippage
    assert quality(mixed, sorted(latencies)).fees == found.fees
