"""The kill switch: on every layer, in every decision, before every entry, and by whom."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from signalist.accounts.models import Account, AccountState
from signalist.domain.errors import DomainError
from signalist.domain.orders import NAMESPACE
from signalist.execution.actions import Beside, kill
from signalist.execution.decide import decide
from signalist.execution.fan_out import fan_out
from signalist.risk.actions import Where, switch
from signalist.risk.models import SharedSwitchChange, TenantSwitchChange
from signalist.risk.selectors import changes, thrown
from signalist.trading.models import Execution, Instruction, InstructionKind, Reservation, Subscription
from tenants.models import Tenant
from tests.flows.scene import EXIT_LONG, LONG, Scene, entry

ACTIVE, REDUCING, HALTED = AccountState.ACTIVE, AccountState.REDUCING, AccountState.HALTED
BUY = entry(LONG, "39600", "40800")
LAYERS = ["PLATFORM", "STRATEGY", "TENANT", "ACCOUNT", "SUBSCRIPTION"]


@pytest.fixture
def world(scene: Scene) -> Iterator[Scene]:
    scene.minute()
    return scene


def layer(name: str, subscription: Subscription) -> Where:
    """The layer of that name over a subscription."""
    return {
        "PLATFORM": Where.platform,
        "STRATEGY": lambda: Where.of_strategy(subscription.strategy),
        "TENANT": lambda: Where.of_tenant(Tenant.objects.get(pk=subscription.tenant_id)),
        "ACCOUNT": lambda: Where.of_account(Account.objects.get(pk=subscription.account_id)),
        "SUBSCRIPTION": lambda: Where.of_subscription(subscription),
    }[name]()


def throw(world: Scene, where: Where, state: AccountState, reason: str = "a drill") -> None:
    switch(where, state, reason, world.clock.now(), who="olivia@example.com")


def decision(execution: Execution) -> tuple[str, str]:
    return execution.status, execution.rule


@pytest.mark.parametrize("name", LAYERS)
def test_a_reducing_layer_takes_exits_only_and_is_named(world: Scene, name: str) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    throw(world, layer(name, theo), REDUCING)
    world.minute()
    world.signal(EXIT_LONG)
    assert world.trade(theo).exit_type == "SIGNAL"
    world.minute()
    world.signal(BUY)
    denied = world.execution(theo)
    assert decision(denied) == ("DENIED", "kill_switch")
    assert denied.numbers is not None
    assert (denied.numbers["layer"], denied.numbers["state"]) == (name.lower(), "REDUCING")
    assert "a drill" in denied.numbers["reason"]
    assert "olivia@example.com" in denied.numbers["by"] + denied.numbers["reason"]


@pytest.mark.parametrize("name", LAYERS)
def test_a_halted_layer_takes_no_exit_and_leaves_the_stop_at_the_venue(world: Scene, name: str) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    throw(world, layer(name, theo), HALTED)
    world.minute()
    world.signal(EXIT_LONG)
    assert decision(world.execution(theo)) == ("PENDING", "")
    assert world.resting(theo) == {"STOP": Decimal("2.5"), "TARGET": Decimal("2.5")}
    world.minute(low="39500")
    assert world.trade(theo).exit_type == "STOP_LOSS"


@pytest.mark.parametrize("name", ["TENANT", "ACCOUNT"])
def test_an_exit_waits_for_the_end_of_a_halt_and_is_carried_out_then(world: Scene, name: str) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    throw(world, layer(name, theo), HALTED)
    for _ in range(2):
        world.minute()
        world.signal(EXIT_LONG)
    waiting = Execution.objects.filter(subscription=theo, kind="EXIT_LONG").order_by("pk")
    assert [decision(execution) for execution in waiting] == [("PENDING", ""), ("SKIPPED", "already_closing")]
    throw(world, layer(name, theo), ACTIVE, "over")
    world.settle()
    assert world.trade(theo).exit_type == "SIGNAL"


def commands(theo: Subscription, count: int, now: datetime) -> None:
    """So many commands to close, each of which waits on its own."""
    common = {"tenant_id": theo.tenant_id, "account_id": theo.account_id, "subscription_id": theo.pk, "created_at": now}
    given = Instruction.objects.bulk_create(
        Instruction(key=f"close-{n}", public_id=uuid.uuid5(NAMESPACE, str(n)), kind=InstructionKind.CLOSE, **common)
        for n in range(count)
    )
    Execution.objects.bulk_create(Execution(instruction=one, kind="EXIT_LONG", **common) for one in given)


@pytest.mark.parametrize("name", LAYERS)
def test_exits_that_wait_under_a_halt_cost_a_ring_nothing(world: Scene, name: str) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    throw(world, layer(name, theo), HALTED)
    commands(theo, 500 if name == "PLATFORM" else 3, world.clock.now())
    waiting = Execution.objects.filter(status="PENDING")
    many = waiting.count()
    counts = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as captured:
            world.stage(decide)
        counts.append(len(captured))
    with CaptureQueriesContext(connection) as captured:
        world.stage(lambda now: decide(now - timedelta(days=1)))
    assert counts[1] == len(captured) < 5 < counts[0], "a ring finds nothing to look at, as if nobody waited"
    world.later(16)
    world.stage(decide)
    assert waiting.count() == many, "they are looked at again now and then, and wait on"
    throw(world, layer(name, theo), REDUCING, "over")
    world.settle()
    assert world.trade(theo).exit_type == "MANUAL"
    assert not waiting.exists()


def test_a_rule_of_the_house_never_loosens_what_a_person_has_set(world: Scene) -> None:
    where = layer("SUBSCRIPTION", world.subscriber())
    throw(world, where, HALTED, "mine")
    assert not switch(where, REDUCING, "candles were missed", world.clock.now(), who="the engine", only_stricter=True)
    assert [(one.state, one.reason) for one in thrown()] == [("HALTED", "mine")]
    throw(world, where, ACTIVE, "over")
    assert switch(where, REDUCING, "candles were missed", world.clock.now(), who="the engine", only_stricter=True)


@pytest.mark.parametrize("name", LAYERS)
def test_an_entry_that_was_decided_before_the_switch_is_not_sent_after_it(world: Scene, name: str) -> None:
    theo = world.subscriber()
    world.signal(BUY, wait=True)
    world.stage(fan_out)
    world.stage(decide)
    throw(world, layer(name, theo), HALTED)
    world.settle()
    dropped = world.order(theo, "ENTRY")
    assert dropped.status == "CANCELLED"
    assert dropped.reason.startswith(f"kill switch, {name.lower()} HALTED: a drill")
    assert world.venue.asked("place") == []
    assert Reservation.objects.get().released


@pytest.mark.parametrize("name", ["STRATEGY", "TENANT", "ACCOUNT", "SUBSCRIPTION"])
def test_who_is_not_under_the_switch_trades_on(world: Scene, name: str) -> None:
    other = world.strategy("breakout", world.btc)
    theo, vera = world.subscriber("Theo"), world.subscriber("Vera", schedule=other)
    throw(world, layer(name, theo), HALTED)
    world.signal(BUY)
    world.signal(BUY, schedule=other)
    assert world.execution(theo).rule == "kill_switch"
    assert world.position(vera).is_open


def test_the_strictest_layer_wins_and_of_equals_the_outermost_is_named(world: Scene) -> None:
    theo = world.subscriber()
    throw(world, layer("PLATFORM", theo), REDUCING)
    throw(world, layer("ACCOUNT", theo), HALTED)
    throw(world, layer("SUBSCRIPTION", theo), HALTED)
    world.signal(BUY)
    numbers = world.execution(theo).numbers
    assert numbers is not None
    assert (numbers["layer"], numbers["state"]) == ("account", "HALTED")
    assert [one.layer for one in thrown()] == ["PLATFORM", "ACCOUNT", "SUBSCRIPTION"]


def test_only_a_person_resumes_and_every_change_is_kept(world: Scene) -> None:
    theo = world.subscriber()
    where = layer("TENANT", theo)
    throw(world, where, HALTED, "books look odd")
    world.later(24 * 3600)
    world.poll()
    assert [one.state for one in thrown()] == ["HALTED"]
    throw(world, where, ACTIVE, "they are fine")
    world.minute()
    world.signal(BUY)
    assert world.position(theo).is_open
    kept = [(change.before, change.state, change.reason, change.who) for change in reversed(changes())]
    assert kept == [
        ("ACTIVE", "HALTED", "books look odd", "olivia@example.com"),
        ("HALTED", "ACTIVE", "they are fine", "olivia@example.com"),
    ]
    assert [told["state"] for told in world.events("kill_switched")] == ["HALTED", "ACTIVE"]


def test_the_same_again_changes_nothing_and_is_not_kept_twice(world: Scene) -> None:
    theo = world.subscriber()
    for name in ("PLATFORM", "ACCOUNT"):
        assert switch(layer(name, theo), HALTED, "a drill", world.clock.now(), who="x")
        assert not switch(layer(name, theo), HALTED, "a drill", world.clock.now(), who="x")
        assert switch(layer(name, theo), ACTIVE, "over", world.clock.now(), who="x")
        assert not switch(layer(name, theo), ACTIVE, "over again", world.clock.now(), who="x")
    assert (SharedSwitchChange.objects.count(), TenantSwitchChange.objects.count()) == (2, 2)


def test_it_is_not_thrown_without_a_reason(world: Scene) -> None:
    with pytest.raises(DomainError, match="Say why"):
        switch(Where.platform(), HALTED, "  ", world.clock.now())
    assert thrown() == []


@pytest.mark.parametrize("name", LAYERS)
def test_flattening_closes_past_a_halt_and_only_what_is_under_the_layer(world: Scene, name: str) -> None:
    other = world.strategy("breakout", world.btc)
    theo, vera = world.subscriber("Theo"), world.subscriber("Vera", schedule=other)
    world.signal(BUY)
    world.signal(BUY, schedule=other)
    reached = 2 if name == "PLATFORM" else 1
    beside = Beside(cancel_entries=True, close_positions=True)
    assert kill(layer(name, theo), HALTED, "a bad version", world.clock.now(), beside=beside) == reached
    world.settle()
    world.minute()
    assert world.trade(theo).exit_type == "EMERGENCY"
    assert world.net(theo) == 0
    assert world.position(vera).is_open is (reached == 1)


def test_working_entries_are_withdrawn_where_that_is_asked_for(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY, wait=True)
    world.stage(fan_out)
    world.stage(decide)
    done = kill(Where.platform(), REDUCING, "a drill", world.clock.now(), beside=Beside(cancel_entries=True))
    assert done == 1
    world.settle()
    assert (world.order(theo, "ENTRY").status, world.order(theo, "ENTRY").reason) == (
        "CANCELLED",
        "withdrawn before it was sent",
    )


def test_resuming_takes_no_options(world: Scene) -> None:
    with pytest.raises(DomainError, match="Resuming"):
        kill(Where.platform(), ACTIVE, "over", world.clock.now(), beside=Beside(close_positions=True))


def test_the_switch_costs_one_query_a_batch_whatever_its_size(world: Scene) -> None:
    counts = []
    for followers in (1, 6):
        for n in range(followers):
            world.subscriber(f"S{followers}-{n}")
        world.later(timedelta(minutes=1).total_seconds())
        world.price("40000")
        world.signal(BUY, wait=True)
        world.stage(fan_out)
        with CaptureQueriesContext(connection) as captured:
            world.stage(decide)
        counts.append(sum("risk_sharedswitch" in query["sql"] for query in captured))
    assert counts == [1, 1]
