"""What a position's page says of its protection: software stops with their latency, the plan, and every move of the stop."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import pytest

from signalist.domain.orders import OrderType
from signalist.domain.protection import Plan, Rung
from signalist.trading.command_records import WORDS
from signalist.trading.models import InstructionKind
from signalist.venues.paper.venue import CAPABILITIES
from tests.cast import Cast
from tests.flows.scene import CALM, LONG, entry
from tests.pages.acme import Acme, acme_trades

PLAIN_TYPES = frozenset({OrderType.MARKET, OrderType.LIMIT})
BUY = entry(LONG, "39600", "42000")
PLAN = Plan(break_even=Decimal(1), trail=Decimal("0.02"), ladder=(Rung(Decimal(2), Decimal("0.5")),), minutes=90)


@pytest.fixture
def acme(transactional_db: None, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> Iterator[Acme]:
    """A venue that keeps no stops."""
    world = {
        "market": replace(CALM, order_types=PLAIN_TYPES),
        "capabilities": replace(CAPABILITIES, order_types=PLAIN_TYPES),
    }
    with acme_trades(cast, monkeypatch, **world) as made:
        yield made


def test_a_software_stop_is_called_one(acme: Acme) -> None:
    desk = acme.follower()
    acme.scene.signal(BUY)
    page = acme.text(f"/positions/{acme.scene.position(desk).pk}/")
    assert "Software stop" in page
    assert "watched by the engine" in page
    assert "1 of 1 1 by a software stop" in acme.text("/positions/")


def test_how_long_a_software_stop_took_is_said(acme: Acme) -> None:
    desk = acme.follower()
    acme.scene.signal(BUY)
    acme.scene.price("39500")
    acme.scene.later(0.25)
    acme.scene.settle()
    assert "sent 250 ms later" in acme.text(f"/positions/{acme.scene.position(desk).pk}/")


def test_an_old_price_is_bad_for_a_software_stop(acme: Acme) -> None:
    desk = acme.follower()
    acme.scene.signal(BUY)
    acme.scene.later(91)
    acme.scene.poll()
    page = acme.html(f"/positions/{acme.scene.position(desk).pk}/")
    assert '<span class="state bad">Software stop, old price</span>' in page
    assert "cannot work before it is back" in page


def test_the_plan_and_every_move_of_the_stop_stand_there(acme: Acme) -> None:
    desk = acme.follower(plan=PLAN)
    acme.scene.signal(BUY)
    acme.scene.price("40400")
    acme.scene.settle()
    page = acme.text(f"/positions/{acme.scene.position(desk).pk}/")
    for said in (
        "Stop to break-even after 1 R",
        "Trailing stop 2.00%",
        "Target 1 50.00% at 2 R",
        "Closed after 90 min",
    ):
        assert said in page
    assert "break-even 39,600.0 40,060.0 40,400.0" in page


def test_a_gain_of_ten_is_written_as_ten(acme: Acme) -> None:
    desk = acme.follower(plan=replace(PLAN, break_even=Decimal(10), ladder=()))
    acme.scene.signal(BUY)
    assert "Stop to break-even after 10 R" in acme.text(f"/positions/{acme.scene.position(desk).pk}/")


def test_a_position_that_lived_out_its_time_stands_among_the_commands(acme: Acme) -> None:
    acme.follower(plan=Plan(minutes=1))
    acme.scene.signal(BUY)
    acme.scene.minute()
    acme.scene.minute()
    acme.scene.settle()
    assert "Time exit Desk the engine" in acme.text("/commands/")


def test_every_kind_of_command_has_its_word() -> None:
    assert set(WORDS) == set(InstructionKind)
