"""The rules of the breakout and of the bands, bar by bar, on closes that can be reckoned by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from signalist.domain.signals import SignalKind
from signalist.domain.strategies import SignalRow
from signalist.sandbox import Failed, FailureKind, Ran, StrategyProcess
from tests.random_walks import of_closes

LIBRARY = Path(__file__).parents[2] / "signalist" / "strategies" / "library"
LONG, SHORT, EXIT_LONG, EXIT_SHORT = SignalKind.LONG, SignalKind.SHORT, SignalKind.EXIT_LONG, SignalKind.EXIT_SHORT

Says = Any


@pytest.fixture(scope="module")
def says() -> Iterator[Says]:
    """What a strategy says at the last of these closes; each bar reaches one above and one below its close."""
    processes: dict[str, StrategyProcess] = {}

    def answer(name: str, closes: list[float], **parameters: object) -> tuple[SignalRow, ...]:
        key = f"{name} {parameters}"
        if key not in processes:
            processes[key] = StrategyProcess((LIBRARY / f"{name}.py").read_text(), parameters)
        ran = processes[key].last(of_closes(closes))
        assert isinstance(ran, Ran), ran
        return ran.rows

    yield answer
    for process in processes.values():
        process.close()


def kinds(rows: tuple[SignalRow, ...]) -> list[str]:
    """The kinds alone."""
    return [row.kind for row in rows]


# --- Breakout ------------------------------------------------------------------------------------

CHANNEL = {"entry": 4, "exit": 2, "atr": 4, "width": 0.0}


def test_a_close_above_the_channel_enters_long_and_leaves_the_short(says: Says) -> None:
    rows = says("donchian_breakout", [100.0, 101, 100, 101, 100, 104], **CHANNEL)
    assert kinds(rows) == [EXIT_SHORT, LONG]
    average_range = (2 + 2 + 2 + 5) / 4  # bars of two; the last one gaps up from 100 and ends at 105
    assert rows[1].stop == pytest.approx(104 - 3 * average_range)
    assert rows[1].target == pytest.approx(104 + 8 * average_range)


def test_a_close_below_the_channel_enters_short_unless_shorts_are_off(says: Says) -> None:
    closes = [100.0, 101, 100, 101, 100, 96]
    assert kinds(says("donchian_breakout", closes, **CHANNEL)) == [EXIT_LONG, SHORT]
    assert kinds(says("donchian_breakout", closes, **CHANNEL, shorts=False)) == [EXIT_LONG]


def test_only_the_first_close_outside_is_a_breakout(says: Says) -> None:
    assert kinds(says("donchian_breakout", [100.0, 101, 100, 101, 104, 104.5], **CHANNEL)) == []


def test_a_high_outside_without_a_close_is_none(says: Says) -> None:
    assert kinds(says("donchian_breakout", [100.0, 101, 100, 101, 100, 102], **CHANNEL)) == []


def test_the_shorter_channel_ends_a_position_before_the_longer_one_turns_it(says: Says) -> None:
    assert kinds(says("donchian_breakout", [100.0, 90, 100, 104, 106, 102], **CHANNEL)) == [EXIT_LONG]


def test_a_breakout_of_a_narrow_range_is_passed_over(says: Says) -> None:
    closes = [100.0, 101, 100, 101, 100, 104]
    assert LONG in kinds(says("donchian_breakout", closes, **CHANNEL | {"width": 1.0}))
    assert LONG not in kinds(says("donchian_breakout", closes, **CHANNEL | {"width": 1.2}))


def test_an_exit_channel_that_is_not_shorter_is_refused() -> None:
    with StrategyProcess((LIBRARY / "donchian_breakout.py").read_text(), {"entry": 10, "exit": 10}) as process:
        refused = process.manifest()
    assert isinstance(refused, Failed)
    assert refused.kind is FailureKind.RAISED
    assert refused.message == "ValueError: exit (10) must be less than entry (10)"


# --- Bands -----------------------------------------------------------------------------------------

# The average and the deviation of four closes, bands one deviation away; a market that may move as it likes.
BANDS = {"period": 4, "deviations": 1.0, "calm": 100.0, "atr": 3, "stop_atr": 2.0, "target_atr": 3.0}


def test_coming_back_through_the_lower_band_enters_long(says: Says) -> None:
    # At 96 the band is at 97.27, at 97.5 at 96.75; the average is then 98.375.
    rows = says("bollinger_reversion", [100.0, 100, 100, 100, 100, 100, 96, 97.5], **BANDS)
    assert kinds(rows) == [LONG]
    average_range = (2 + 5 + 2.5) / 3
    assert rows[0].stop == pytest.approx(97.5 - 2 * average_range)
    assert rows[0].target == pytest.approx(97.5 + 3 * average_range)


def test_coming_back_through_the_upper_band_enters_short_unless_shorts_are_off(says: Says) -> None:
    closes = [100.0, 100, 100, 100, 100, 100, 104, 102.5]
    assert kinds(says("bollinger_reversion", closes, **BANDS)) == [SHORT]
    assert kinds(says("bollinger_reversion", closes, **BANDS, shorts=False)) == []


def test_outside_the_band_there_is_nothing_to_do_yet(says: Says) -> None:
    assert kinds(says("bollinger_reversion", [100.0, 100, 100, 100, 100, 100, 96, 95], **BANDS)) == []


def test_positions_are_left_at_the_average(says: Says) -> None:
    assert kinds(says("bollinger_reversion", [100.0, 100, 100, 100, 96, 97, 97.2, 99], **BANDS)) == [EXIT_LONG]
    assert kinds(says("bollinger_reversion", [100.0, 100, 100, 100, 104, 103, 102.8, 101], **BANDS)) == [EXIT_SHORT]


def test_a_jump_over_the_average_is_an_exit_and_no_entry(says: Says) -> None:
    assert kinds(says("bollinger_reversion", [100.0, 100, 100, 100, 100, 100, 96, 103], **BANDS)) == [EXIT_LONG]


def test_nothing_is_entered_while_the_average_runs_away(says: Says) -> None:
    closes = [108.0, 106, 104, 102, 100, 98, 94, 95.5]
    assert LONG in kinds(says("bollinger_reversion", closes, **BANDS))
    assert kinds(says("bollinger_reversion", closes, **BANDS | {"calm": 1.0})) == []
