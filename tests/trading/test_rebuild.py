"""`rebuild`: every value that is not what the fills make of it is found and named, and what can be written is written right."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection

from signalist.trading.models import DailyResult, Fill, Order, Position, Reservation, Subscription, Trade
from signalist.trading.rebuild import differences, rebuild
from tests.flows.commands import manage, of_the_test_run
from tests.flows.scene import LONG, Scene, entry, opened

BUY = entry(LONG, "39600", "40800")
WRONG = Decimal("12345.6789")


@pytest.fixture
def scene(transactional_db: None) -> Iterator[Scene]:
    """A market in which Theo has closed a trade and holds another position, and nothing is wrong yet."""
    with opened() as world:
        world.subscriber()
        world.minute()
        world.signal(BUY)
        world.minute(high="40900", close="40000")
        world.signal(BUY)
        world.minute()
        assert (Trade.objects.count(), Position.objects.filter(is_open=True).count()) == (1, 1)
        yield world


@pytest.fixture
def theo(scene: Scene) -> Subscription:
    return Subscription.objects.get()


def found() -> list[tuple[str, str]]:
    """(model, field) of every difference."""
    return [(type(difference.row).__name__, difference.name) for difference in differences()]


def test_true_books_have_no_differences(scene: Scene) -> None:
    assert found() == []
    assert rebuild() == 0


PLANTED: list[tuple[type[Any], dict[str, object], str, object]] = [
    (Order, {"leg": "ENTRY"}, "filled", WRONG),
    (Order, {"leg": "ENTRY"}, "filled_value", WRONG),
    (Order, {"leg": "TARGET", "status": "FILLED"}, "fees", WRONG),
    (Position, {"is_open": True}, "entry_quantity", WRONG),
    (Position, {"is_open": True}, "quantity", WRONG),
    (Position, {"is_open": True}, "entry_value", WRONG),
    (Position, {"is_open": False}, "exit_quantity", WRONG),
    (Position, {"is_open": False}, "exit_value", WRONG),
    (Position, {"is_open": False}, "fees", WRONG),
    (Position, {"is_open": True}, "direction", "SHORT"),
    (Position, {"is_open": True}, "is_open", False),
    (Trade, {}, "quantity", WRONG),
    (Trade, {}, "entry_price", WRONG),
    (Trade, {}, "exit_price", WRONG),
    (Trade, {}, "gross", WRONG),
    (Trade, {}, "fees", WRONG),
    (Trade, {}, "net", WRONG),
    (DailyResult, {}, "trades", 7),
    (DailyResult, {}, "wins", 7),
    (DailyResult, {}, "gross", WRONG),
    (DailyResult, {}, "fees", WRONG),
    (DailyResult, {}, "net", WRONG),
    (Reservation, {"order__position__is_open": True}, "released", False),
]


def test_a_planted_difference_is_found_and_repaired(scene: Scene, subtests: pytest.Subtests) -> None:
    """One after the other in the same world, which each leaves as it was."""
    for model, which, name, wrong in PLANTED:
        with subtests.test(f"{model.__name__}.{name}"):
            _is_found_and_repaired(model, which, name, wrong)


def _is_found_and_repaired(model: type[Any], which: dict[str, object], name: str, wrong: object) -> None:
    row = model.objects.filter(**which).earliest("pk")
    right = getattr(row, name)
    model.objects.filter(pk=row.pk).update(**{name: wrong})
    assert found() == [(model.__name__, name)]
    assert rebuild() == 1
    row.refresh_from_db()
    assert getattr(row, name) == right
    assert found() == []


def test_a_difference_says_what_is_stored_and_what_was_computed(scene: Scene) -> None:
    trade = Trade.objects.get()
    Trade.objects.update(net=WRONG)
    (difference,) = differences()
    assert str(difference) == f"Trade {trade.pk} net: stored 12345.6789, computed 1899"
    rebuild()


def test_several_differences_of_one_row_are_repaired_together(scene: Scene) -> None:
    Trade.objects.update(net=WRONG, gross=WRONG, fees=WRONG)
    assert len(found()) == 3
    assert rebuild() == 3
    assert found() == []


# --- What can be named and not written ------------------------------------------------------------


def test_a_trade_that_is_missing_is_named(scene: Scene) -> None:
    position = Trade.objects.get().position_id
    Trade.objects.all().delete()
    texts = [str(difference) for difference in differences()]
    assert f"Trade None trade: stored None, computed one for position {position}" in texts
    rebuild()
    assert f"Trade None trade: stored None, computed one for position {position}" in map(str, differences())
    scene.books_agree = False


def test_a_trade_of_a_position_that_is_open_is_named(scene: Scene) -> None:
    closed = Position.objects.get(is_open=False)
    last = Fill.objects.filter(position=closed).latest("pk")
    Fill.objects.filter(pk=last.pk).delete()
    assert ("Trade", "position") in found()
    scene.books_agree = False


def test_a_fill_without_a_position_is_named(scene: Scene) -> None:
    Fill.objects.filter(pk=Fill.objects.latest("pk").pk).update(position=None)
    assert ("Fill", "position") in found()
    scene.books_agree = False


def test_an_order_that_is_filled_without_fills_is_named(scene: Scene) -> None:
    stop = Order.objects.get(leg="STOP", status="WORKING")
    Order.objects.filter(pk=stop.pk).update(status="FILLED")
    assert found() == [("Order", "status")]
    scene.books_agree = False


def test_a_day_that_is_missing_is_named(scene: Scene) -> None:
    DailyResult.objects.all().delete()
    assert found() == [("DailyResult", "day")]
    scene.books_agree = False


def test_fills_that_make_no_position_are_named(scene: Scene) -> None:
    exit_fill = Fill.objects.get(order__leg="TARGET")
    Fill.objects.filter(pk=exit_fill.pk).update(quantity=WRONG)
    assert ("Position", "fills") in found()
    scene.books_agree = False


# --- The command ---------------------------------------------------------------------------------


def test_check_writes_nothing_and_ends_with_status_one(scene: Scene) -> None:
    Trade.objects.update(net=WRONG)
    said = manage(of_the_test_run(connection), "rebuild", "--check")
    assert (said.status, said.out.splitlines()[-1]) == (1, "1 differences.")
    assert Trade.objects.get().net == WRONG
    rebuild()


def test_without_check_it_repairs_and_says_so(scene: Scene) -> None:
    Trade.objects.update(net=WRONG)
    said = manage(of_the_test_run(connection), "rebuild")
    assert said.status == 0, said.err
    assert said.out.splitlines() == ["1 values rewritten.", "Everything agrees with the fills."]
    assert Trade.objects.get().net == 1899


def test_a_fill_that_was_never_folded_is_found(scene: Scene, theo: Subscription) -> None:
    fill = Fill.objects.filter(order__leg="ENTRY", position__is_open=True).get()
    fill.pk, fill.venue_fill_id, fill.quantity = None, "forgotten", Decimal("0.5")
    fill._state.adding = True
    fill.save()
    assert set(found()) >= {("Order", "filled"), ("Position", "entry_quantity"), ("Position", "quantity")}
    rebuild()
    assert scene.position(theo).quantity == Decimal("3.0")
    assert found() == []
