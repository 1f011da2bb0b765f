"""An exit that a strategy had said right before a long outage: each follower's own choice says what is done about it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from signalist.accounts.models import Account, AccountState
from signalist.domain.lateness import EXIT_LASTS, exit_lasts
from signalist.domain.timeframes import timeframe
from signalist.execution.actions import close
from signalist.execution.decide import decide
from signalist.execution.fan_out import fan_out
from signalist.trading.alarms import alarms
from signalist.trading.models import AfterOutage, Subscription
from tests.flows.scene import EXIT_LONG, LONG, Scene, entry

BUY = entry(LONG, "39600", "40800")
OUTAGE = EXIT_LASTS.total_seconds() + 60


@pytest.fixture
def world(scene: Scene) -> Scene:
    scene.minute()
    return scene


def follower(world: Scene, choice: AfterOutage) -> Subscription:
    made = world.subscriber(choice.value)
    Subscription.objects.filter(pk=made.pk).update(after_outage=choice)
    return made


def test_an_exit_from_before_an_outage_is_held_carried_out_or_asked_about_as_each_has_chosen(world: Scene) -> None:
    holder, closer, asker = (
        follower(world, choice) for choice in (AfterOutage.HOLD, AfterOutage.CLOSE, AfterOutage.ASK)
    )
    world.signal(BUY)
    world.minute()
    world.signal(EXIT_LONG, wait=True)
    world.stage(fan_out)
    world.later(OUTAGE)
    world.starts_again()
    world.settle()
    assert world.trade(closer).exit_type == "SIGNAL"
    for one in (holder, asker):
        assert (world.execution(one).status, world.execution(one).rule) == ("SKIPPED", "outage")
        assert world.position(one).is_open and world.net(one) == Decimal("2.5")
        assert world.resting(one), "and it is protected as it was"
    told = {row["subscription"]: row["asked"] for row in world.events("signals_missed")}
    assert told == {holder.pk: False, asker.pk: True}
    # It is theirs to close what is held, so both are told; who had it closed is not.
    found = [one for row in (holder, closer, asker) for one in alarms(row.tenant_id, world.clock.now())]
    shown = {one.subscription: one for one in found}
    assert set(shown) == {holder.public_id, asker.public_id}
    assert shown[holder.public_id].about == "crossover, BTC-PERP, HOLD (paper)"
    held = "An exit of what is held was missed. The position was not closed and keeps what protects it: "
    held += "close it, or leave it to the next exit."
    assert shown[holder.public_id].sentence == held
    assert shown[asker.public_id].sentence.startswith(f"{held} No entry is taken until somebody has looked")
    assert shown[asker.public_id].since == shown[asker.public_id].until == world.execution(asker).signal.candle_close
    assert [(row["layer"], row["state"]) for row in world.events("kill_switched")] == [("SUBSCRIPTION", "REDUCING")]


def test_an_exit_that_had_to_wait_and_one_that_a_person_gave_are_carried_out_whatever_their_age(world: Scene) -> None:
    waiting, ordered = (
        world.subscriber("Waiting"),
        world.subscriber("Ordered", schedule=world.strategy("other", world.btc)),
    )
    world.signal(BUY)
    world.signal(BUY, schedule=ordered.schedule)
    world.minute()
    Account.objects.filter(pk=waiting.account_id).update(state=AccountState.HALTED)
    world.signal(EXIT_LONG, wait=True)
    world.stage(fan_out)
    world.stage(decide)
    assert world.execution(waiting).status == "PENDING", "the halt keeps it"
    close(world.position(ordered), "by hand", "a drill", world.clock.now())
    world.later(OUTAGE)
    Account.objects.filter(pk=waiting.account_id).update(state=AccountState.ACTIVE)
    world.starts_again()
    world.settle()
    assert (world.trade(waiting).exit_type, world.trade(ordered).exit_type) == ("SIGNAL", "MANUAL")
    assert exit_lasts(timeframe("1d")) == timedelta(days=1), "a candle at the least"
