"""The one list of timeframes, and when their candles close."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalist.domain.errors import DomainError
from signalist.domain.timeframes import TIMEFRAMES, Timeframe, interval_key, timeframe

frames = st.sampled_from(TIMEFRAMES)
NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)
# From 1954, before the epoch, to 2094.
moments = st.timedeltas(timedelta(days=-365 * 70), timedelta(days=365 * 70)).map(lambda away: NOON + away)


def test_the_list_is_the_one_of_the_specification() -> None:
    assert [frame.code for frame in TIMEFRAMES if not frame.synthetic_only] == "1m 5m 15m 30m 1h 2h 4h 1d".split()
    assert [frame.code for frame in TIMEFRAMES if frame.synthetic_only] == ["10s"]


def test_a_code_names_its_length_in_seconds() -> None:
    seconds = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    assert all(frame.seconds == int(frame.code[:-1]) * seconds[frame.code[-1]] for frame in TIMEFRAMES)


@pytest.mark.parametrize("code", ["60", "1H", "5", "3m", "", "1min"])
def test_another_spelling_is_refused_with_the_spellings_that_exist(code: str) -> None:
    with pytest.raises(DomainError, match="use one of 10s, 1m, 5m, 15m, 30m, 1h, 2h, 4h, 1d"):
        timeframe(code)


@given(moments, frames)
def test_the_last_close_is_the_boundary_at_or_before_the_moment(moment: datetime, frame: Timeframe) -> None:
    close = frame.last_close(moment)
    assert frame.is_close(close)
    assert close <= moment < close + frame.length


@given(moments, frames)
def test_the_next_close_comes_strictly_after_the_moment(moment: datetime, frame: Timeframe) -> None:
    following = frame.next_close(moment)
    assert frame.is_close(following)
    assert moment < following <= moment + frame.length


@given(moments, frames)
def test_a_candle_opens_where_the_one_before_it_closes(moment: datetime, frame: Timeframe) -> None:
    close = frame.last_close(moment)
    assert frame.open_of(close) == frame.last_close(close - timedelta(microseconds=1))


def test_a_boundary_is_its_own_last_close() -> None:
    assert timeframe("4h").last_close(NOON) == NOON
    assert timeframe("4h").next_close(NOON) == NOON + timedelta(hours=4)


@pytest.mark.parametrize("off", [timedelta(seconds=1), timedelta(microseconds=1), timedelta(seconds=-1)])
def test_a_moment_off_the_boundary_is_no_close(off: timedelta) -> None:
    assert not timeframe("1m").is_close(NOON + off)
    with pytest.raises(DomainError, match="is not the close of a 1m candle"):
        timeframe("1m").open_of(NOON + off)


def test_days_close_at_midnight_utc_wherever_the_time_was_written() -> None:
    kolkata = timezone(timedelta(hours=5, minutes=30))
    midnight = datetime(2024, 1, 2, 5, 30, tzinfo=kolkata)
    assert timeframe("1d").is_close(midnight)
    assert not timeframe("1d").is_close(datetime(2024, 1, 2, tzinfo=kolkata))


@pytest.mark.parametrize("question", ["is_close", "last_close", "next_close", "open_of"])
def test_a_time_without_a_zone_is_refused(question: str) -> None:
    with pytest.raises(DomainError, match="has no time zone"):
        getattr(timeframe("1m"), question)(NOON.replace(tzinfo=None))


def test_a_candle_is_named_by_its_floored_close_in_utc_and_its_timeframe() -> None:
    late = datetime(2024, 1, 1, 10, 5, 2, 417_000, tzinfo=UTC)
    assert interval_key(late, timeframe("5m")) == "2024-01-01T10:05:00Z_5m"
    assert interval_key(late, timeframe("1h")) == "2024-01-01T10:00:00Z_1h"


@given(moments, frames, st.integers(-14 * 60, 14 * 60))
def test_all_workers_name_a_candle_alike(moment: datetime, frame: Timeframe, offset: int) -> None:
    elsewhere = frame.last_close(moment).astimezone(timezone(timedelta(minutes=offset)))
    assert interval_key(elsewhere, frame) == interval_key(moment, frame)
