"""Stage `decide` in the whole chain: who may enter, how large, and by which rule with which numbers not."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from signalist.accounts.models import Account, AccountState
from signalist.domain.instruments import InstrumentKind
from signalist.domain.orders import NAMESPACE, client_order_id
from signalist.domain.rules import Limits
from signalist.execution.decide import decide
from signalist.execution.fan_out import fan_out
from signalist.markets.models import Instrument, LatestPrice
from signalist.markets.selectors import forget_instruments, rate
from signalist.strategies.models import Signal
from signalist.strategies.selectors import forget_schedules
from signalist.trading.actions import pause, resume
from signalist.trading.models import Execution, Reservation, Subscription
from tests.flows.scene import EXIT_LONG, LONG, SHORT, Scene, entry, statuses

BUY = entry(LONG, "39600", "40800")


def decision(execution: Execution) -> tuple[str, str]:
    return execution.status, execution.rule


@pytest.fixture
def world(scene: Scene) -> Iterator[Scene]:
    """The scene a minute after noon."""
    scene.minute()
    return scene


@pytest.fixture
def eth(world: Scene) -> Instrument:
    """A second market in the same currency, of another pair."""
    return world.instrument("ETH-PERP", "2000", pair="ETH/USD")


def rupee(world: Scene, price: str) -> Subscription:
    """A subscriber who trades the same pair in rupees, at `price`."""
    world.rate("USD", "INR", "75")
    twin = world.instrument("BTC-PERP-INR", price, quote="INR", tick="5")
    return world.subscriber("Indira", deposit="7500000", capital="7500000", instrument=twin)


def test_it_takes_an_entry_in_the_size_of_its_risk_and_records_its_numbers(world: Scene) -> None:
    theo = world.subscriber(capital="100000", risk="0.01", leverage="10")
    world.signal(BUY)
    taken = world.execution(theo)
    assert decision(taken) == ("TAKEN", "")
    assert (taken.price, taken.stop, taken.target, taken.quantity) == tuple(
        map(Decimal, ("40000", "39600", "40800", "2.5"))
    )
    assert taken.numbers == {
        "price": "40000",
        "stop": "39600",
        "asked": "2.5",
        "quantity": "2.5",
        "margin": "10000",
        "loss_at_stop": "1000",
        "available": "100000",
    }
    assert taken.decided_at == world.clock.now()


def test_an_exchange_rate_is_read_once_for_all_who_trade_in_that_currency(
    world: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = rupee(world, "3000000")
    others = [
        world.subscriber(name, deposit="7500000", capital="7500000", instrument=one.instrument)
        for name in ("Asha", "Ravi")
    ]
    asked = []

    def counting(base: str, quote: str, at: datetime) -> Decimal | None:
        asked.append((base, quote))
        return rate(base, quote, at)

    monkeypatch.setattr("signalist.trading.fees.rate", counting)
    world.signal(BUY)
    assert {world.execution(who).status for who in (one, *others)} == {"TAKEN"}
    assert asked == [("USD", "INR")]


def test_a_market_that_takes_no_entries_now_gets_none_and_exits_go_all_the_same(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    Instrument.objects.filter(pk=world.btc.pk).update(trading="cancel_only", trading_since=world.clock.now())
    forget_instruments()
    lena = world.subscriber("Lena")
    world.minute()
    world.signal(BUY)
    told = world.execution(lena)
    assert decision(told) == ("SKIPPED", "not_tradable")
    assert told.numbers == {
        "state": "cancel_only",
        "since": Instrument.objects.get(pk=world.btc.pk).trading_since.isoformat(),
    }
    world.minute()
    world.signal(EXIT_LONG)
    assert decision(world.execution(theo)) == ("TAKEN", "") and not world.position(theo).is_open


def test_leverage_sets_the_margin_and_never_the_quantity(world: Scene) -> None:
    low, high = world.subscriber("Lena", leverage="2"), world.subscriber("Hugo", leverage="20")
    world.signal(BUY)
    assert [world.position(one).quantity for one in (low, high)] == [Decimal("2.5")] * 2
    assert [world.execution(one).numbers["margin"] for one in (low, high)] == ["50000", "5000"]


def test_every_decision_is_told_once_with_its_rule(world: Scene) -> None:
    theo, poor = world.subscriber("Theo"), world.subscriber("Pia", deposit="0")
    world.signal(BUY)
    told = {event["execution"]: (event["status"], event["rule"]) for event in world.events("execution_decided")}
    assert len(world.events("execution_decided")) == 2
    assert told == {world.execution(theo).pk: ("TAKEN", ""), world.execution(poor).pk: ("DENIED", "balance")}


# --- Money ---------------------------------------------------------------------------------------


def test_it_denies_a_subscriber_without_funds_and_lets_the_others_trade(world: Scene) -> None:
    poor, theo = world.subscriber("Pia", deposit="0"), world.subscriber("Theo")
    world.signal(BUY)
    denied = world.execution(poor)
    assert decision(denied) == ("DENIED", "balance")
    assert denied.numbers["available"] == "0"
    assert denied.numbers["asked"] == "2.5"
    assert denied.numbers["minimum"] == "quantity 0 is under the minimum 0.00001 BTC"
    assert world.orders(poor) == []
    assert world.net(theo) == Decimal("2.5")


def test_it_resizes_to_what_the_balance_pays_with_its_fee(world: Scene) -> None:
    small = world.subscriber("Sam", deposit="1000", leverage="10")
    world.signal(BUY)
    resized = world.execution(small)
    assert decision(resized) == ("RESIZED", "balance")
    assert resized.quantity == Decimal("0.24752")  # 1000 / (40000 / 10 + 40000 × 0.001), cut to the lot
    assert (resized.numbers["limit"], resized.numbers["layer"]) == ("1000", "account")
    assert world.net(small) == resized.quantity


def test_it_denies_what_the_venue_would_find_too_small(world: Scene) -> None:
    tiny = world.subscriber("Tim", capital="0.01")
    world.signal(BUY)
    assert decision(world.execution(tiny)) == ("DENIED", "minimum_size")


def test_entries_of_one_batch_do_not_spend_the_same_money(world: Scene, eth: Instrument) -> None:
    account = world.account("Theo", deposit="15000")
    other = world.strategy("momentum", eth)
    first = world.subscriber(account=account, leverage="10")
    second = world.subscriber(account=account, leverage="10", schedule=other)
    world.signal(BUY, wait=True)
    world.signal(entry(LONG, "1980", "2040"), schedule=other)
    assert decision(world.execution(first)) == ("TAKEN", "")
    assert decision(world.execution(second)) == ("RESIZED", "balance")
    assert world.execution(second).numbers["available"] == "4900"  # 15,000 less the first one's margin and fee
    assert world.execution(second).quantity == Decimal("24.25742")


def test_money_is_reserved_while_an_entry_is_under_way_and_not_longer(world: Scene) -> None:
    theo = world.subscriber(leverage="10")
    world.signal(BUY, wait=True)
    world.stage(fan_out)
    world.stage(decide)
    held = Reservation.objects.get(order__subscription=theo)
    assert (held.released, held.notional, held.amount) == (False, Decimal(100_000), Decimal(10_100))
    world.settle()
    held.refresh_from_db()
    assert held.released


def test_an_account_whose_balance_nobody_knows_is_denied(world: Scene) -> None:
    stranger, theo = world.subscriber("Stan", deposit=None), world.subscriber("Theo")
    world.signal(BUY)
    assert decision(world.execution(stranger)) == ("DENIED", "balance_unknown")
    assert world.execution(theo).status == "TAKEN"


# --- Stop and target -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (
            entry(LONG, "40400", "40800"),
            "the stop 40400.0000000000 of a long must lie below the price 40000.0000000000",
        ),
        (
            entry(LONG, "40000", "40800"),
            "the stop 40000.0000000000 of a long must lie below the price 40000.0000000000",
        ),
        (
            entry(SHORT, "39600", "39200"),
            "the stop 39600.0000000000 of a short must lie above the price 40000.0000000000",
        ),
        (
            entry(LONG, "39600", "39900"),
            "the target 39900.0000000000 of a long must lie above the price 40000.0000000000",
        ),
    ],
)
def test_it_denies_a_stop_or_target_on_the_wrong_side(world: Scene, said: object, problem: str) -> None:
    theo = world.subscriber()
    world.signal(said)  # type: ignore[arg-type]
    denied = world.execution(theo)
    assert decision(denied) == ("DENIED", "stop_side")
    assert denied.numbers["problem"] == problem
    assert denied.numbers.keys() == {"price", "stop", "target", "problem"}
    assert world.orders(theo) == []


def test_it_denies_an_entry_whose_stop_the_market_has_passed_meanwhile(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY, wait=True)
    world.price("39500")
    world.settle()
    assert decision(world.execution(theo)) == ("DENIED", "stop_side")


def test_sizing_by_risk_needs_a_stop_and_sizing_by_value_does_not(world: Scene) -> None:
    by_risk, by_value = world.subscriber("Theo"), world.subscriber("Vera", notional="0.1")
    world.signal(LONG)
    assert decision(world.execution(by_risk)) == ("DENIED", "stop_missing")
    assert decision(world.execution(by_value)) == ("TAKEN", "")
    assert world.position(by_value).quantity == Decimal("0.25")
    assert statuses(world.orders(by_value)) == [("ENTRY", "FILLED")]


def test_it_denies_a_short_where_the_instrument_cannot_be_sold_short(world: Scene) -> None:
    coins = world.instrument("BTC-USD", "40000", kind=InstrumentKind.SPOT)
    theo = world.subscriber(instrument=coins, leverage="1")
    world.signal(entry(SHORT, "40400", "39200"))
    denied = world.execution(theo)
    assert decision(denied) == ("DENIED", "short_unsupported")
    assert denied.numbers == {"instrument": "paper:BTC-USD", "kind": "SPOT"}


def test_it_denies_a_leverage_that_the_venue_has_withdrawn(world: Scene) -> None:
    theo = world.subscriber(leverage="10")
    Instrument.objects.filter(pk=world.btc.pk).update(max_leverage=5)
    forget_instruments()
    forget_schedules()
    world.signal(BUY)
    denied = world.execution(theo)
    assert decision(denied) == ("DENIED", "leverage")
    assert denied.numbers == {"leverage": "10", "limit": "5", "layer": "venue"}


# --- Another instrument --------------------------------------------------------------------------


def test_levels_travel_as_ratios_to_the_instrument_that_is_traded(world: Scene) -> None:
    indira = rupee(world, "3000000")
    world.signal(BUY)
    taken = world.execution(indira)
    assert decision(taken) == ("TAKEN", "")
    assert (taken.price, taken.stop, taken.target) == (Decimal(3_000_000), Decimal(2_970_000), Decimal(3_060_000))


def test_it_denies_when_the_markets_stand_more_than_one_per_cent_apart(world: Scene) -> None:
    indira = rupee(world, "3036000")
    world.signal(BUY)
    denied = world.execution(indira)
    assert decision(denied) == ("DENIED", "basis")
    assert denied.numbers == {"basis": "0.012", "limit": "0.01", "reference": "40000", "price": "3036000"}


def test_a_basis_of_less_than_one_per_cent_is_one_market(world: Scene) -> None:
    indira = rupee(world, "2972000")
    world.signal(BUY)
    assert decision(world.execution(indira)) == ("TAKEN", "")
    assert world.execution(indira).stop == Decimal(2_942_280)


def test_it_denies_without_an_exchange_rate(world: Scene) -> None:
    twin = world.instrument("BTC-PERP-INR", "3000000", quote="INR", tick="5")
    indira = world.subscriber("Indira", deposit="7500000", capital="7500000", instrument=twin)
    world.signal(BUY)
    denied = world.execution(indira)
    assert decision(denied) == ("DENIED", "basis")
    assert denied.numbers == {"problem": "no exchange rate USD/INR"}


def test_it_denies_where_no_pair_joins_the_two_instruments_any_more(world: Scene) -> None:
    indira, theo = rupee(world, "3000000"), world.subscriber("Theo")
    Instrument.objects.filter(pk=indira.instrument_id).update(pair=None)
    forget_instruments()
    world.signal(BUY)
    denied = world.execution(indira)
    assert decision(denied) == ("DENIED", "pair")
    assert denied.numbers == {"signal_instrument": "paper:BTC-PERP", "traded_instrument": "paper:BTC-PERP-INR"}
    assert world.execution(theo).status == "TAKEN"


def test_it_denies_when_the_account_holds_another_currency(world: Scene) -> None:
    theo = world.subscriber()
    Account.objects.filter(pk=theo.account_id).update(currency="EUR")
    world.signal(BUY)
    denied = world.execution(theo)
    assert decision(denied) == ("DENIED", "currency")
    assert denied.numbers == {"account": "EUR", "instrument": "USD"}


def test_it_denies_on_a_price_that_is_old(world: Scene) -> None:
    theo = world.subscriber()
    seen = LatestPrice.objects.get(instrument=world.btc).at
    world.later(91)
    world.signal(BUY)
    denied = world.execution(theo)
    assert decision(denied) == ("DENIED", "basis")
    assert denied.numbers == {"problem": "no fresh price of the traded instrument", "at": str(seen)}


def test_it_denies_where_there_is_no_price_at_all(world: Scene) -> None:
    theo = world.subscriber()
    LatestPrice.objects.filter(instrument=world.btc).delete()
    world.signal(BUY)
    assert decision(world.execution(theo)) == ("DENIED", "basis")
    assert world.execution(theo).numbers["at"] is None


# --- Limits --------------------------------------------------------------------------------------


def lose(world: Scene) -> None:
    """A trade that ends at its stop, which costs 1,000 and fees, and a market that is where it was."""
    world.signal(BUY)
    world.minute(low="39500", close="40000")


@pytest.mark.parametrize(
    ("limits", "kind", "limit"),
    [
        (Limits(daily_loss_fraction=Decimal("0.01")), "daily_loss_fraction", "1000"),
        (Limits(daily_loss_amount=Decimal(700)), "daily_loss_amount", "700"),
        (Limits(daily_loss_amount=Decimal(700), daily_loss_fraction=Decimal("0.005")), "daily_loss_fraction", "500"),
    ],
)
def test_it_denies_when_the_daily_loss_limit_is_hit(world: Scene, limits: Limits, kind: str, limit: str) -> None:
    theo, free = world.subscriber("Theo", limits=limits), world.subscriber("Felix")
    lose(world)
    world.signal(BUY)
    denied = world.execution(theo)
    assert decision(denied) == ("DENIED", "daily_loss")
    lost = world.trade(theo).net
    assert lost == Decimal("-1099.5")  # 2.5 × 400, and a fee of 0.0005 on 40,000 and on 39,600
    assert denied.numbers == {"result_today": "-1099.5", "limit": limit, "kind": kind, "layer": "subscription"}
    assert world.execution(free).status == "TAKEN"


def test_an_open_loss_counts_towards_the_daily_loss(world: Scene, eth: Instrument) -> None:
    theo = world.subscriber(limits=Limits(daily_loss_amount=Decimal(500)))
    world.signal(BUY)
    world.minute(close="39700")
    world.signal(EXIT_LONG, entry(SHORT, "40100", "38900"))
    assert decision(world.execution(theo)) == ("DENIED", "daily_loss")


def test_a_new_day_starts_without_losses_and_entries(world: Scene) -> None:
    theo = world.subscriber(limits=Limits(daily_loss_fraction=Decimal("0.01"), daily_entries=1))
    lose(world)
    world.later(timedelta(hours=12).total_seconds())
    world.minute()
    world.signal(BUY)
    assert world.execution(theo).status == "TAKEN"


def test_it_denies_more_entries_a_day_than_allowed(world: Scene) -> None:
    theo = world.subscriber(limits=Limits(daily_entries=1))
    lose(world)
    world.signal(BUY)
    denied = world.execution(theo)
    assert decision(denied) == ("DENIED", "daily_entries")
    assert denied.numbers == {"current": 1, "limit": "1", "layer": "subscription"}


def test_the_platforms_layer_binds_where_the_subscribers_is_wider(
    world: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signalist.execution.entries.PLATFORM", Limits(daily_entries=1))
    theo = world.subscriber(limits=Limits(daily_entries=5))
    lose(world)
    world.signal(BUY)
    assert world.execution(theo).numbers == {"current": 1, "limit": "1", "layer": "platform"}


def test_it_denies_more_open_positions_than_allowed(world: Scene, eth: Instrument) -> None:
    account, other = world.account("Theo"), world.strategy("momentum", eth)
    world.subscriber(account=account)
    second = world.subscriber(account=account, schedule=other, limits=Limits(open_positions=1))
    world.signal(BUY)
    world.minute()
    world.signal(entry(LONG, "1980", "2040"), schedule=other)
    denied = world.execution(second)
    assert decision(denied) == ("DENIED", "open_positions")
    assert denied.numbers == {"current": 1, "limit": "1", "layer": "subscription"}


def test_an_entry_under_way_takes_its_place_already(world: Scene, eth: Instrument) -> None:
    account, other = world.account("Theo"), world.strategy("momentum", eth)
    first = world.subscriber(account=account, limits=Limits(open_positions=1))
    second = world.subscriber(account=account, schedule=other, limits=Limits(open_positions=1))
    world.signal(BUY, wait=True)
    world.signal(entry(LONG, "1980", "2040"), schedule=other)
    assert decision(world.execution(first)) == ("TAKEN", "")
    assert decision(world.execution(second)) == ("DENIED", "open_positions")


def test_it_resizes_to_the_exposure_that_is_left(world: Scene, eth: Instrument) -> None:
    account, other = world.account("Theo"), world.strategy("momentum", eth)
    world.subscriber(account=account, notional="0.3")
    second = world.subscriber(account=account, schedule=other, limits=Limits(exposure_fraction=Decimal("0.5")))
    world.signal(LONG)
    world.signal(entry(LONG, "1980", "2040"), schedule=other)
    resized = world.execution(second)
    assert decision(resized) == ("RESIZED", "exposure")
    equity = Decimal(100_000) - 15  # the fee of the first entry
    assert resized.quantity == ((equity / 2 - 30_000) / 2000).quantize(Decimal("0.00001"), "ROUND_DOWN")
    assert (resized.numbers["limit"], resized.numbers["layer"]) == ("0.5", "subscription")
    assert resized.numbers["asked"] == "50"


def test_it_denies_when_no_exposure_is_left(world: Scene, eth: Instrument) -> None:
    account, other = world.account("Theo"), world.strategy("momentum", eth)
    world.subscriber(account=account, notional="0.6")
    second = world.subscriber(account=account, schedule=other, limits=Limits(exposure_fraction=Decimal("0.5")))
    world.signal(LONG)
    world.signal(entry(LONG, "1980", "2040"), schedule=other)
    assert decision(world.execution(second)) == ("DENIED", "exposure")
    assert world.orders(second) == []


def test_it_resizes_to_the_largest_position(world: Scene) -> None:
    theo = world.subscriber(limits=Limits(position_fraction=Decimal("0.2")))
    world.signal(BUY)
    resized = world.execution(theo)
    assert decision(resized) == ("RESIZED", "position_size")
    assert world.position(theo).quantity == Decimal("0.5")


# --- Who is asked at all -------------------------------------------------------------------------


def test_a_paused_subscription_gets_no_entries_and_keeps_its_exits(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    pause(theo, world.clock.now())
    world.minute()
    world.signal(EXIT_LONG)
    assert decision(world.execution(theo)) == ("TAKEN", "")
    assert world.trade(theo).exit_type == "SIGNAL"
    world.minute()
    world.signal(BUY)
    assert Execution.objects.filter(subscription=theo).count() == 2
    resume(theo, world.clock.now())
    world.minute()
    world.signal(BUY)
    assert world.position(theo).is_open


def test_one_that_is_paused_before_its_entry_is_decided_skips_it(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY, wait=True)
    world.stage(fan_out)
    pause(theo, world.clock.now())
    world.settle()
    assert decision(world.execution(theo)) == ("SKIPPED", "paused")


def test_one_who_subscribed_after_the_close_has_no_part_in_its_signal(world: Scene) -> None:
    theo, late = world.subscriber("Theo"), world.subscriber("Lara")
    Subscription.objects.filter(pk=late.pk).update(started_at=world.clock.now() + timedelta(seconds=1))
    world.signal(BUY)
    assert world.execution(theo).status == "TAKEN"
    assert not Execution.objects.filter(subscription=late).exists()


def test_a_repeated_fan_out_adds_nothing(world: Scene) -> None:
    theo = world.subscriber()
    (signal,) = world.signal(BUY)
    Signal.objects.filter(pk=signal.pk).update(fanned_out_at=None)
    assert world.stage(fan_out) == 0
    world.settle()
    assert Execution.objects.filter(subscription=theo).count() == 1
    assert len(world.orders(theo, "ENTRY")) == 1


def test_a_second_entry_into_the_same_position_is_skipped(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    world.minute()
    world.signal(BUY)
    skipped = world.execution(theo)
    assert decision(skipped) == ("SKIPPED", "position_open")
    assert skipped.numbers == {"quantity": "2.5"}


def test_an_entry_against_an_open_position_is_skipped(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    world.minute()
    world.signal(entry(SHORT, "40400", "39200"))
    assert decision(world.execution(theo)) == ("SKIPPED", "opposite_open")
    assert world.net(theo) == Decimal("2.5")


# --- Deadlines and switches ----------------------------------------------------------------------


def test_an_entry_past_its_deadline_is_skipped_and_not_filled_late(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY, wait=True)
    world.later(12)
    world.settle()
    late = world.execution(theo)
    assert decision(late) == ("SKIPPED", "late")
    assert late.numbers == {"seconds_past_deadline": "2.0"}
    assert world.orders(theo) == []


def test_an_entry_that_was_decided_and_not_sent_in_time_expires(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY, wait=True)
    world.stage(fan_out)
    world.stage(decide)
    world.later(12)
    world.settle()
    expired = world.order(theo, "ENTRY")
    assert (expired.status, expired.reason) == ("EXPIRED", "past its deadline before it was sent")
    assert world.venue.asked("place") == []
    assert Reservation.objects.get(order=expired).released


def test_a_late_exit_is_still_an_exit(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    world.minute()
    world.signal(EXIT_LONG, wait=True)
    world.later(600)
    world.settle()
    assert world.trade(theo).exit_type == "SIGNAL"


def switch(subscription: Subscription, state: AccountState) -> None:
    Account.objects.filter(pk=subscription.account_id).update(state=state, state_reason="by hand")


def test_a_reducing_account_takes_exits_only(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    switch(theo, AccountState.REDUCING)
    world.minute()
    world.signal(EXIT_LONG)
    assert world.trade(theo).exit_type == "SIGNAL"
    world.minute()
    world.signal(BUY)
    denied = world.execution(theo)
    assert decision(denied) == ("DENIED", "kill_switch")
    assert denied.numbers == {"layer": "account", "state": "REDUCING", "reason": "by hand", "by": ""}


def test_a_halted_account_takes_nothing_and_keeps_its_stop(world: Scene) -> None:
    theo, vera = world.subscriber("Theo"), world.subscriber("Vera")
    world.signal(BUY)
    switch(theo, AccountState.HALTED)
    world.minute()
    world.signal(EXIT_LONG)
    assert decision(world.execution(theo)) == ("PENDING", "")
    assert world.resting(theo) == {"STOP": Decimal("2.5"), "TARGET": Decimal("2.5")}
    assert world.trade(vera).exit_type == "SIGNAL"


def test_an_entry_of_an_account_that_was_halted_meanwhile_is_not_sent(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY, wait=True)
    world.stage(fan_out)
    world.stage(decide)
    switch(theo, AccountState.HALTED)
    world.settle()
    dropped = world.order(theo, "ENTRY")
    assert (dropped.status, dropped.reason) == ("CANCELLED", "kill switch, account HALTED: by hand")
    assert world.venue.asked("place") == []


def test_an_orders_name_is_made_from_signal_and_subscription_and_from_no_database_id(world: Scene) -> None:
    theo = world.subscriber()
    (signal,) = world.signal(BUY)
    names = {order.leg: order.client_order_id for order in world.orders(theo)}
    key = f"{signal.public_id}:{theo.public_id}"
    assert names == {leg: client_order_id(f"{key}:{leg}:0") for leg in ("ENTRY", "STOP", "TARGET")}
    assert signal.public_id == uuid.uuid5(NAMESPACE, "crossover@1|paper:BTC-PERP|2024-05-06T12:01:00Z_1m|LONG")


def test_terms_that_cannot_be_deny_their_own_entry_and_nobody_else_s(world: Scene) -> None:
    theo, vera = world.subscriber("Theo"), world.subscriber("Vera")
    Subscription.objects.filter(pk=theo.pk).update(target_ladder="not a ladder")
    world.signal(BUY)
    assert decision(world.execution(theo)) == ("DENIED", "faulty")
    assert world.execution(vera).status == "TAKEN"
