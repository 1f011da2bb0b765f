"""How positions end: by stop, target, signal or command; one exit only, protection withdrawn first, never bare meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from signalist.accounts.models import Account, AccountState
from signalist.domain.matching import Bar
from signalist.execution import actions
from signalist.trading.models import Execution, Instruction, Order, Trade
from signalist.venues.errors import Refused
from signalist.venues.paper.exchange import SymbolBar
from tests.flows.scene import EXIT_LONG, EXIT_SHORT, HALVING, LONG, SHORT, Scene, entry, opened, statuses

BUY = entry(LONG, "39600", "40800")
SELL = entry(SHORT, "40400", "39200")
ALL = Decimal("2.5")


@pytest.fixture
def world(scene: Scene) -> Scene:
    """The scene a minute after noon."""
    scene.minute()
    return scene


@pytest.fixture
def halving(transactional_db: None) -> Iterator[Scene]:
    """A market that takes orders in two parts."""
    with opened(HALVING) as world:
        world.minute()
        yield world


def test_a_target_that_is_hit_cancels_the_stop(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    world.minute(high="40800")
    assert statuses(world.orders(theo)) == [("ENTRY", "FILLED"), ("STOP", "CANCELLED"), ("TARGET", "FILLED")]
    assert (world.trade(theo).exit_type, world.trade(theo).exit_price) == ("TAKE_PROFIT", Decimal(40_800))
    assert world.resting(theo) == {}


def test_a_stop_that_is_hit_cancels_the_target(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    world.minute(low="39600")
    assert statuses(world.orders(theo)) == [("ENTRY", "FILLED"), ("STOP", "FILLED"), ("TARGET", "CANCELLED")]
    assert (world.trade(theo).exit_type, world.trade(theo).exit_price) == ("STOP_LOSS", Decimal(39_600))
    assert world.resting(theo) == {}


def test_a_trade_is_booked_net_of_all_fees_and_counted_into_its_day(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    world.minute(high="40800")
    trade = world.trade(theo)
    assert (trade.gross, trade.fees, trade.net) == (Decimal(2000), Decimal(101), Decimal(1899))
    (told,) = world.events("day_measured")
    assert Decimal(told["net"]) == 1899
    assert (told["day"], trade.measured) == ("2024-05-06", True)
    assert world.position(theo).closed_at == trade.closed_at == world.clock.now()


def test_a_gap_through_the_stop_is_paid_in_full(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    world.later(60)
    world.price("39000")
    world.settle()
    assert (world.trade(theo).exit_type, world.trade(theo).exit_price) == ("STOP_LOSS", Decimal(39_000))


def test_a_bar_that_reaches_stop_and_target_ends_the_position_once_at_the_stop(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    world.minute(high="40900", low="39500")
    assert Trade.objects.filter(subscription=theo).count() == 1
    assert world.trade(theo).exit_type == "STOP_LOSS"
    assert world.net(theo) == 0
    assert world.order(theo, "TARGET").status == "CANCELLED"


# --- Signals -------------------------------------------------------------------------------------


def test_an_exit_signal_withdraws_protection_before_it_closes(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    world.venue.calls.clear()
    world.minute(close="40100")
    world.signal(EXIT_LONG)
    asked = world.venue.asked("place", "cancel")
    assert sorted(asked[:2]) == [("cancel", "STOP"), ("cancel", "TARGET")]
    assert asked[2:] == [("place", "EXIT")]
    assert (world.trade(theo).exit_type, world.trade(theo).exit_price) == ("SIGNAL", Decimal(40_100))
    assert world.resting(theo) == {}


@pytest.mark.parametrize("kind", [EXIT_LONG, EXIT_SHORT])
def test_an_exit_without_a_position_is_skipped(world: Scene, kind: object) -> None:
    theo = world.subscriber()
    world.signal(kind)  # type: ignore[arg-type]
    assert (world.execution(theo).status, world.execution(theo).rule) == ("SKIPPED", "no_position")
    assert world.orders(theo) == []


def test_an_exit_of_the_other_direction_is_skipped(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    world.minute()
    world.signal(EXIT_SHORT)
    assert (world.execution(theo).status, world.execution(theo).rule) == ("SKIPPED", "no_position")
    assert world.net(theo) == ALL


def test_a_reversal_in_one_bar_leaves_first_and_enters_after(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    world.minute()
    world.venue.calls.clear()
    world.signal(EXIT_LONG, SELL)
    placed = world.venue.asked("place")
    assert placed[:2] == [("place", "EXIT"), ("place", "ENTRY")]
    assert sorted(placed[2:]) == [("place", "STOP"), ("place", "TARGET")]
    assert Trade.objects.filter(subscription=theo).count() == 1
    assert world.net(theo) < 0
    assert world.position(theo).direction == "SHORT"


def test_an_entry_behind_an_exit_that_lingers_waits_and_is_too_late_in_the_end(halving: Scene) -> None:
    theo = halving.subscriber()
    halving.signal(BUY)
    halving.minute()
    halving.signal(EXIT_LONG, SELL)
    waiting = halving.execution(theo)
    assert (waiting.kind, waiting.status) == ("SHORT", "PENDING")
    halving.minute()
    waiting.refresh_from_db()
    assert (waiting.status, waiting.rule) == ("SKIPPED", "late")
    assert halving.net(theo) == 0


def test_a_lingering_exit_keeps_a_stop_under_what_is_left(halving: Scene) -> None:
    theo = halving.subscriber()
    halving.signal(BUY)
    halving.minute()
    halving.signal(EXIT_LONG)
    left = halving.net(theo)
    assert 0 < left < ALL
    assert halving.resting(theo) == {"EXIT": left, "STOP": left}
    assert halving.unprotected() == ()
    halving.minute()
    assert halving.net(theo) == 0
    assert halving.resting(theo) == {}
    assert halving.trade(theo).exit_type == "SIGNAL"
    assert halving.trade(theo).quantity == ALL


def test_a_second_exit_while_the_first_lingers_is_skipped(halving: Scene) -> None:
    theo = halving.subscriber()
    halving.signal(BUY)
    halving.minute()
    halving.signal(EXIT_LONG)
    Order.objects.filter(leg="EXIT").update(created_at=halving.clock.now() - timedelta(minutes=1))
    actions.close(halving.position(theo), "impatient", "now!", halving.clock.now())
    halving.settle()
    assert (halving.execution(theo).status, halving.execution(theo).rule) == ("SKIPPED", "already_closing")
    assert len(halving.orders(theo, "EXIT")) == 1


def test_an_exit_takes_back_what_an_entry_has_not_got_yet(halving: Scene) -> None:
    theo = halving.subscriber()
    halving.signal(BUY)
    part = halving.net(theo)
    actions.close(halving.position(theo), "changed my mind", "", halving.clock.now())
    halving.settle()
    assert halving.order(theo, "ENTRY").status == "CANCELLED"
    halving.minute()
    halving.minute()
    assert halving.net(theo) == 0
    assert halving.trade(theo).quantity == part


def test_a_cancel_that_comes_too_late_books_the_fill(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    world.minute()

    async def market_falls() -> None:
        now = world.clock.now() + timedelta(seconds=2)
        await world.exchange.on_bars([SymbolBar("BTC-PERP", Bar.tick(Decimal(39_500)), now, now)])

    world.venue.before(market_falls, "cancel", leg="STOP")
    world.signal(EXIT_LONG)
    assert Trade.objects.filter(subscription=theo).count() == 1
    assert (world.trade(theo).exit_type, world.trade(theo).exit_price) == ("STOP_LOSS", Decimal(39_500))
    assert world.order(theo, "STOP").status == "FILLED"
    assert world.net(theo) == 0
    exit_order = world.order(theo, "EXIT")
    assert (exit_order.status, exit_order.reason) == ("CANCELLED", "the position is closed already")
    assert ("place", "EXIT") not in world.venue.asked("place")


# --- Commands ------------------------------------------------------------------------------------


def test_a_command_to_close_is_carried_out_once_however_often_it_is_given(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    position = world.position(theo)
    first = actions.close(position, "close-1", "enough", world.clock.now())
    second = actions.close(position, "close-1", "enough", world.clock.now())
    world.settle()
    assert first.pk == second.pk
    assert Execution.objects.filter(instruction=first).count() == 1
    assert world.trade(theo).exit_type == "MANUAL"
    assert world.resting(theo) == {}
    assert len(world.events("instruction_given")) == 1


def test_to_flatten_closes_every_position_of_the_account_and_no_others(world: Scene) -> None:
    eth = world.instrument("ETH-PERP", "2000", pair="ETH/USD")
    momentum = world.strategy("momentum", eth)
    account = world.account("Theo")
    mine = [world.subscriber(account=account, notional="0.2"), world.subscriber(account=account, schedule=momentum)]
    vera = world.subscriber("Vera")
    world.signal(BUY)
    world.signal(entry(LONG, "1980", "2040"), schedule=momentum)
    for _ in range(2):
        actions.flatten(account, "flat-1", "going on holiday", world.clock.now())
        world.settle()
    assert [world.trade(one).exit_type for one in mine] == ["MANUAL", "MANUAL"]
    assert world.net(mine[0]) == 0
    assert world.net(vera) == ALL
    assert Instruction.objects.get().kind == "FLATTEN"


def test_to_flatten_an_account_without_positions_does_nothing(world: Scene) -> None:
    theo = world.subscriber()
    actions.flatten(theo.account, "flat-1", "to be sure", world.clock.now())
    world.settle()
    assert not Execution.objects.exists()
    assert world.venue.asked("place", "cancel") == []


def test_one_key_means_one_command_per_tenant_only(world: Scene) -> None:
    theo, vera = world.subscriber("Theo"), world.subscriber("Vera")
    world.signal(BUY)
    for one in (theo, vera):
        actions.close(world.position(one), "close-1", "", world.clock.now())
    world.settle()
    assert (world.net(theo), world.net(vera)) == (0, 0)


def test_a_reducing_account_obeys_its_owners_command(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    Account.objects.update(state=AccountState.REDUCING)
    actions.close(world.position(theo), "close-1", "", world.clock.now())
    world.settle()
    assert world.trade(theo).exit_type == "MANUAL"


# --- An exit that does not come about ------------------------------------------------------------


def waits(world: Scene, *pauses: int) -> None:
    """So many seconds pass, one pause after the other, with a sweep of the engine behind each."""
    for pause in pauses:
        world.later(pause)
        world.poll()


def test_an_exit_that_was_refused_is_written_anew(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    world.minute()
    world.venue.refuses(Refused("Not now."), leg="EXIT", times=2)
    world.signal(EXIT_LONG)
    world.later(2)
    world.poll()
    assert [(o.n, o.status) for o in world.orders(theo, "EXIT")] == [(0, "REJECTED"), (1, "REJECTED"), (2, "FILLED")]
    assert world.trade(theo).exit_type == "SIGNAL"


def test_a_position_that_cannot_be_closed_halts_its_account_and_stays_protected(world: Scene) -> None:
    theo, vera = world.subscriber("Theo"), world.subscriber("Vera")
    world.signal(BUY)
    world.minute()
    world.venue.refuses(Refused("Never."), leg="EXIT", ref=theo.account.venue_ref, times=99)
    world.signal(EXIT_LONG)
    waits(world, 2, 4, 8)
    halted = Account.objects.get(name="Theo")
    assert (halted.state, halted.state_reason) == (
        AccountState.HALTED,
        "a position cannot be closed; close it at the venue and resume",
    )
    assert len(world.orders(theo, "EXIT")) == 5
    assert world.net(theo) == ALL
    assert world.resting(theo) == {"STOP": ALL, "TARGET": ALL}
    assert world.trade(vera).exit_type == "SIGNAL"


def test_a_stop_under_a_lingering_exit_is_not_tried_for_ever(halving: Scene) -> None:
    theo = halving.subscriber()
    halving.signal(BUY)
    halving.minute()
    halving.venue.refuses(Refused("Never."), leg="STOP", times=99)
    halving.signal(EXIT_LONG)
    waits(halving, 1, 1, 1)
    assert [o.status for o in halving.orders(theo, "STOP")].count("REJECTED") == 3
    halving.minute()
    assert halving.net(theo) == 0


def test_a_position_that_can_neither_be_closed_nor_protected_is_left_to_its_owner(world: Scene) -> None:
    theo = world.subscriber()
    for leg in ("STOP", "EXIT"):
        world.venue.refuses(Refused("Never."), leg=leg, times=99)
    world.signal(BUY)
    waits(world, 2, 2, 4, 8)
    assert len(world.orders(theo, "EXIT")) == 5
    assert [o.status for o in world.orders(theo, "STOP")] == ["REJECTED"] * 4 + ["CREATED"], (
        "it is tried on all the same"
    )
    assert Account.objects.get().state == AccountState.HALTED
    assert world.unprotected() != ()


def test_fees_and_prices_of_a_loss_add_up(transactional_db: None) -> None:
    with opened(replace(HALVING, slippage=Decimal("0.001"))) as world:
        theo = world.subscriber()
        world.minute()
        world.signal(BUY)
        world.minute()
        world.minute(low="39600")
        trade = world.trade(theo)
        assert (trade.entry_price, trade.exit_price) == (Decimal(40_040), Decimal("39560.4"))
        assert trade.net == ALL * (trade.exit_price - trade.entry_price) - trade.fees
        assert trade.fees == ALL * (trade.exit_price + trade.entry_price) * Decimal("0.0005")
        (account,) = world.store.books([theo.account.venue_ref]).accounts.values()
        assert account.cash == 100_000 + trade.net
