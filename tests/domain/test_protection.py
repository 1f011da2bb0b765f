"""Protection plans: stops that only tighten, ladders that never take more than there is, and shorts that mirror longs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalist.domain.errors import DomainError
from signalist.domain.protection import (
    Guarded,
    Move,
    Plan,
    Reason,
    Rung,
    Target,
    ladder_of,
    moved_stop,
    outlived,
    outstanding,
    plan_error,
    reached,
    targets,
)
from signalist.domain.signals import Direction
from tests.domain.drawn import decimals, quantities, spec

D = Decimal
LONG, SHORT = Direction.LONG, Direction.SHORT
BTC = spec()
BOUGHT = Guarded(LONG, D(40_000), D(39_600), D(39_600), D(80))
LADDER = Plan(ladder=(Rung(D(1), D("0.5")), Rung(D(2), D("0.25"))))

near = decimals("30000", "50000", "0.1")
gains = decimals("0.25", "5", "0.25")
trails = decimals("0.001", "0.2", "0.001")
plans = st.builds(Plan, st.none() | gains, st.none() | trails)
shares = st.lists(decimals("0.01", "1", "0.01"), min_size=1, max_size=5).map(
    lambda parts: [part for n, part in enumerate(parts) if sum(parts[: n + 1]) <= 1]
)
ladders = shares.map(lambda parts: tuple(Rung(D(n), share) for n, share in enumerate(parts, start=1)))


def mirrored(guarded: Guarded, about: Decimal) -> Guarded:
    """The short whose prices lie as far on the other side of `about`."""
    turned = [None if level is None else 2 * about - level for level in (guarded.first_stop, guarded.stop)]
    return Guarded(SHORT, 2 * about - guarded.entry, *turned, guarded.fees_each)


# --- Break-even ----------------------------------------------------------------------------------


def test_a_stop_goes_to_the_entry_and_its_fees_after_the_chosen_gain() -> None:
    plan = Plan(break_even=D(1))
    assert moved_stop(plan, BOUGHT, D("40399.9"), BTC) is None
    assert moved_stop(plan, BOUGHT, D(40_400), BTC) == Move(D(40_080), Reason.BREAK_EVEN)


def test_break_even_is_rounded_to_the_tick_that_does_not_lose() -> None:
    odd = replace(BOUGHT, fees_each=D("80.01"))
    assert moved_stop(Plan(break_even=D(1)), odd, D(41_000), BTC) == Move(D("80.1") + 40_000, Reason.BREAK_EVEN)
    sold = mirrored(odd, D(40_000))
    assert moved_stop(Plan(break_even=D(1)), sold, D(39_000), BTC) == Move(40_000 - D("80.1"), Reason.BREAK_EVEN)


def test_break_even_waits_until_the_market_has_paid_for_the_fees() -> None:
    dear = replace(BOUGHT, fees_each=D(500))
    assert moved_stop(Plan(break_even=D(1)), dear, D(40_450), BTC) is None
    assert moved_stop(Plan(break_even=D(1)), dear, D("40500.1"), BTC) == Move(D(40_500), Reason.BREAK_EVEN)


def test_break_even_needs_a_first_stop_to_measure_the_gain_by() -> None:
    bare = replace(BOUGHT, first_stop=None, stop=None)
    assert moved_stop(Plan(break_even=D("0.5")), bare, D(60_000), BTC) is None


# --- Trailing ------------------------------------------------------------------------------------


def test_a_trailing_stop_follows_the_price_at_its_distance() -> None:
    assert moved_stop(Plan(trail=D("0.01")), BOUGHT, D(41_000), BTC) == Move(D(40_590), Reason.TRAIL)


def test_a_trailing_stop_does_not_come_back_with_the_market() -> None:
    tight = replace(BOUGHT, stop=D(40_590))
    assert moved_stop(Plan(trail=D("0.01")), tight, D(40_700), BTC) is None


def test_a_trailing_stop_leaves_small_steps_for_later() -> None:
    tight = replace(BOUGHT, stop=D(40_590))
    assert moved_stop(Plan(trail=D("0.01")), tight, D(41_030), BTC) is None
    assert moved_stop(Plan(trail=D("0.01")), tight, D(41_050), BTC) == Move(D("40639.5"), Reason.TRAIL)


def test_a_trailing_stop_protects_a_position_that_was_entered_without_a_stop() -> None:
    bare = replace(BOUGHT, first_stop=None, stop=None)
    assert moved_stop(Plan(trail=D("0.02")), bare, D(40_000), BTC) == Move(D(39_200), Reason.TRAIL)


def test_the_tighter_of_two_rules_moves_the_stop() -> None:
    both = Plan(break_even=D(1), trail=D("0.005"))
    assert moved_stop(both, BOUGHT, D(40_400), BTC) == Move(D(40_198), Reason.TRAIL)
    assert moved_stop(replace(both, trail=D("0.02")), BOUGHT, D(40_400), BTC) == Move(D(40_080), Reason.BREAK_EVEN)


@given(plans, st.lists(near, min_size=1, max_size=30), st.booleans())
def test_a_stop_never_loosens_and_never_passes_the_market(plan: Plan, walk: list[Decimal], short: bool) -> None:
    guarded = mirrored(BOUGHT, D(40_000)) if short else BOUGHT
    sign = guarded.direction.sign
    for price in walk:
        move = moved_stop(plan, guarded, price, BTC)
        if move is None:
            continue
        assert guarded.stop is not None
        assert (move.level - guarded.stop) * sign > 0
        assert (price - move.level) * sign > 0
        assert BTC.price(move.level) == move.level
        guarded = replace(guarded, stop=move.level)


@given(gains, near)
def test_break_even_of_a_short_mirrors_that_of_the_long(gain: Decimal, price: Decimal) -> None:
    plan, about = Plan(break_even=gain), D(40_000)
    long = moved_stop(plan, BOUGHT, price, BTC)
    short = moved_stop(plan, mirrored(BOUGHT, about), 2 * about - price, BTC)
    assert (long is None) == (short is None)
    if long is not None and short is not None:
        assert short.level == 2 * about - long.level


# --- Time and triggers ---------------------------------------------------------------------------


def test_a_position_is_over_when_it_has_lived_its_minutes() -> None:
    noon = datetime(2024, 5, 6, 12, 0, tzinfo=UTC)
    assert not outlived(Plan(minutes=5), noon, noon + timedelta(minutes=5, microseconds=-1))
    assert outlived(Plan(minutes=5), noon, noon + timedelta(minutes=5))
    assert not outlived(Plan(), noon, noon + timedelta(days=900))


@pytest.mark.parametrize(
    ("direction", "stop", "price", "hit"),
    [
        (LONG, True, "39600", True),
        (LONG, True, "39600.1", False),
        (LONG, False, "39600", True),
        (LONG, False, "39599.9", False),
        (SHORT, True, "39600", True),
        (SHORT, True, "39599.9", False),
        (SHORT, False, "39600", True),
        (SHORT, False, "39600.1", False),
    ],
)
def test_a_level_is_reached_at_its_very_price(direction: Direction, stop: bool, price: str, hit: bool) -> None:
    assert reached(direction, D(39_600), D(price), stop=stop) is hit


# --- Ladders -------------------------------------------------------------------------------------


def test_a_ladder_takes_its_shares_at_multiples_of_the_risk_and_leaves_the_rest_to_the_signals_target() -> None:
    assert targets(LADDER, BOUGHT, D(41_500), D("2.5"), BTC) == (
        Target(1, D(40_400), D("1.25")),
        Target(2, D(40_800), D("0.625")),
        Target(0, D(41_500), D("0.625")),
    )


def test_without_a_target_of_the_signal_the_rest_runs_on() -> None:
    assert [target.quantity for target in targets(LADDER, BOUGHT, None, D("2.5"), BTC)] == [D("1.25"), D("0.625")]


def test_the_last_target_of_a_whole_ladder_takes_what_rounding_leaves() -> None:
    thirds = Plan(ladder=tuple(Rung(D(n), share) for n, share in ((1, D("0.33")), (2, D("0.33")), (3, D("0.34")))))
    quantities = [target.quantity for target in targets(thirds, BOUGHT, D(45_000), D("0.010"), BTC)]
    assert quantities == [D("0.003"), D("0.003"), D("0.004")]


def test_a_target_under_the_venues_minimum_goes_to_the_next() -> None:
    coarse = spec(lot="0.001", min_quantity=D("0.002"))
    assert [(t.rung, t.quantity) for t in targets(LADDER, BOUGHT, D(41_500), D("0.003"), coarse)] == [
        (2, D("0.002")),
        (0, D("0.001")),
    ]


def test_a_position_without_a_stop_keeps_the_signals_target_alone() -> None:
    bare = replace(BOUGHT, first_stop=None, stop=None)
    assert targets(LADDER, bare, D(41_500), D(1), BTC) == (Target(0, D(41_500), D(1)),)


@given(ladders, quantities, st.booleans(), st.booleans())
def test_a_ladder_in_whole_lots_never_takes_more_than_there_is(
    ladder: tuple[Rung, ...], entered: Decimal, short: bool, own: bool
) -> None:
    guarded = mirrored(BOUGHT, D(40_000)) if short else BOUGHT
    far = D(40_000) + 9_000 * guarded.direction.sign
    found = targets(Plan(ladder=ladder), guarded, far if own else None, entered, BTC)
    total = sum((target.quantity for target in found), D(0))
    assert all(target.quantity > 0 and BTC.quantity(target.quantity) == target.quantity for target in found)
    assert total <= entered
    if own or sum(rung.share for rung in ladder) == 1:
        assert total == entered
    levels = [target.level * guarded.direction.sign for target in found]
    assert levels == sorted(levels)


@given(ladders, quantities)
def test_a_short_ladder_mirrors_the_long_one(ladder: tuple[Rung, ...], entered: Decimal) -> None:
    about = D(40_000)
    long = targets(Plan(ladder=ladder), BOUGHT, None, entered, BTC)
    short = targets(Plan(ladder=ladder), mirrored(BOUGHT, about), None, entered, BTC)
    assert [(t.rung, 2 * about - t.level, t.quantity) for t in short] == [(t.rung, t.level, t.quantity) for t in long]


@given(ladders, quantities, st.lists(quantities, max_size=6), quantities)
def test_what_is_outstanding_never_exceeds_what_is_held(
    ladder: tuple[Rung, ...], entered: Decimal, filled: list[Decimal], held: Decimal
) -> None:
    wanted = targets(Plan(ladder=ladder), BOUGHT, D(49_000), entered, BTC)
    left = outstanding(wanted, dict(enumerate(filled)), held)
    assert sum((target.quantity for target in left), D(0)) <= held
    assert all(target.quantity > 0 for target in left)


# --- What may be chosen --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plan", "part"),
    [
        (Plan(break_even=D(0)), "break_even"),
        (Plan(trail=D("0.0001")), "trail"),
        (Plan(trail=D("0.6")), "trail"),
        (Plan(minutes=0), "minutes"),
        (Plan(ladder=(Rung(D(1), D("0.6")), Rung(D(2), D("0.5")))), "ladder"),
        (Plan(ladder=(Rung(D(2), D("0.5")), Rung(D(1), D("0.5")))), "ladder"),
        (Plan(ladder=(Rung(D(1), D(0)),)), "ladder"),
        (Plan(ladder=tuple(Rung(D(n), D("0.1")) for n in range(1, 7))), "ladder"),
    ],
)
def test_it_says_which_part_of_a_plan_cannot_be_meant(plan: Plan, part: str) -> None:
    problem = plan_error(plan)
    assert problem is not None
    assert problem[0] == part


def test_a_plan_is_the_same_after_it_was_stored() -> None:
    plan = Plan(D("1.5"), D("0.02"), (Rung(D(1), D("0.5")), Rung(D("2.5"), D("0.25"))), 90)
    assert plan_error(plan) is None
    assert Plan.of(plan.document()) == plan
    assert Plan.of(None) == Plan()
    assert Plan().document() == {}


@pytest.mark.parametrize("text", ["half", "1", "1:x", "1:0.5 :0.5"])
def test_it_refuses_a_text_that_is_no_ladder(text: str) -> None:
    with pytest.raises(DomainError):
        ladder_of(text)
