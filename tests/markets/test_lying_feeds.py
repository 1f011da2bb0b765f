"""A feed that lies: whatever it says, a strategy is run once on a candle, never on an unfinished one, and the lie is seen."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from signalist.domain.backoff import TRIES
from signalist.events.models import Event
from signalist.markets.feed_models import CandleCorrection
from tenants.doors import across_tenants
from tests.markets.feed_world import MINUTE, NOON, SECOND, candle, story, until, world

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def door(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Events have a tenant column, so that their writer stands behind a door. The service's rows are written in the loop's own thread."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    with across_tenants("tests"):
        yield


@story
async def test_an_unfinished_candle_is_no_candle_until_its_time_is_over() -> None:
    async with world() as w:
        await w.tells(candle(1, 101), closed=False)
        await w.at(NOON + 59 * SECOND)
        assert w.stored() == [(0, 100, False)]
        await w.tells(candle(1, 102, 2), closed=False)
        await w.at(NOON + MINUTE)
        assert w.stored() == [(0, 100, False)]
        w.clock.advance_to(NOON + MINUTE + SECOND)
        await w.say(say="beat")
        await w.turn()
        assert w.stored() == [(0, 100, False), (1, 102, False)]
        assert w.ran == [NOON + MINUTE]


@story
async def test_a_candle_that_is_called_closed_before_its_time_waits_for_it_and_is_seen() -> None:
    async with world() as w:
        await w.tells(candle(1, 101))
        await w.at(NOON + 30 * SECOND)
        assert w.stored() == [(0, 100, False)] and w.ran == []
        await w.tells(candle(1, 105, 3))  # it was not closed at all
        w.clock.advance_to(NOON + MINUTE + SECOND)
        await w.say(say="beat")
        await w.turn()
        assert w.stored()[-1] == (1, 105, False) and w.ran == [NOON + MINUTE]
        await w.shown()
        assert w.feed().refused == 2 and "before its time" in w.feed().last_error
        assert w.source().ahead_ms == 30_000  # one of the two clocks is wrong


@story
async def test_repetitions_of_a_candle_run_nothing_twice() -> None:
    async with world() as w:
        w.clock.advance_to(NOON + MINUTE + SECOND)
        for _ in range(3):
            await w.tells(candle(1, 101))
            await w.turn()
        assert w.ran == [NOON + MINUTE]
        await w.shown()
        assert w.feed().duplicates == 2 and w.feed().corrections == 0


@story
async def test_a_correction_is_recorded_and_runs_nothing_again() -> None:
    async with world() as w:
        w.clock.advance_to(NOON + MINUTE + SECOND)
        await w.tells(candle(1, 101))
        await w.turn()
        await w.tells(candle(1, 99, 4))
        await w.turn()
        assert w.stored()[-1] == (1, 99, False) and w.ran == [NOON + MINUTE]
        correction = CandleCorrection.objects.get()
        assert (correction.before["close"], correction.after["close"]) == ("101", "99")
        await w.shown()
        assert w.feed().corrections == 1


@story
async def test_a_gap_is_filled_from_history_and_what_history_does_not_know_is_synthetic_and_runs_nothing() -> None:
    async with world() as w:
        w.server.past["BTC/USD", "1m"] = [candle(1, 101), candle(3, 103)]
        w.clock.advance_to(NOON + 4 * MINUTE + SECOND)
        await w.tells(candle(4, 104))
        await w.turn()
        await until(lambda: len(w.stored()) == 5, "the gap is filled")
        assert w.stored()[1:] == [(1, 101, False), (2, 101, True), (3, 103, False), (4, 104, False)]
        await w.turn()
        assert w.taken() == [NOON + 4 * MINUTE]  # what was late is noted as that, and the synthetic one is nothing
        assert NOON + 2 * MINUTE not in w.runs()
        await w.shown()
        feed = w.feed()
        assert (feed.gaps, feed.backfilled, feed.synthetic, feed.open_gaps) == (3, 2, 1, 0)


@story
async def test_candles_out_of_order_are_stored_in_their_places_and_run_nothing_late() -> None:
    async with world() as w:
        w.clock.advance_to(NOON + 3 * MINUTE + SECOND)
        await w.tells(candle(3, 103))
        await w.service.turn()
        await w.tells(candle(1, 101))
        await w.tells(candle(2, 102))
        await w.turn()
        await until(lambda: len(w.stored()) == 4)
        assert [close for _, close, invented in w.stored() if not invented] == [100, 101, 102, 103]
        assert w.taken() == [NOON + 3 * MINUTE]
        await w.say(say="ticker", symbol="BTC/USD", price="104", at=(NOON + 3 * MINUTE).isoformat())
        await w.say(say="ticker", symbol="BTC/USD", price="90", at=(NOON + 2 * MINUTE).isoformat())
        await w.shown()
        assert w.service.board.quotes["BTC/USD"].price == 104 and w.feed().out_of_order == 1
        assert w.feed().late == 2


@story
async def test_a_mute_socket_is_joined_anew_and_what_it_kept_is_fetched() -> None:
    async with world(silence=0.2) as w:
        w.server.past["BTC/USD", "1m"] = [candle(1, 101)]
        w.clock.advance_to(NOON + MINUTE + 10 * SECOND)
        await until(lambda: w.server.joined >= 2, "the mute socket is given up")
        await w.turn()
        await until(lambda: len(w.stored()) == 2)
        assert w.stored()[-1] == (1, 101, False)
        await w.shown()
        assert w.source().mutes >= 1 and "nothing was heard" in w.source().last_error


@story
async def test_a_market_that_the_stream_keeps_from_us_while_others_speak_has_it_joined_anew() -> None:
    async with world("BTC/USD", "ETH/USD") as w:
        w.server.past["BTC/USD", "1m"] = [candle(1), candle(2), candle(3, 103, 5)]
        for minute in (1, 2, 3):
            w.clock.advance_to(NOON + minute * MINUTE + 2 * SECOND)
            await w.tells(candle(minute, 50), symbol="ETH/USD")
            await w.turn()
        await until(lambda: w.server.joined == 2, "it is joined anew")
        assert [close for _, close, _ in w.stored()] == [100, 100, 100, 103]
        await w.shown()
        assert w.source().mutes == 1 and "were not told" in w.feed().last_error
        assert w.taken() == sorted([NOON + n * MINUTE for n in (1, 2, 3)] * 2)  # once for each market


@story
async def test_a_wrong_checksum_and_a_message_that_cannot_be_read_are_seen() -> None:
    async with world() as w:
        await w.say(say="trouble", kind="checksum", symbol="BTC/USD", why="the book did not add up")
        await w.say(say="trouble", kind="malformed", why="no JSON")
        w.clock.advance_to(NOON + MINUTE + SECOND)
        broken = candle(1, 101)
        await w.say(
            say="candle", symbol="BTC/USD", frame="1m", closed=True,
            candle=[broken.close_time.isoformat(), "101", "90", "95", "101", "1"],
        )  # fmt: skip
        await w.turn()
        assert w.ran == []
        await w.shown()
        source = w.source()
        assert (source.checksums, source.malformed) == (1, 1) and "no JSON" in source.last_error
        assert "checksum" in w.feed().last_error and w.feed().refused == 1


@story
async def test_a_price_of_the_future_is_taken_as_of_now_and_the_clocks_are_called_apart() -> None:
    async with world() as w:
        await w.say(say="ticker", symbol="BTC/USD", price="101", at=(NOON + timedelta(hours=1)).isoformat())
        await w.shown()
        assert w.service.board.quotes["BTC/USD"].at == NOON + SECOND
        assert w.source().ahead_ms == 3_599_000 and "clock" in w.source().last_error


@story
async def test_where_our_clock_is_ahead_a_candle_is_not_closed_before_its_time_is_over_at_its_venue() -> None:
    async with world() as w:
        for second, what in ((50, candle(1, 101)), (61, candle(1, 102, 2)), (64, candle(1, 103, 3))):
            w.clock.advance_to(NOON + second * SECOND)
            await w.say(say="ticker", symbol="BTC/USD", price="100", at=(NOON + (second - 5) * SECOND).isoformat())
            await w.tells(what, closed=False)
            await w.turn()
            assert w.stored() == [(0, 100, False)] and w.ran == [], second
        await w.shown()
        assert "clock: no price is younger" in w.source().last_error and w.source().ahead_ms == -5000
        w.clock.advance_to(NOON + 66 * SECOND)
        await w.say(say="beat")
        await w.turn()
        assert w.stored()[-1] == (1, 103, False) and NOON + MINUTE in w.runs()


@story
async def test_in_maintenance_nothing_is_invented_and_after_it_history_says_what_there_was() -> None:
    async with world() as w:
        await w.say(say="maintenance", why="until 12:03")
        w.clock.advance_to(NOON + 2 * MINUTE + 8 * SECOND)
        await w.say(say="beat")  # the connection lives, and still nothing is concluded from its silence
        await w.turn()
        await w.shown()
        assert (
            w.stored() == [(0, 100, False)] and w.source().standing == "maintenance" and w.feed().state == "maintenance"
        )
        w.server.past["BTC/USD", "1m"] = [candle(3, 103)]
        await w.at(NOON + 3 * MINUTE + 6 * SECOND)
        await w.say(say="online")
        await w.turn()
        await until(lambda: len(w.stored()) == 4)
        assert w.stored()[1:] == [(1, 100, True), (2, 100, True), (3, 103, False)]
        assert w.taken() == []


@story
async def test_a_lost_connection_is_seen_and_a_candle_of_it_is_not_called_closed_by_the_clock() -> None:
    async with world() as w:
        await w.tells(candle(1, 101), closed=False)
        w.server.is_away = True
        await w.server.drop()
        await until(lambda: not next(iter(w.service.lines().values())).is_open, "the line is lost")
        await w.at(NOON + MINUTE + SECOND)
        assert w.stored() == [(0, 100, False)] and w.ran == []
        await w.shown()
        assert w.source().standing == "lost" and w.feed().state == "lost"
        next(iter(w.service.lines().values())).tries = TRIES  # as after ten times in vain
        await w.shown()
        assert w.source().standing == "failed" and Event.objects.filter(kind="feed_failed").count() == 1
        w.server.is_away, w.server.past["BTC/USD", "1m"] = False, [candle(1, 107, 9)]
        await until(lambda: w.server.joined == 2, "it is back")
        await w.at(NOON + MINUTE + 2 * SECOND)
        await until(lambda: len(w.stored()) == 2)
        assert w.stored()[-1] == (1, 107, False)
        await w.turn()
        await w.shown()
        assert w.source().standing == "open" and Event.objects.filter(kind="feed_restored").exists()
        assert w.runs() == [NOON, NOON + MINUTE]
