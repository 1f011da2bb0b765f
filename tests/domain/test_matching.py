"""The matcher: which resting orders a bar fills, in which order, at what price; and what a taker pays."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalist.domain.matching import Bar, Hit, Resting, drawn, first_part, hits, marketable, slipped
from signalist.domain.orders import OrderType, Side
from tests.domain.drawn import decimals, steps

D = Decimal
BUY, SELL = Side.BUY, Side.SELL
# Opens at 100, then goes up to 110 and down to 90.
WIDE = Bar(open=D(100), high=D(110), low=D(90))


def _stop(side: Side, trigger: str | int, key: str = "stop") -> Resting:
    return Resting(key, side, OrderType.STOP, trigger=D(trigger))


def _target(side: Side, trigger: str | int, key: str = "target") -> Resting:
    return Resting(key, side, OrderType.TAKE_PROFIT, trigger=D(trigger))


def _limit(side: Side, price: str | int, key: str = "limit") -> Resting:
    return Resting(key, side, OrderType.LIMIT, price=D(price))


def _market(side: Side, key: str = "market") -> Resting:
    return Resting(key, side, OrderType.MARKET)


def _only(order: Resting, bar: Bar) -> Hit:
    (hit,) = hits([order], bar)
    return hit


# --- What is reached -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "order",
    [_stop(SELL, 90), _stop(BUY, 110), _target(SELL, 110), _target(BUY, 90), _limit(SELL, 110), _limit(BUY, 90)],
)
def test_an_order_is_filled_where_the_bar_just_touches_it(order: Resting) -> None:
    hit = _only(order, WIDE)
    assert hit.price == (order.price or order.trigger)
    assert not hit.at_open


@pytest.mark.parametrize(
    "order",
    [
        *(_stop(SELL, "89.9"), _stop(BUY, "110.1"), _target(SELL, "110.1")),
        *(_target(BUY, "89.9"), _limit(SELL, "110.1"), _limit(BUY, "89.9")),
    ],
)
def test_an_order_that_the_bar_does_not_reach_keeps_resting(order: Resting) -> None:
    assert hits([order], WIDE) == []


def test_what_is_left_of_a_market_order_trades_at_the_open() -> None:
    hit = _only(_market(BUY), WIDE)
    assert (hit.price, hit.at_open, hit.maker) == (100, True, False)


# --- Gaps ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [_stop(SELL, 95), _stop(BUY, 85)])
def test_a_stop_that_the_market_jumped_over_is_filled_at_the_open(order: Resting) -> None:
    """CON-29: a stop is no guarantee of its price."""
    hit = _only(order, Bar(open=D(90), high=D(96), low=D(84)))
    assert (hit.price, hit.at_open) == (90, True)


@pytest.mark.parametrize("order", [_target(SELL, 85), _target(BUY, 95)])
def test_a_target_that_the_market_jumped_over_gets_the_better_open(order: Resting) -> None:
    hit = _only(order, Bar(open=D(90), high=D(96), low=D(84)))
    assert (hit.price, hit.at_open) == (90, True)


@pytest.mark.parametrize("order", [_limit(SELL, 85), _limit(BUY, 95), _limit(SELL, 96), _limit(BUY, 84)])
def test_a_resting_limit_is_filled_at_its_own_price_even_over_a_gap(order: Resting) -> None:
    hit = _only(order, Bar(open=D(90), high=D(96), low=D(84)))
    assert (hit.price, hit.maker) == (order.price, True)


@pytest.mark.parametrize("order", [_stop(SELL, 90), _target(SELL, 110), _market(SELL)])
def test_a_trigger_order_takes_and_only_a_limit_makes(order: Resting) -> None:
    assert not _only(order, WIDE).maker


# --- Order of fills ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stop", "target"),
    [
        (_stop(SELL, 95), _target(SELL, 105)),
        (_stop(BUY, 105), _target(BUY, 95)),
        (_stop(SELL, 91), _target(SELL, 101)),
        (_stop(BUY, 109), _target(BUY, 99)),
    ],
)
def test_a_bar_that_reaches_both_fills_the_stop_first_however_far_it_is(stop: Resting, target: Resting) -> None:
    assert [hit.order for hit in hits([target, stop], WIDE)] == [stop, target]


def test_a_bar_that_reaches_both_fills_the_stop_before_a_limit_target() -> None:
    stop, target = _stop(SELL, 91), _limit(SELL, 101)
    assert [hit.order for hit in hits([target, stop], WIDE)] == [stop, target]


def test_what_the_open_reaches_comes_before_what_the_bar_reaches_later() -> None:
    late_stop, open_target = _stop(SELL, 95), _target(SELL, 100)
    assert [hit.order for hit in hits([late_stop, open_target], WIDE)] == [open_target, late_stop]


@pytest.mark.parametrize(("side", "near", "far"), [(SELL, 98, 92), (BUY, 102, 108)])
def test_of_two_stops_the_nearer_one_is_reached_first(side: Side, near: int, far: int) -> None:
    found = hits([_stop(side, far, "a"), _stop(side, near, "b")], WIDE)
    assert [hit.order.key for hit in found] == ["b", "a"]


@pytest.mark.parametrize("make", [_target, _limit])
@pytest.mark.parametrize(("side", "near", "far"), [(SELL, 102, 108), (BUY, 98, 92)])
def test_of_two_targets_the_nearer_one_is_reached_first(make: object, side: Side, near: int, far: int) -> None:
    found = hits([make(side, far, "a"), make(side, near, "b")], WIDE)  # type: ignore[operator]
    assert [hit.order.key for hit in found] == ["b", "a"]


def test_of_equal_orders_the_key_decides() -> None:
    assert [hit.order.key for hit in hits([_stop(SELL, 95, "b"), _stop(SELL, 95, "a")], WIDE)] == ["a", "b"]


# --- Any book, any bar ---------------------------------------------------------------------------

sides = st.sampled_from(Side)
levels = decimals("80", "120", "0.5")
books = st.lists(
    st.builds(
        lambda make, side, level: (make, side, level),
        st.sampled_from([_stop, _target, _limit]),
        sides,
        levels,
    )
    | st.builds(lambda side: (_market, side, None), sides),
    max_size=10,
).map(
    lambda drawn_orders: [
        make(side, f"order {n}") if level is None else make(side, level, f"order {n}")
        for n, (make, side, level) in enumerate(drawn_orders)
    ]
)
bars = st.tuples(levels, levels, levels).map(lambda p: Bar(open=sorted(p)[1], high=max(p), low=min(p)))


@given(books, bars, st.randoms(use_true_random=False))
def test_the_order_in_which_orders_are_listed_changes_nothing(book: list[Resting], bar: Bar, shuffle: object) -> None:
    shuffled = list(book)
    shuffle.shuffle(shuffled)  # type: ignore[attr-defined]
    assert hits(shuffled, bar) == hits(book, bar)


@given(books, bars)
def test_a_falling_world_is_the_mirror_of_a_rising_one(book: list[Resting], bar: Bar) -> None:
    """Buying is selling, up is down: the same orders are filled in the same order at the mirrored prices."""

    def mirrored(price: Decimal | None) -> Decimal | None:
        return None if price is None else 200 - price

    others = [
        Resting(o.key, SELL if o.side is BUY else BUY, o.type, mirrored(o.price), mirrored(o.trigger)) for o in book
    ]
    other_bar = Bar(200 - bar.open, 200 - bar.low, 200 - bar.high)
    here, there = hits(book, bar), hits(others, other_bar)
    assert [h.order.key for h in here] == [h.order.key for h in there]
    assert [mirrored(h.price) for h in here] == [h.price for h in there]
    assert [h.at_open for h in here] == [h.at_open for h in there]


@given(books, bars)
def test_an_order_is_filled_exactly_when_the_market_was_where_it_waits(book: list[Resting], bar: Bar) -> None:
    filled = {hit.order.key for hit in hits(book, bar)}
    for order in book:
        level = order.price if order.type is OrderType.LIMIT else order.trigger
        if level is None:
            reached = True
        elif (order.side is SELL) == (order.type is OrderType.STOP):
            reached = bar.low <= level
        else:
            reached = bar.high >= level
        assert (order.key in filled) == reached


@given(books, bars)
def test_a_taker_trades_at_a_price_that_the_bar_had(book: list[Resting], bar: Bar) -> None:
    for hit in hits(book, bar):
        assert hit.maker or bar.low <= hit.price <= bar.high
        assert hit.maker == (hit.order.type is OrderType.LIMIT)


@given(books, levels)
def test_a_tick_is_a_bar_of_one_price(book: list[Resting], price: Decimal) -> None:
    found = hits(book, Bar.tick(price))
    assert found == hits(book, Bar(price, price, price))
    assert all(hit.at_open for hit in found)
    assert all(hit.price == price for hit in found if not hit.maker)
    assert {hit.order.key for hit in found} == {order.key for order in book if marketable(order, price)}


def test_a_plain_limit_on_the_wrong_side_of_the_market_trades_at_once_and_a_stop_waits() -> None:
    """CON-27: a limit to sell at 44 000 is no protection for a long at 45 000."""
    assert marketable(_limit(SELL, 44_000), D(45_000))
    assert not marketable(_stop(SELL, 44_000), D(45_000))
    assert not marketable(_target(SELL, 46_000), D(45_000))
    assert marketable(_market(SELL), D(45_000))


# --- Slippage ------------------------------------------------------------------------------------

fractions = decimals("0", "0.05", "0.0001")


@given(decimals("0.01", "90000"), sides, fractions, steps)
def test_slippage_is_never_in_the_takers_favour_and_stays_on_the_grid(
    price: Decimal, side: Side, fraction: Decimal, tick: Decimal
) -> None:
    paid = slipped(price, side, fraction, tick)
    assert paid % tick == 0
    assert paid >= tick
    if side is BUY:
        assert price * (1 + fraction) <= paid < price * (1 + fraction) + tick
    else:
        assert paid <= price * (1 - fraction) < paid + tick or paid == tick


def test_a_hundredth_of_a_percent_of_45000_is_four_and_a_half() -> None:
    assert slipped(D(45_000), BUY, D("0.0001"), D("0.1")) == D("45004.5")
    assert slipped(D(45_000), SELL, D("0.0001"), D(1)) == D(44_995)


# --- Drawing -------------------------------------------------------------------------------------


@given(st.integers(0, 2**63), st.lists(st.text(), min_size=1, max_size=4))
def test_a_number_is_drawn_from_its_key_alone(seed: int, key: list[str]) -> None:
    number = drawn(seed, *key)
    assert 0 <= number < 1
    drawn(seed, "something", "else")
    assert drawn(seed, *key) == number
    assert drawn(seed + 1, *key) != number
    assert drawn(seed, *key, "more") != number


def test_what_is_drawn_does_not_depend_on_the_order_of_work() -> None:
    keys = [f"order {n}" for n in range(50)]
    forwards = {key: drawn(7, key) for key in keys}
    backwards = {key: drawn(7, key) for key in reversed(keys)}
    assert forwards == backwards
    assert len(set(forwards.values())) == 50


def test_the_parts_of_a_key_are_kept_apart() -> None:
    assert drawn(1, "ab", "c") != drawn(1, "a", "bc")


# --- Partial fills -------------------------------------------------------------------------------


@given(st.integers(0, 999), st.text(), st.integers(1, 10_000), steps, decimals("0", "1"))
def test_a_first_part_is_on_the_lot_and_within_the_order(
    seed: int, key: str, lots: int, lot: Decimal, chance: Decimal
) -> None:
    quantity = lots * lot
    part = first_part(seed, key, quantity, lot, chance)
    assert part % lot == 0
    assert 0 < part <= quantity
    assert part == quantity or quantity / 4 - lot < part < quantity * 3 / 4


def test_without_a_chance_the_market_takes_all_and_with_certainty_a_part() -> None:
    lots = [first_part(0, f"order {n}", D(100), D("0.001"), D(0)) for n in range(100)]
    assert set(lots) == {D(100)}
    parts = [first_part(0, f"order {n}", D(100), D("0.001"), D(1)) for n in range(100)]
    assert all(D(25) <= part < D(75) for part in parts)


def test_a_single_lot_cannot_be_split() -> None:
    assert first_part(0, "order", D("0.001"), D("0.001"), D(1)) == D("0.001")


def test_one_order_in_twenty_is_split_where_the_chance_is_one_in_twenty() -> None:
    split = sum(first_part(3, f"order {n}", D(1), D("0.001"), D("0.05")) != 1 for n in range(4_000))
    assert 150 < split < 250
