"""The missed-signal contract: signals are counted without gaps, what was never decided is found, and followers get what they chose."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db.models import F

from signalist.domain.candles import Candle
from signalist.engine import missing
from signalist.engine.missing import look_for_missed
from signalist.events.models import Event
from signalist.execution.missed import answer_gaps
from signalist.failpoints import watched
from signalist.markets import feeds
from signalist.risk.models import Missed
from signalist.risk.selectors import thrown
from signalist.strategies import gaps
from signalist.strategies.models import Gap, RunStatus, Schedule, Signal, StrategyRun
from signalist.trading.actions import change_terms
from signalist.trading.alarms import alarms
from signalist.trading.models import AfterOutage, Execution, Position, Subscription
from signalist.trading.terms import terms_of
from tests.flows.scene import EXIT_LONG, LONG, MINUTE, Scene, entry

BUY = entry(LONG, "39600", "40800")
# Exits a long whenever a candle closes below 39,900, and enters above 40,100.
BY_LEVEL = """
from signalist_strategy import Signals

parameters = {}
history = 2


def signals(candles, parameters):
    return Signals(enter_long=candles.close > 40100, exit_long=candles.close < 39900)
"""


@pytest.fixture
def world(scene: Scene) -> Iterator[Scene]:
    """A strategy that goes by the level, two candles after noon, and nothing missed so far."""
    scene.level = scene.strategy("level", scene.btc, BY_LEVEL, history=2)  # type: ignore[attr-defined]
    scene.candle()
    scene.candle()
    scene.later(15)
    look(scene)
    return scene


def level(world: Scene) -> Schedule:
    return world.level  # type: ignore[attr-defined, no-any-return]


def look(world: Scene, *, stored_only: bool = False) -> int:
    return world.drive(look_for_missed(world.engine, stored_only=stored_only))


def follower(world: Scene, choice: AfterOutage, name: str) -> Subscription:
    made = world.subscriber(name, schedule=level(world), notional="0.1")
    chosen = terms_of(made)
    change_terms(
        made, type(chosen)(chosen.capital, None, chosen.notional_fraction, after_outage=choice), world.clock.now()
    )
    return made


def to_the_minute(world: Scene) -> None:
    now = world.clock.now()
    world.clock.advance_to(MINUTE.next_close(now))


def outage(world: Scene, *closes: str, stored: bool = True) -> None:
    """Candles close at these prices while no engine looks; afterwards they are there, unless the feed was away too."""
    to_the_minute(world)
    for close in closes:
        bar = world._bar(None, None, close)
        world._pass(bar)
        if stored:
            feeds.take_candles([feeds.ClosedCandle(world.btc.pk, MINUTE, bar)], [])
    world.later(15)


def long_positions(world: Scene, *subscriptions: Subscription) -> None:
    to_the_minute(world)
    world.signal(entry(LONG, None), schedule=level(world))
    assert all(world.position(one).is_open for one in subscriptions)


def gap_of(world: Scene) -> Gap:
    return Gap.objects.get(schedule=level(world))


def test_signals_are_counted_without_a_gap_schedule_by_schedule(world: Scene) -> None:
    other = world.strategy("other", world.btc)
    to_the_minute(world)
    world.signal(BUY)
    world.signal(BUY, schedule=other)
    world.minute()
    world.signal(EXIT_LONG, BUY)
    counted = Signal.objects.order_by("pk").values_list("schedule__version__strategy__slug", "kind", "sequence")
    assert list(counted) == [
        ("crossover", "LONG", 1),
        ("other", "LONG", 1),
        ("crossover", "EXIT_LONG", 2),
        ("crossover", "LONG", 3),
    ]
    assert [told["sequence"] for told in world.events("signal_generated")] == [1, 1, 2, 3]


def test_nothing_is_missed_while_candles_are_decided(world: Scene) -> None:
    for _ in range(3):
        to_the_minute(world)
        price = world._prices["BTC-PERP"]
        bar = Candle(world.clock.now(), price, price, price, price, Decimal(1))
        feeds.take_candles([feeds.ClosedCandle(world.btc.pk, MINUTE, bar)], [])
        world.drive(world.engine.run_due())
        world.later(15)
        assert look(world) == 0
    assert Gap.objects.count() == 0


def test_an_outage_is_one_gap_with_what_the_strategy_would_have_said(world: Scene) -> None:
    outage(world, "40000", "39800", "40200", "40000")
    look(world)
    gap = gap_of(world)
    assert (gap.candles, gap.stored, gap.entries) == (5, 4, 1)
    assert gap.exit_long_at == gap.last_close - 2 * MINUTE.length
    assert gap.answered_at is not None
    told = [one for one in world.events("candles_missed") if one["schedule"] == level(world).pk]
    assert [one["candles"] for one in told] == [5]
    assert look(world) == 0 and Gap.objects.filter(schedule=level(world)).count() == 1


def test_a_strategy_that_hangs_when_asked_keeps_neither_the_engine_nor_other_answers_waiting(
    world: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(missing, "PATIENCE", 0.4)
    world.engine.strategies._time_limit = 2.0
    hangs = world.strategy("hangs", world.btc, BY_LEVEL.replace("    return", "    while True: pass\n    return"), 2)
    look(world)
    outage(world, "40000", "40200")
    looking = missing.Looking(world.engine)
    world.drive(looking.look())
    asked = Gap.objects.get(schedule=hangs)
    assert (asked.judged_at, gap_of(world).answered_at is not None) == (None, True)
    for _ in range(10):
        world.drive(looking.look())
        asked.refresh_from_db()
        if asked.answered_at is not None:
            break
    assert "did not answer within 2 s" in asked.problem
    world.drive(looking.look())
    world.drive(looking.end())


def test_old_signals_are_never_traded_and_the_next_one_is(world: Scene) -> None:
    theo = follower(world, AfterOutage.HOLD, "Theo")
    outage(world, "40200", "40200")
    look(world)
    world.drive(world.engine.run_due())
    world.settle()
    assert not Execution.objects.exists()
    assert set(
        StrategyRun.objects.filter(schedule=level(world), status=RunStatus.SKIPPED).values_list("error_kind")
    ) == {("late",)}
    to_the_minute(world)
    world.candle(close="40300")
    assert world.position(theo).is_open


def test_who_holds_keeps_the_position_and_who_closes_loses_it_to_the_missed_exit(world: Scene) -> None:
    holder, closer = follower(world, AfterOutage.HOLD, "Theo"), follower(world, AfterOutage.CLOSE, "Vera")
    long_positions(world, holder, closer)
    outage(world, "40000", "39800", "40000")
    assert look(world) == 2
    world.settle()
    world.settle()
    assert world.position(holder).is_open
    assert not world.position(closer).is_open
    assert world.net(closer) == 0
    kept = {row.subscription_id: (row.choice, row.closed, row.exit_at is not None) for row in Missed.objects.all()}
    assert kept == {holder.pk: ("HOLD", False, True), closer.pk: ("CLOSE", True, True)}
    told = {row["subscription"]: (row["severity"], row["held"]) for row in world.events("signals_missed")}
    assert told == {holder.pk: ("HIGH", True), closer.pk: ("INFO", False)}, "whose position is closed has nothing to do"
    assert Event.objects.get(kind="signals_missed", is_alarm=True).payload["subscription"] == holder.pk


def test_without_a_missed_exit_nothing_is_closed(world: Scene) -> None:
    closer = follower(world, AfterOutage.CLOSE, "Vera")
    long_positions(world, closer)
    outage(world, "40000", "40000")
    look(world)
    world.settle()
    assert world.position(closer).is_open
    assert not Missed.objects.get().closed
    assert not Event.objects.filter(kind="signals_missed", is_alarm=True).exists()


def test_what_is_being_closed_already_waits_for_nobody(world: Scene) -> None:
    holder = follower(world, AfterOutage.HOLD, "Theo")
    long_positions(world, holder)
    outage(world, "39800", "40000")
    Position.objects.filter(subscription=holder).update(is_closing=True)
    gaps.find(world.clock.now())
    Gap.objects.update(judged_at=world.clock.now(), exit_long_at=F("last_close"))
    answer_gaps(world.clock.now())
    Position.objects.filter(subscription=holder).update(is_closing=False)
    assert [(row["exit"], row["held"], row["severity"]) for row in world.events("signals_missed")] == [
        (True, False, "INFO")
    ]


def test_an_exit_from_before_the_position_is_not_about_it(world: Scene) -> None:
    closer = follower(world, AfterOutage.CLOSE, "Vera")
    outage(world, "39800", "40000")
    to_the_minute(world)
    world.signal(entry(LONG, None), schedule=level(world))
    look(world)
    world.settle()
    assert world.position(closer).is_open


def test_who_wants_to_be_asked_takes_no_entry_until_resumed(world: Scene) -> None:
    asker = follower(world, AfterOutage.ASK, "Theo")
    outage(world, "40000")
    look(world)
    (switch,) = thrown()
    assert (switch.layer, switch.state, switch.who) == ("SUBSCRIPTION", "REDUCING", "the engine, after an outage")
    to_the_minute(world)
    world.candle(close="40300")
    assert world.execution(asker).rule == "kill_switch"
    assert [(told["asked"], told["severity"]) for told in world.events("signals_missed")] == [(True, "HIGH")]
    (alarm,) = (one for one in alarms(asker.tenant_id, world.clock.now()) if one.subscription == asker.public_id)
    asked = "No entry is taken until somebody has looked, and resumes it under Stop trading."
    assert alarm.sentence == f"No signal that is known was missed. {asked}"
    assert (alarm.since, alarm.until) == (gap_of(world).first_close, gap_of(world).last_close)


def test_candles_that_never_came_are_a_gap_too_but_not_in_a_recording(world: Scene) -> None:
    outage(world, "40000", "40000", stored=False)
    look(world, stored_only=True)
    assert not Gap.objects.exists()
    outage(world, "40000", "40000", stored=False)
    look(world)
    assert Gap.objects.filter(schedule=level(world)).exists()
    world.later(gaps.FILLED_WITHIN.total_seconds())
    look(world)
    gap = Gap.objects.filter(schedule=level(world)).earliest("first_close")
    assert gap.judged_at is not None and gap.stored == 0


@pytest.mark.parametrize("place", ["gaps.find", "gaps.judge", "missed.answer", "missed.answered"])
def test_an_engine_that_dies_over_a_gap_leaves_it_to_the_next_which_answers_once(world: Scene, place: str) -> None:
    class Dead(Exception):
        pass

    def die(name: str) -> None:
        if name == f"{place}.committed":
            raise Dead

    closer, asker = follower(world, AfterOutage.CLOSE, "Vera"), follower(world, AfterOutage.ASK, "Theo")
    long_positions(world, closer, asker)
    outage(world, "39800", "40000")
    with watched(die), pytest.raises(Dead):
        look(world)
    look(world)
    world.settle()
    world.settle()
    assert Missed.objects.count() == 2
    assert not world.position(closer).is_open
    assert len(world.events("signals_missed")) == 2
    assert Gap.objects.filter(answered_at=None).count() == 0


def test_an_entry_claimed_at_the_boundary_is_measured_from_it(world: Scene) -> None:
    run = StrategyRun.objects.filter(schedule=level(world)).latest("pk")
    assert run.lateness == timedelta(0)
