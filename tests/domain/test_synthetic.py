"""The seeded market: sane candles on the grid, the same for the same seed, and no trace of where it was stopped."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signalist.domain.errors import DomainError
from signalist.domain.instruments import InstrumentKind, InstrumentSpec
from signalist.domain.money import ZERO
from signalist.domain.synthetic import (
    LEG,
    MINUTE,
    REACH,
    TEN_SECONDS,
    Closed,
    Profile,
    Regime,
    Walk,
    begin,
    folded,
    regime,
    resume,
    worth,
)

NOON = datetime(2024, 5, 6, 12, 0, tzinfo=UTC)


def profile(
    symbol: str = "NOVA/USD", level: str = "42000", tick: str = "0.5", lot: str = "0.0001", volatility: float = 0.0004
) -> Profile:
    """An invented instrument."""
    spec = InstrumentSpec(
        "somewhere",
        symbol,
        "NOVA",
        "USD",
        InstrumentKind.PERPETUAL,
        Decimal(tick),
        Decimal(lot),
        Decimal(lot),
        Decimal(5),
    )
    return Profile(spec, "NOVA/USD", Decimal(level), volatility, Decimal(lot) * 5000)


NOVA = profile()
PROFILES = st.sampled_from([NOVA, profile("AUR/USD", "1.0860", "0.00001", "1000"), profile(volatility=0.01)])
SEEDS = st.integers(0, 2**32)
MOMENTS = st.integers(0, 300_000_000).map(lambda closes: NOON + (closes - 100_000_000) * TEN_SECONDS.length)


def walked(walk: Walk, minutes: float) -> tuple[Walk, list[Closed]]:
    """The walk so many minutes later, and what closed."""
    after, closed = walk.to(walk.at + timedelta(minutes=minutes))
    return after, list(closed)


def of(closed: list[Closed], code: str) -> list[Closed]:
    """The candles of one timeframe."""
    return [one for one in closed if one.frame.code == code]


@settings(max_examples=30)
@given(PROFILES, SEEDS, MOMENTS)
def test_every_candle_is_sane_on_the_grid_and_opens_where_the_one_before_closed(
    market: Profile, seed: int, at: datetime
) -> None:
    _, closed = walked(begin(market, seed, at), 5)
    before = market.level
    for one in of(closed, "10s"):
        candle = one.candle.checked()
        assert TEN_SECONDS.is_close(candle.close_time)
        assert candle.open == before
        for price in (candle.open, candle.high, candle.low, candle.close):
            assert market.spec.price(price) == price
        assert candle.volume > 0
        assert market.spec.quantity(candle.volume) == candle.volume
        before = candle.close
    assert len(of(closed, "10s")) == 30


@settings(max_examples=30)
@given(PROFILES, SEEDS, MOMENTS)
def test_a_minute_is_made_of_its_six_ten_seconds_and_only_where_it_was_seen_whole(
    market: Profile, seed: int, at: datetime
) -> None:
    _, closed = walked(begin(market, seed, at), 4)
    tens = {one.candle.close_time: one.candle for one in of(closed, "10s")}
    minutes = of(closed, "1m")
    assert len(minutes) == (4 if MINUTE.is_close(at) else 3)
    for one in minutes:
        close = one.candle.close_time
        assert MINUTE.is_close(close)
        six = [tens[close - timedelta(seconds=10 * n)] for n in reversed(range(6))]
        assert one.candle == folded(six)
        assert one.candle.checked().volume == sum((candle.volume for candle in six), ZERO)


@settings(max_examples=30)
@given(PROFILES, SEEDS, MOMENTS, st.lists(st.floats(0.1, 45), min_size=1, max_size=8))
def test_it_makes_no_difference_how_often_it_is_asked(
    market: Profile, seed: int, at: datetime, pauses: list[float]
) -> None:
    asked, news = begin(market, seed, at), list[Closed]()
    for pause in pauses:
        asked, closed = asked.to(asked.at + timedelta(seconds=pause))
        news += closed
    at_once, all_of_them = begin(market, seed, at).to(asked.at)
    assert asked == at_once
    assert news == list(all_of_them)


@settings(max_examples=30)
@given(PROFILES, SEEDS, MOMENTS, st.integers(1, 40))
def test_what_was_stopped_goes_on_from_its_stored_candles_as_if_it_had_not(
    market: Profile, seed: int, at: datetime, closes: int
) -> None:
    first, closed = begin(market, seed, at).to(at + closes * TEN_SECONDS.length)
    stored = [one.candle for one in closed if one.frame is TEN_SECONDS]
    # Some ticks were made after the last close; they are drawn anew, and are the same.
    assert walked(resume(market, seed, stored), 3) == walked(first, 3)


def test_a_stop_in_the_middle_of_an_unseen_minute_makes_no_minute_of_its_rest() -> None:
    _, closed = begin(NOVA, 1, NOON).to(NOON + timedelta(seconds=40))
    late = resume(NOVA, 1, [one.candle for one in closed][2:])
    assert late.minute == ()
    _, rest = late.to(NOON + timedelta(seconds=130))
    assert [one.candle.close_time for one in rest if one.frame is MINUTE] == [NOON + timedelta(minutes=2)]


def test_another_seed_and_another_symbol_are_another_market() -> None:
    closes = {
        (seed, market.spec.symbol): tuple(one.candle.close for one in walked(begin(market, seed, NOON), 5)[1])
        for seed in (1, 2)
        for market in (NOVA, profile("LUMA/USD"))
    }
    assert len(set(closes.values())) == 4


@pytest.mark.parametrize("market", [NOVA, profile(volatility=0.004)], ids=["ordinary", "wild"])
def test_prices_stay_within_reach_of_their_level_for_a_day(market: Profile) -> None:
    _, closed = walked(begin(market, 3, NOON), 24 * 60)
    low, high = min(one.candle.low for one in closed), max(one.candle.high for one in closed)
    assert market.level * (1 - REACH) <= low < market.level < high <= market.level * (1 + REACH)


def test_a_price_far_away_comes_back_to_what_the_instrument_is_worth() -> None:
    strayed = begin(NOVA, 3, NOON, Decimal(47_000))
    after, _ = walked(strayed, 20)
    end = int(after.at.timestamp())
    assert abs(float(after.value) / worth(NOVA, 3, end) - 1) < 0.01


def test_a_market_has_trends_both_ways_ranges_and_agitation() -> None:
    moods = [regime("NOVA/USD", 3, leg * LEG) for leg in range(300)]
    assert {moods.count(mood) > 15 for mood in Regime} == {True}


def test_a_market_begins_at_a_close() -> None:
    with pytest.raises(DomainError, match="begins at the close of a ten-second candle"):
        begin(NOVA, 1, NOON + timedelta(seconds=3))


def test_a_level_off_the_price_grid_is_refused() -> None:
    with pytest.raises(DomainError, match="not on the price grid"):
        profile(level="42000.3")
