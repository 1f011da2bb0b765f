"""Orders that people give: decided by the same rules, protected the same way, changed and taken back, each command once."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from signalist.accounts.models import Account, AccountState
from signalist.domain.instruments import InstrumentKind
from signalist.domain.orders import OrderType
from signalist.domain.signals import Direction
from signalist.execution.actions import close, close_all, flatten
from signalist.trading.models import Execution, Instruction, Order, Position, Reservation, Subscription, Trade
from signalist.trading.order_actions import Change, cancel_order, modify_order
from signalist.trading.terms import Refused
from signalist.trading.tickets import Ticket, give
from signalist.venues.errors import Busy
from signalist.venues.errors import Refused as VenueRefused
from tests.flows.scene import HALVING, LONG, Scene, entry, opened, statuses

D = Decimal


def ticket(scene: Scene, **wanted: Any) -> Ticket:
    """Two and a half long at market, with a stop a hundredth below and a target above."""
    given: dict[str, Any] = {
        "quantity": D("2.5"),
        "stop": D(39_600),
        "target": D(40_800),
        "leverage": D(10),
        **wanted,
    }
    if given.get("risk_fraction") is not None:
        given["quantity"] = None
    return Ticket(scene.btc, given.pop("direction", Direction.LONG), given.pop("type", OrderType.MARKET), **given)


def order(scene: Scene, account: Account, key: str = "k", *, wait: bool = False, **wanted: Any) -> Subscription:
    """Give an order and let the engine work; the book by hand that it belongs to."""
    given = give(account, ticket(scene, **wanted), key, scene.clock.now(), None, nets=True)
    if not wait:
        scene.settle()
    assert given.subscription is not None
    return given.subscription


def resting(scene: Scene, account: Account, price: str = "39800", **wanted: Any) -> tuple[Subscription, Order]:
    """A limit order below the market, which rests."""
    book = order(scene, account, type=OrderType.LIMIT, price=D(price), **{"stop": D(39_000), **wanted})
    return book, scene.order(book, "ENTRY")


def change(scene: Scene, row: Order, key: str = "c", *, amends: bool = True, **wanted: str) -> Instruction:
    wanted_values = Change(**{name: D(value) for name, value in wanted.items()})
    return modify_order(row, wanted_values, key, scene.clock.now(), None, amends=amends)


# --- Opening -------------------------------------------------------------------------------------


def test_an_order_by_hand_is_filled_and_protected_like_any_other(scene: Scene) -> None:
    account = scene.account()
    book = order(scene, account)
    assert book.by_hand and book.strategy_id is None
    decided = scene.execution(book)
    assert (decided.status, decided.quantity, decided.signal_id) == ("TAKEN", D("2.5"), None)
    held = scene.position(book)
    assert (held.quantity, held.stop, held.target, held.leverage) == (D("2.5"), D(39_600), D(40_800), D(10))
    assert scene.resting(book) == {"STOP": D("2.5"), "TARGET": D("2.5")}
    scene.minute(low="39500", close="39500")
    assert scene.trade(book).exit_type == "STOP_LOSS"
    assert scene.net(book) == 0


def test_the_same_order_given_twice_is_one(scene: Scene) -> None:
    account = scene.account()
    book = order(scene, account, wait=True)
    assert order(scene, account) == book
    assert Instruction.objects.count() == Execution.objects.count() == 1
    assert len(scene.orders(book, "ENTRY")) == 1


def test_it_is_sized_by_the_risk_to_its_stop(scene: Scene) -> None:
    book = order(scene, scene.account(), risk_fraction=D("0.01"))
    decided = scene.execution(book)
    assert decided.quantity == D("2.5"), "1 % of 100,000 over a distance of 400"
    assert decided.numbers is not None and decided.numbers["loss_at_stop"] == "1000"


def test_what_the_balance_does_not_pay_for_is_made_smaller(scene: Scene) -> None:
    book = order(scene, scene.account(), quantity=D(100))
    decided = scene.execution(book)
    assert (decided.status, decided.rule) == ("RESIZED", "balance")
    assert decided.quantity is not None and D(20) < decided.quantity < D(25)


@pytest.mark.parametrize(
    ("wanted", "rule"),
    [
        ({"stop": D(40_100)}, "stop_side"),
        ({"direction": Direction.SHORT}, "stop_side"),
        ({"type": OrderType.LIMIT, "price": D(10_000), "stop": None}, "price_far"),
        ({"quantity": D("0.00001"), "stop": None, "target": None}, "minimum_size"),
    ],
)
def test_it_is_denied_by_the_rules_of_every_entry(scene: Scene, wanted: dict[str, Any], rule: str) -> None:
    book = order(scene, scene.account(), **wanted)
    decided = scene.execution(book)
    assert (decided.status, decided.rule) == ("DENIED", rule)
    assert scene.orders(book) == []


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"quantity": D("0.000001")}, "quantity"),
        ({"quantity": None}, "quantity"),
        ({"stop": D("39600.05")}, "stop"),
        ({"stop": None, "risk_fraction": D("0.01")}, "stop"),
        ({"risk_fraction": D("0.6")}, "risk"),
        ({"price": D(39_000)}, "price"),
        ({"type": OrderType.LIMIT}, "price"),
        ({"type": OrderType.STOP}, "type"),
        ({"leverage": D(21)}, "leverage"),
    ],
)
def test_what_cannot_be_meant_is_refused_at_once(scene: Scene, wanted: dict[str, Any], field: str) -> None:
    with pytest.raises(Refused) as refused:
        order(scene, scene.account(), **wanted)
    assert refused.value.field == field
    assert not Instruction.objects.exists() and not Subscription.objects.exists()


def test_spot_is_not_sold_short(scene: Scene) -> None:
    spot = scene.instrument("BTC-SPOT", "40000", kind=InstrumentKind.SPOT)
    with pytest.raises(Refused, match="cannot be sold short"):
        give(
            scene.account(),
            replace(ticket(scene, direction=Direction.SHORT), instrument=spot),
            "k",
            scene.clock.now(),
            None,
            nets=True,
        )


def test_an_order_that_was_not_decided_in_time_is_skipped(scene: Scene) -> None:
    book = order(scene, scene.account(), wait=True)
    scene.later(61)
    scene.poll()
    assert (scene.execution(book).status, scene.execution(book).rule) == ("SKIPPED", "late")
    assert scene.orders(book) == []


def test_an_account_that_is_reducing_opens_nothing(scene: Scene) -> None:
    account = scene.account()
    Account.objects.filter(pk=account.pk).update(state=AccountState.REDUCING)
    with pytest.raises(Refused, match="REDUCING"):
        order(scene, account)


def test_a_venue_that_nets_has_room_for_one_owner_of_an_instrument(scene: Scene) -> None:
    follower = scene.subscriber()
    with pytest.raises(Refused, match="follows crossover there"):
        order(scene, follower.account)
    other = scene.account("Olivia")
    order(scene, other)
    with pytest.raises(Refused, match="an order by hand"):
        scene.subscriber(account=other)
    waiting = scene.account("Vera")
    order(scene, waiting, key="w", wait=True)
    with pytest.raises(Refused, match="an order by hand"):
        scene.subscriber(account=waiting)


def test_the_book_by_hand_is_free_for_a_subscription_once_it_is_flat(scene: Scene) -> None:
    account = scene.account()
    book = order(scene, account)
    close(scene.position(book), "x", "enough", scene.clock.now())
    scene.settle()
    follower = scene.subscriber(account=account)
    scene.signal(entry(LONG, "39600", "40800"))
    assert scene.position(follower).is_open


# --- Limits --------------------------------------------------------------------------------------


def test_a_limit_rests_and_its_position_opens_when_the_market_comes(scene: Scene) -> None:
    book, row = resting(scene, scene.account())
    assert (row.type, row.price, row.status) == ("LIMIT", D(39_800), "WORKING")
    assert not Position.objects.exists()
    scene.minute(low="39700", close="39900")
    held = scene.position(book)
    assert held.holding().average_entry == D(39_800)
    assert scene.resting(book)["STOP"] == D("2.5")


def test_an_order_that_rests_is_taken_back_and_its_money_is_free_again(scene: Scene) -> None:
    book, row = resting(scene, scene.account())
    assert Reservation.objects.filter(released=False).count() == 1
    for _ in range(2):
        cancel_order(row, "c", scene.clock.now(), None)
    scene.settle()
    assert statuses(scene.orders(book)) == [("ENTRY", "CANCELLED")]
    assert not Reservation.objects.filter(released=False).exists()
    assert Instruction.objects.filter(kind="CANCEL").count() == 1
    assert scene.resting(book) == {}
    with pytest.raises(Refused, match="ended already"):
        cancel_order(row, "another", scene.clock.now(), None)


def test_a_cancelled_order_keeps_what_it_has_filled(transactional_db: None) -> None:
    with opened(HALVING) as scene:
        book = order(scene, scene.account(), wait=True)
        scene.settle()
        row = scene.order(book, "ENTRY")
        assert row.status == "PARTIAL"
        cancel_order(row, "c", scene.clock.now(), None)
        scene.settle()
        row = scene.order(book, "ENTRY")
        assert (row.status, row.filled > 0, row.filled < row.quantity) == ("CANCELLED", True, True)
        assert scene.position(book).quantity == row.filled
        assert scene.resting(book)["STOP"] == row.filled
        (said,) = [e for e in scene.events("instruction_given") if e["kind"] == "CANCEL"]
        assert (D(said["filled"]), D(said["remaining"])) == (row.filled, row.quantity - row.filled)


# --- Changing ------------------------------------------------------------------------------------


def test_a_smaller_quantity_is_changed_in_place(scene: Scene) -> None:
    book, row = resting(scene, scene.account())
    for _ in range(2):
        change(scene, row, quantity="1")
    scene.settle()
    row = scene.order(book, "ENTRY")
    assert (row.status, row.quantity, row.wanted_quantity) == ("WORKING", D(1), None)
    assert len(scene.orders(book)) == 1
    assert scene.resting(book) == {"ENTRY": D(1)}


def test_an_entry_that_the_venue_will_not_change_stays_as_it_is(scene: Scene) -> None:
    book, row = resting(scene, scene.account())
    scene.venue.refuses(VenueRefused("Amending is off today."), "amend", leg="ENTRY")
    change(scene, row, quantity="1")
    scene.settle()
    row = scene.order(book, "ENTRY")
    assert (row.status, row.quantity, row.wanted_quantity, row.cancel_wanted) == ("WORKING", D("2.5"), None, False)
    assert "Amending is off today" in row.reason


@pytest.mark.parametrize("wanted", [{"price": "39850"}, {"quantity": "3"}, {"quantity": "1", "price": "39850"}])
def test_another_price_cancels_confirms_and_places_anew(scene: Scene, wanted: dict[str, str]) -> None:
    book, row = resting(scene, scene.account())
    change(scene, row, **wanted)
    scene.settle()
    old, new = scene.orders(book, "ENTRY")
    assert (old.status, new.status) == ("CANCELLED", "WORKING")
    assert (new.quantity, new.price) == (D(wanted.get("quantity", "2.5")), D(wanted.get("price", "39800")))
    assert scene.venue.asked("place", "cancel") == [("place", "ENTRY"), ("cancel", "ENTRY"), ("place", "ENTRY")]
    assert Reservation.objects.filter(released=False).count() == 1
    scene.minute(low="39700", close="39900")
    held = scene.position(book)
    assert (held.quantity, held.stop) == (new.quantity, D(39_000))


def test_a_venue_that_cannot_amend_replaces_a_smaller_quantity_too(scene: Scene) -> None:
    book, row = resting(scene, scene.account())
    change(scene, row, quantity="1", amends=False)
    scene.settle()
    assert [(o.status, o.quantity) for o in scene.orders(book, "ENTRY")] == [("CANCELLED", D("2.5")), ("WORKING", D(1))]


def test_the_new_order_waits_until_the_cancel_is_confirmed(scene: Scene) -> None:
    book, row = resting(scene, scene.account())
    scene.venue.refuses(Busy("Not now.", after=5), "cancel", leg="ENTRY")
    change(scene, row, price="39850")
    scene.settle()
    assert statuses(scene.orders(book)) == [("ENTRY", "WORKING")]
    assert scene.execution(book).status == "PENDING"
    scene.later(6)
    scene.poll()
    assert statuses(scene.orders(book)) == [("ENTRY", "CANCELLED"), ("ENTRY", "WORKING")]


def test_an_order_that_fills_before_its_cancel_arrives_is_not_placed_again(scene: Scene) -> None:
    book, row = resting(scene, scene.account())
    change(scene, row, price="39850")

    async def fills() -> None:
        bar = scene.exchange
        await bar.on_bars([_low(scene, "39700")])

    scene.venue.before(fills, "cancel", leg="ENTRY")
    scene.settle()
    scene.poll()
    assert [(o.leg, o.status) for o in scene.orders(book, "ENTRY")] == [("ENTRY", "FILLED")]
    assert (scene.execution(book).status, scene.execution(book).rule) == ("SKIPPED", "filled")
    assert scene.position(book).quantity == D("2.5") == scene.net(book)


def _low(scene: Scene, low: str) -> Any:
    from signalist.domain.matching import Bar
    from signalist.venues.paper.exchange import SymbolBar

    now = scene.clock.now()
    return SymbolBar(scene.btc.symbol, Bar(D(40_000), D(40_000), D(low)), now, now)


def test_what_is_filled_counts_towards_the_changed_quantity(transactional_db: None) -> None:
    with opened(HALVING) as scene:
        book = order(scene, scene.account())
        row = scene.order(book, "ENTRY")
        assert row.status == "PARTIAL"
        Order.objects.filter(pk=row.pk).update(type="LIMIT", price=D(40_000))
        change(scene, Order.objects.get(pk=row.pk), price="40010")
        scene.settle()
        old, new = scene.orders(book, "ENTRY")
        assert (old.status, new.quantity) == ("CANCELLED", D("2.5") - old.filled)
        assert new.position_id == old.position_id
        scene.settle()
        scene.minute(low="39900")
        assert scene.position(book).quantity == D("2.5") == scene.net(book)
        assert scene.resting(book)["STOP"] == D("2.5")
        assert Position.objects.count() == 1


def test_a_stop_is_moved_in_place(scene: Scene) -> None:
    book = order(scene, scene.account())
    for _ in range(2):
        change(scene, scene.orders(book, "STOP")[0], trigger="39800")
    scene.settle()
    (stop,) = scene.orders(book, "STOP")
    assert (stop.status, stop.trigger) == ("WORKING", D(39_800))
    assert scene.position(book).stop == D(39_800)
    asked = [(method, leg) for method, leg in scene.venue.asked("place", "cancel", "amend") if leg == "STOP"]
    assert asked == [("place", "STOP"), ("amend", "STOP")]
    scene.minute(low="39790", close="39790")
    assert scene.trade(book).exit_type == "STOP_LOSS"


def test_a_target_is_moved_or_taken_away(scene: Scene) -> None:
    book = order(scene, scene.account())
    change(scene, scene.order(book, "TARGET"), trigger="41000")
    scene.settle()
    assert scene.order(book, "TARGET").trigger == D(41_000)
    cancel_order(scene.order(book, "TARGET"), "away", scene.clock.now(), None)
    scene.settle()
    assert scene.resting(book) == {"STOP": D("2.5")}
    assert scene.position(book).target is None
    scene.minute(high="42000")
    assert scene.position(book).is_open


def test_a_stop_is_never_taken_away(scene: Scene) -> None:
    book = order(scene, scene.account())
    with pytest.raises(Refused, match="A stop is not taken away"):
        cancel_order(scene.order(book, "STOP"), "c", scene.clock.now(), None)
    assert scene.resting(book)["STOP"] == D("2.5")


@pytest.mark.parametrize(
    ("leg", "trigger", "words"),
    [
        ("STOP", "40100", "close the position at once"),
        ("TARGET", "39900", "close the position at once"),
        ("STOP", "39600", "stands already"),
        ("STOP", "39700.01", "multiple of 0.1"),
    ],
)
def test_a_level_that_makes_no_sense_is_refused(scene: Scene, leg: str, trigger: str, words: str) -> None:
    book = order(scene, scene.account())
    with pytest.raises(Refused, match=words):
        change(scene, scene.order(book, leg), trigger=trigger)
    assert not Instruction.objects.filter(kind="AMEND").exists()


# --- Closing many --------------------------------------------------------------------------------


def test_everything_of_an_account_is_closed_and_its_strategies_go_on(scene: Scene) -> None:
    follower = scene.subscriber()
    eth = scene.instrument("ETH-PERP", "2000", pair="ETH/USD")
    by_hand = replace(ticket(scene, stop=D(1900), target=None), instrument=eth)
    give(follower.account, by_hand, "k", scene.clock.now(), None, nets=True)
    scene.signal(entry(LONG, "39600", "40800"))
    assert Position.objects.filter(is_open=True).count() == 2
    for _ in range(2):
        close_all(follower.account, "all", "enough", scene.clock.now())
    scene.settle()
    assert not Position.objects.filter(is_open=True).exists()
    assert {trade.exit_type for trade in Trade.objects.all()} == {"MANUAL"}
    assert Instruction.objects.filter(kind="CLOSE").count() == 1
    follower.refresh_from_db()
    assert follower.status == "ACTIVE"


def test_a_flattened_account_holds_nothing_and_takes_nothing_new(scene: Scene) -> None:
    follower = scene.subscriber()
    scene.signal(entry(LONG, "39600", "40800"))
    eth = scene.instrument("ETH-PERP", "2000", pair="ETH/USD")
    limit = replace(ticket(scene, type=OrderType.LIMIT, price=D(1990), stop=D(1900), target=None), instrument=eth)
    give(follower.account, limit, "k", scene.clock.now(), None, nets=True)
    scene.settle()
    flatten(follower.account, "f", "out", scene.clock.now(), pausing=True)
    scene.settle()
    assert not Position.objects.filter(is_open=True).exists()
    assert not Order.objects.filter(status__in=["CREATED", "SENDING", "WORKING", "PARTIAL", "UNKNOWN"]).exists()
    follower.refresh_from_db()
    assert follower.status == "PAUSED"
    scene.later(60)
    scene.price("40000")
    scene.signal(entry(LONG, "39600", "40800"))
    assert Execution.objects.filter(subscription=follower, kind="LONG", status="TAKEN").count() == 1
    assert not Position.objects.filter(is_open=True).exists()
