"""What a subscriber changes later: cancelling keeps what is open in good hands, and terms hold from the next entry on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from signalist.accounts.models import Account, AccountState
from signalist.domain.rules import Limits
from signalist.events.models import Event
from signalist.execution.decide import decide
from signalist.execution.fan_out import fan_out
from signalist.strategies.models import Schedule, Strategy
from signalist.trading.actions import cancel, change_terms, pause, subscribe
from signalist.trading.models import Execution, Following, Position, Subscription, SubscriptionStatus, Trade
from signalist.trading.terms import Refused, Terms, terms_of
from tests.cast import person
from tests.flows.scene import EXIT_LONG, LONG, NOON, Scene, entry, opened

BUY = entry(LONG, "39600", "40800")
SOUND = Terms(Decimal(10_000), risk_fraction=Decimal("0.01"), leverage=Decimal(2))


@pytest.fixture
def scene(transactional_db: None) -> Iterator[Scene]:
    with opened() as world:
        world.minute()
        yield world


def newest(kind: str) -> Event:
    return Event.objects.filter(kind=kind).latest("pk")


# --- Cancelling ----------------------------------------------------------------------------------


def test_a_cancelled_subscription_has_ended_and_it_is_told_who_did_it(scene: Scene) -> None:
    theo, who = scene.subscriber(), person("Theo")
    cancel(theo, scene.clock.now(), who)
    theo.refresh_from_db()
    assert (theo.status, theo.ended_at) == (SubscriptionStatus.ENDED, scene.clock.now())
    told = newest("subscription_cancelled")
    assert told.tenant_id == theo.tenant_id
    assert told.payload == {"subscription": str(theo.public_id), "status": "ENDED", "by": str(who.public_id)}


def test_it_can_be_cancelled_once_also_when_paused(scene: Scene) -> None:
    theo = scene.subscriber()
    pause(theo, scene.clock.now())
    cancel(theo, scene.clock.now())
    theo.refresh_from_db()
    assert (theo.status, theo.paused_at) == (SubscriptionStatus.ENDED, None)
    with pytest.raises(Refused, match="^The subscription has ended already.$"):
        cancel(theo, scene.clock.now())
    assert Following.objects.get().followers == 0


def test_it_takes_no_entry_any_more(scene: Scene) -> None:
    theo = scene.subscriber()
    cancel(theo, scene.clock.now())
    scene.signal(BUY)
    assert not Execution.objects.exists()


def test_an_entry_that_waits_for_its_decision_is_skipped(scene: Scene) -> None:
    theo = scene.subscriber()
    scene.signal(BUY, wait=True)
    scene.stage(fan_out)
    cancel(theo, scene.clock.now())
    scene.settle()
    execution = scene.execution(theo)
    assert (execution.status, execution.rule) == ("SKIPPED", "ended")


def test_an_entry_that_is_on_its_way_is_taken_back(scene: Scene) -> None:
    theo = scene.subscriber()
    scene.signal(BUY, wait=True)
    scene.stage(fan_out)
    scene.stage(decide)
    cancel(theo, scene.clock.now())
    scene.settle()
    assert [order.status for order in scene.orders(theo)] == ["CANCELLED"]
    assert not Position.objects.exists()


def test_what_it_holds_keeps_its_stop(scene: Scene) -> None:
    theo = scene.subscriber()
    scene.signal(BUY)
    cancel(theo, scene.clock.now())
    scene.minute()
    assert scene.resting(theo).keys() == {"STOP", "TARGET"}
    scene.minute(low="39500", close="39550")
    assert scene.trade(theo).exit_type == "STOP_LOSS"


def test_what_it_holds_keeps_the_strategy_s_exits(scene: Scene) -> None:
    theo = scene.subscriber()
    scene.signal(BUY)
    cancel(theo, scene.clock.now())
    scene.minute()
    scene.signal(EXIT_LONG)
    assert scene.trade(theo).exit_type == "SIGNAL"
    scene.minute()
    scene.signal(EXIT_LONG)
    assert Execution.objects.filter(kind="EXIT_LONG").count() == 1, "asked to exit what it does not hold any more"


def test_an_exit_reaches_it_while_its_entry_may_still_fill(scene: Scene) -> None:
    theo = scene.subscriber()
    scene.signal(BUY, wait=True)
    scene.stage(fan_out)
    scene.stage(decide)
    cancel(theo, scene.clock.now())
    scene.later(60)
    scene.signal(EXIT_LONG, wait=True)
    scene.stage(fan_out)
    assert Execution.objects.filter(kind="EXIT_LONG", subscription=theo).count() == 1
    scene.settle()
    assert not Position.objects.exists()


# --- Coming back ---------------------------------------------------------------------------------


def test_the_instrument_is_free_again_only_once_the_old_position_is_closed(scene: Scene) -> None:
    theo = scene.subscriber()
    scene.signal(BUY)
    cancel(theo, scene.clock.now())

    def again() -> Subscription:
        return subscribe(theo.account, scene.crossover, scene.btc, SOUND, scene.clock.now(), nets=True)

    with pytest.raises(Refused, match="a subscription that was cancelled still holds one; close it first.$") as refusal:
        again()
    assert refusal.value.field == "market"
    scene.minute(high="40900", close="40000")
    assert Trade.objects.count() == 1
    assert again().status == SubscriptionStatus.ACTIVE


@pytest.mark.parametrize("state", [AccountState.REDUCING, AccountState.HALTED])
def test_an_account_that_takes_no_entries_takes_no_subscription(scene: Scene, state: AccountState) -> None:
    account = scene.account("Theo")
    Account.objects.update(state=state, state_reason="the owner said so")
    with pytest.raises(Refused) as refusal:
        subscribe(account, scene.crossover, scene.btc, SOUND, NOON, nets=True)
    assert refusal.value.field == "account"
    assert str(refusal.value) == (
        f"This account is {state} (the owner said so); it takes no new subscription until resumed."
    )


def test_a_strategy_that_is_not_offered_any_more_takes_no_subscription(scene: Scene) -> None:
    account = scene.account("Theo")
    for withdrawn in (Schedule.objects, Strategy.objects):
        withdrawn.update(is_active=False)
        schedule = Schedule.objects.select_related("version__strategy", "instrument").get()
        with pytest.raises(Refused, match="takes no new subscriptions.$"):
            subscribe(account, schedule, scene.btc, SOUND, NOON, nets=True)
        withdrawn.update(is_active=True)


@pytest.mark.parametrize("name", ["open_positions", "daily_loss_amount", "exposure_fraction"])
def test_a_limit_of_nothing_is_refused(scene: Scene, name: str) -> None:
    terms = replace(SOUND, limits=Limits(**{name: 0}))  # type: ignore[arg-type]
    with pytest.raises(Refused, match="^A limit must be above zero; leave it out for none.$") as refusal:
        subscribe(scene.account("Theo"), scene.crossover, scene.btc, terms, NOON, nets=True)
    assert refusal.value.field == name


# --- Terms ---------------------------------------------------------------------------------------


def test_new_terms_size_the_next_entry_and_are_told_from_and_to(scene: Scene) -> None:
    theo, who = scene.subscriber(), person("Theo")
    terms = replace(terms_of(theo), risk_fraction=Decimal("0.005"), limits=Limits(daily_entries=3))
    change_terms(theo, terms, scene.clock.now(), who)
    told = newest("subscription_changed").payload
    assert told["changes"] == {"risk_fraction": ["0.01", "0.005"], "max_daily_entries": [None, "3"]}
    assert told["by"] == str(who.public_id)
    scene.signal(BUY)
    assert scene.position(theo).quantity == Decimal("1.25")
    assert terms_of(Subscription.objects.get()) == terms


def test_what_is_open_stays_as_it_was_sized(scene: Scene) -> None:
    theo = scene.subscriber()
    scene.signal(BUY)
    change_terms(theo, replace(terms_of(theo), risk_fraction=Decimal("0.001")), scene.clock.now())
    scene.minute()
    assert scene.position(theo).quantity == Decimal("2.5")


def test_terms_that_say_the_same_change_nothing_and_tell_nothing(scene: Scene) -> None:
    theo = scene.subscriber()
    change_terms(theo, terms_of(theo), scene.clock.now())
    assert not Event.objects.filter(kind="subscription_changed").exists()


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        (replace(SOUND, capital=Decimal(0)), "capital"),
        (replace(SOUND, leverage=Decimal(21)), "leverage"),
        (replace(SOUND, risk_fraction=Decimal("0.6")), "risk"),
        (replace(SOUND, risk_fraction=None, notional_fraction=Decimal(2)), "share"),
        (replace(SOUND, risk_fraction=None), "sizing"),
        (replace(SOUND, limits=Limits(daily_loss_fraction=Decimal("0.9"))), "daily_loss_fraction"),
    ],
)
def test_terms_that_cannot_be_meant_are_refused_with_the_field(scene: Scene, terms: Terms, field: str) -> None:
    theo = scene.subscriber()
    before = terms_of(theo)
    with pytest.raises(Refused) as refusal:
        change_terms(theo, terms, scene.clock.now())
    assert refusal.value.field == field
    theo.refresh_from_db()
    assert terms_of(theo) == before


def test_what_has_ended_keeps_its_terms(scene: Scene) -> None:
    theo = scene.subscriber()
    cancel(theo, scene.clock.now() + timedelta(seconds=1))
    with pytest.raises(Refused, match="^The subscription has ended; its terms cannot change any more.$"):
        change_terms(theo, SOUND, scene.clock.now())
