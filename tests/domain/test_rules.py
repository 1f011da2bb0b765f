"""Limits: what denies an entry, what makes it smaller, by which rule and layer, and that no entry passes any of them."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signalist.domain.errors import DomainError
from signalist.domain.instruments import InstrumentKind
from signalist.domain.rules import (
    Allowed,
    Bound,
    Denied,
    EntryRequest,
    Limits,
    Resized,
    Standing,
    decide_entry,
    strictest,
)
from signalist.domain.signals import Direction, Levels
from tests import examples
from tests.domain.drawn import decimals, spec, steps

D = Decimal
EASY = Standing(
    available=D(100_000),
    equity=D(100_000),
    day_start_equity=D(100_000),
    open_positions=0,
    entries_today=0,
    result_today=D(0),
    exposure=D(0),
)
# The reference case: 10 000, 2 %, 45 000 with a stop at 44 000 asks for 0.2.
REQUEST = EntryRequest(
    direction=Direction.LONG,
    spec=spec(),
    price=D(45_000),
    levels=Levels(D(44_000), D(47_000)),
    capital=D(10_000),
    risk_fraction=D("0.02"),
    notional_fraction=None,
    leverage=D(1),
    fee_rate=D("0.0005"),
    standing=EASY,
)


def _asked(standing: dict[str, Any] | None = None, **changes: Any) -> EntryRequest:
    return replace(REQUEST, standing=replace(EASY, **(standing or {})), **changes)


def _limited(standing: dict[str, Any] | None = None, **limits: Any) -> EntryRequest:
    return _asked(standing, layers=[("account", Limits(**limits))])


# --- Allowed -------------------------------------------------------------------------------------


@pytest.mark.parametrize("leverage", ["1", "10", "50"])
def test_the_reference_case_is_allowed_in_full_at_any_leverage(leverage: str) -> None:
    decision = decide_entry(_asked(leverage=D(leverage)))
    assert isinstance(decision, Allowed)
    assert decision.quantity == D("0.2")
    assert decision.numbers["loss_at_stop"] == 200
    assert decision.numbers["margin"] == 9_000 / D(leverage)


def test_the_decision_carries_the_numbers_that_it_was_made_on() -> None:
    assert decide_entry(_asked()).numbers == {
        "price": D(45_000),
        "stop": D(44_000),
        "asked": D("0.2"),
        "quantity": D("0.2"),
        "margin": D(9_000),
        "loss_at_stop": D(200),
        "available": D(100_000),
    }


def test_a_notional_fraction_sizes_an_entry_that_has_no_stop() -> None:
    decision = decide_entry(_asked(risk_fraction=None, notional_fraction=D("0.45"), levels=Levels(None, None)))
    assert isinstance(decision, Allowed)
    assert decision.quantity == D("0.1")
    assert decision.numbers["loss_at_stop"] is None


def test_a_quantity_is_cut_to_the_lot_without_counting_as_resized() -> None:
    decision = decide_entry(_asked(spec=spec(lot="0.15")))
    assert isinstance(decision, Allowed)
    assert decision.quantity == D("0.15")


# --- Denied --------------------------------------------------------------------------------------


def _denied(request: EntryRequest, rule: str) -> dict[str, object]:
    decision = decide_entry(request)
    assert isinstance(decision, Denied), decision
    assert decision.rule == rule
    return dict(decision.numbers)


def test_it_denies_a_short_where_there_is_only_spot() -> None:
    spot = spec(kind=InstrumentKind.SPOT)
    numbers = _denied(_asked(direction=Direction.SHORT, spec=spot), "short_unsupported")
    assert numbers == {"instrument": "paper:BTC-PERP", "kind": "SPOT"}


def test_it_denies_more_leverage_than_the_venue_lends() -> None:
    numbers = _denied(_asked(leverage=D(51)), "leverage")
    assert numbers == {"leverage": 51, "limit": 50, "layer": "venue"}


def test_it_denies_a_risk_sized_entry_without_a_stop() -> None:
    assert _denied(_asked(levels=Levels(None, D(47_000))), "stop_missing") == {"price": 45_000}


@pytest.mark.parametrize("stop", ["45000", "45001"])
def test_it_denies_a_stop_on_the_wrong_side(stop: str) -> None:
    numbers = _denied(_asked(levels=Levels(D(stop), None)), "stop_side")
    assert numbers["problem"] == f"the stop {stop} of a long must lie below the price 45000"


def test_it_denies_a_target_on_the_wrong_side() -> None:
    numbers = _denied(_asked(direction=Direction.SHORT, levels=Levels(D(46_000), D(45_500))), "stop_side")
    assert numbers["problem"] == "the target 45500 of a short must lie below the price 45000"


def test_it_denies_when_as_many_positions_are_open_as_may_be() -> None:
    assert _denied(_limited({"open_positions": 3}, open_positions=3), "open_positions") == {
        "current": 3,
        "limit": 3,
        "layer": "account",
    }
    assert isinstance(decide_entry(_limited({"open_positions": 2}, open_positions=3)), Allowed)


def test_it_denies_when_the_days_entries_are_used_up() -> None:
    assert _denied(_limited({"entries_today": 10}, daily_entries=10), "daily_entries") == {
        "current": 10,
        "limit": 10,
        "layer": "account",
    }
    assert isinstance(decide_entry(_limited({"entries_today": 9}, daily_entries=10)), Allowed)


def test_a_limit_of_none_at_all_lets_nothing_in() -> None:
    _denied(_limited(open_positions=0), "open_positions")
    _denied(_limited(daily_entries=0), "daily_entries")


def test_it_denies_when_the_daily_loss_limit_is_hit() -> None:
    numbers = _denied(_limited({"result_today": D(-500)}, daily_loss_amount=D(500)), "daily_loss")
    assert numbers == {"result_today": -500, "limit": 500, "kind": "daily_loss_amount", "layer": "account"}
    assert isinstance(decide_entry(_limited({"result_today": D("-499.99")}, daily_loss_amount=D(500))), Allowed)


def test_it_denies_when_the_daily_loss_fraction_of_the_days_first_equity_is_hit() -> None:
    standing = {"result_today": D(-1_000), "day_start_equity": D(20_000), "equity": D(90_000)}
    numbers = _denied(_limited(standing, daily_loss_fraction=D("0.05")), "daily_loss")
    assert numbers == {"result_today": -1000, "limit": 1000, "kind": "daily_loss_fraction", "layer": "account"}


def test_of_amount_and_fraction_the_tighter_one_binds() -> None:
    """CON-11."""
    both = {"daily_loss_amount": D(500), "daily_loss_fraction": D("0.05")}
    fraction = _denied(_limited({"result_today": D(-400), "day_start_equity": D(8_000)}, **both), "daily_loss")
    assert (fraction["kind"], fraction["limit"]) == ("daily_loss_fraction", 400)
    amount = _denied(_limited({"result_today": D(-500), "day_start_equity": D(80_000)}, **both), "daily_loss")
    assert (amount["kind"], amount["limit"]) == ("daily_loss_amount", 500)


def test_a_day_that_wins_is_not_stopped_by_a_loss_limit_of_nothing() -> None:
    assert isinstance(decide_entry(_limited({"result_today": D(0)}, daily_loss_amount=D(0))), Allowed)
    _denied(_limited({"result_today": D("-0.01")}, daily_loss_amount=D(0)), "daily_loss")


def test_it_denies_what_is_under_the_venues_minimum() -> None:
    numbers = _denied(_asked(spec=spec(min_quantity=D("0.3"))), "minimum_size")
    assert numbers["minimum"] == "quantity 0.2 is under the minimum 0.3 BTC"
    numbers = _denied(_asked(spec=spec(min_notional=D(9_001))), "minimum_size")
    assert numbers["minimum"] == "value 9000 is under the minimum 9001 USD"


def test_it_denies_by_the_limit_that_made_an_entry_too_small() -> None:
    numbers = _denied(
        _asked(
            {"exposure": D(99_500)},
            spec=spec(min_quantity=D("0.1")),
            layers=[("tenant", Limits(exposure_fraction=D(1)))],
        ),
        "exposure",
    )
    assert (numbers["quantity"], numbers["limit"], numbers["layer"]) == (D("0.011"), 1, "tenant")


@pytest.mark.parametrize("available", ["0", "-250"])
def test_it_denies_an_entry_that_nothing_is_left_to_pay_for(available: str) -> None:
    numbers = _denied(_asked({"available": D(available)}), "balance")
    assert numbers["available"] == D(available)


# --- Resized -------------------------------------------------------------------------------------


def _resized(request: EntryRequest, rule: str) -> Resized:
    decision = decide_entry(request)
    assert isinstance(decision, Resized), decision
    assert decision.rule == rule
    return decision


def test_it_resizes_to_what_can_be_paid_for_with_the_fee() -> None:
    decision = _resized(_asked({"available": D("4502.25")}), "balance")
    assert decision.quantity == D("0.1")
    assert (decision.numbers["asked"], decision.numbers["limit"]) == (D("0.2"), D("4502.25"))
    assert _resized(_asked({"available": D("4502.24")}), "balance").quantity == D("0.099")


def test_leverage_pays_for_more_but_asks_for_no_more() -> None:
    assert isinstance(decide_entry(_asked({"available": D(1_000)}, leverage=D(10))), Allowed)
    assert _resized(_asked({"available": D(1_000)}, leverage=D(5)), "balance").quantity == D("0.110")


def test_money_that_is_just_enough_is_enough_whatever_the_leverage() -> None:
    decision = decide_entry(_asked({"available": D(3_000)}, leverage=D(3), fee_rate=D(0)))
    assert isinstance(decision, Allowed)
    assert decision.quantity == D("0.2")


def test_it_resizes_to_the_exposure_that_is_left() -> None:
    decision = _resized(_limited({"exposure": D(45_500)}, exposure_fraction=D("0.5")), "exposure")
    assert decision.quantity == D("0.1")
    assert (decision.numbers["limit"], decision.numbers["layer"]) == (D("0.5"), "account")


def test_it_resizes_to_the_largest_position() -> None:
    decision = _resized(_limited(position_fraction=D("0.045")), "position_size")
    assert decision.quantity == D("0.1")


def test_of_several_limits_the_tightest_is_named() -> None:
    tight = {"exposure_fraction": D("0.08"), "position_fraction": D("0.045")}
    assert _resized(_limited(**tight), "position_size").quantity == D("0.1")
    assert _resized(_limited({"exposure": D(7_500)}, **tight), "exposure").quantity == D("0.011")
    assert _resized(_limited({"available": D(100)}, **tight), "balance").quantity == D("0.002")


def test_a_limit_that_costs_less_than_a_lot_has_not_resized_anything() -> None:
    decision = decide_entry(_asked({"available": D("8600")}, spec=spec(lot="0.19")))
    assert isinstance(decision, Allowed)
    assert decision.quantity == D("0.19")


# --- Layers --------------------------------------------------------------------------------------


def test_the_strictest_layer_binds_and_is_named() -> None:
    layers = [
        ("platform", Limits(open_positions=10, daily_entries=5, position_fraction=D("0.5"))),
        ("tenant", Limits(open_positions=3, position_fraction=D("0.045"))),
        ("subscription", Limits(open_positions=7, daily_entries=20)),
    ]
    assert strictest(layers) == {
        "open_positions": Bound(D(3), "tenant"),
        "daily_entries": Bound(D(5), "platform"),
        "position_fraction": Bound(D("0.045"), "tenant"),
    }
    assert _denied(_asked({"open_positions": 3}, layers=layers), "open_positions")["layer"] == "tenant"
    assert _denied(_asked({"entries_today": 5}, layers=layers), "daily_entries")["layer"] == "platform"
    assert _resized(_asked(layers=layers), "position_size").numbers["layer"] == "tenant"


def test_of_layers_that_agree_the_outer_one_is_named() -> None:
    layers = [("platform", Limits(open_positions=3)), ("account", Limits(open_positions=3))]
    assert strictest(layers)["open_positions"].layer == "platform"


def test_layers_without_limits_bind_nothing() -> None:
    assert strictest([("platform", Limits()), ("account", Limits())]) == {}


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.integers(0, 9) | st.none()), max_size=5))
def test_another_layer_never_loosens_a_limit(layers: list[tuple[str, int | None]]) -> None:
    made = [(name, Limits(open_positions=value)) for name, value in layers]
    bound = strictest(made).get("open_positions")
    values = [value for _, value in layers if value is not None]
    assert (None if bound is None else bound.value) == (min(values) if values else None)


# --- Properties ----------------------------------------------------------------------------------

money = decimals("-1000", "1000000")
part = decimals("0.001", "1", "0.001")


@st.composite
def requests(draw: st.DrawFn) -> EntryRequest:
    price = draw(decimals("0.5", "90000", "0.25"))
    direction = draw(st.sampled_from(Direction))
    distance = price * draw(decimals("0.001", "0.9", "0.001"))
    by_risk = draw(st.booleans())
    levels = Levels(price - distance * direction.sign, None)
    layers = st.lists(
        st.tuples(
            st.sampled_from(["platform", "tenant", "account"]),
            st.builds(Limits, exposure_fraction=st.none() | part, position_fraction=st.none() | part),
        ),
        max_size=3,
    )
    return EntryRequest(
        direction=direction,
        spec=spec(tick="0.25", lot=draw(steps)),
        price=price,
        levels=levels if by_risk or draw(st.booleans()) else Levels(None, None),
        capital=draw(decimals("1", "1000000")),
        risk_fraction=draw(decimals("0.001", "0.5", "0.001")) if by_risk else None,
        notional_fraction=None if by_risk else draw(part),
        leverage=draw(decimals("1", "50", "0.1")),
        fee_rate=draw(decimals("0", "0.01", "0.0001")),
        standing=replace(EASY, available=draw(money), equity=draw(money), exposure=draw(decimals("0", "500000"))),
        layers=draw(layers),
    )


@settings(max_examples=examples.up_to(400))
@given(requests())
def test_an_entry_that_is_made_passes_no_cap_and_loses_no_more_than_its_risk(request: EntryRequest) -> None:
    decision = decide_entry(request)
    if isinstance(decision, Denied):
        return
    quantity, price, standing = Fraction(decision.quantity), Fraction(request.price), request.standing
    assert decision.quantity > 0
    assert decision.quantity % request.spec.lot == 0
    if request.risk_fraction is not None:
        assert request.levels.stop is not None
        assert quantity * abs(price - Fraction(request.levels.stop)) <= Fraction(request.capital) * Fraction(
            request.risk_fraction
        )
    if request.notional_fraction is not None:
        assert quantity * price <= Fraction(request.capital) * Fraction(request.notional_fraction)
    cost = quantity * price * (1 / Fraction(request.leverage) + Fraction(request.fee_rate))
    assert cost <= Fraction(standing.available), "the account is overdrawn"
    for _, limits in request.layers:
        if limits.exposure_fraction is not None:
            assert Fraction(standing.exposure) + quantity * price <= Fraction(
                limits.exposure_fraction * standing.equity
            )
        if limits.position_fraction is not None:
            assert quantity * price <= Fraction(limits.position_fraction * standing.equity)


@given(requests())
def test_a_resized_entry_is_smaller_than_asked_and_an_allowed_one_is_not(request: EntryRequest) -> None:
    decision = decide_entry(request)
    asked, quantity = decision.numbers.get("asked"), decision.numbers.get("quantity")
    assert isinstance(asked, Decimal) and isinstance(quantity, Decimal)
    if isinstance(decision, Allowed):
        assert quantity == asked == decision.quantity
        assert "layer" not in decision.numbers
    elif isinstance(decision, Resized):
        assert quantity == decision.quantity < asked
        assert decision.numbers["layer"] is not None


@given(requests(), decimals("0", "1000000"))
def test_more_money_never_makes_an_entry_smaller(request: EntryRequest, more: Decimal) -> None:
    richer = replace(request, standing=replace(request.standing, available=request.standing.available + more))
    assert _size(decide_entry(request)) <= _size(decide_entry(richer))


@given(requests(), st.sampled_from(["exposure_fraction", "position_fraction"]), part)
def test_a_further_limit_never_makes_an_entry_larger(request: EntryRequest, kind: str, value: Decimal) -> None:
    limited = replace(request, layers=[*request.layers, ("subscription", Limits(**{kind: value}))])
    assert _size(decide_entry(limited)) <= _size(decide_entry(request))


def _size(decision: Allowed | Resized | Denied) -> Decimal:
    return D(0) if isinstance(decision, Denied) else decision.quantity


@pytest.mark.parametrize("risk", ["2", "0", "-0.02"])
def test_a_risk_that_can_be_no_fraction_is_a_broken_set_up_and_no_decision(risk: str) -> None:
    with pytest.raises(DomainError, match="risk is a fraction"):
        decide_entry(_asked(risk_fraction=D(risk)))
