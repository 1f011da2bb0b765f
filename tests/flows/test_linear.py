"""What one more subscriber costs does not depend on how many there are already."""

from __future__ import annotations

import sys
import uuid
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from signalist.accounts.models import Account
from signalist.db import fast
from signalist.db.wakes import wakes
from signalist.domain.orders import Leg, Side
from signalist.domain.positions import FillFact
from signalist.execution import claims, decide, leases, precedence
from signalist.execution.answered import write_answers
from signalist.execution.fan_out import fan_out
from signalist.trading import folding
from signalist.trading.ledgers import Ledger
from signalist.trading.models import Execution, Order
from signalist.venues.base import Ack
from tenants.doors import across_tenants
from tests.flows.scene import LONG, entry, opened

pytestmark = pytest.mark.django_db

NOON = datetime(2022, 1, 1, 12, tzinfo=UTC)


@pytest.mark.postgresql
@pytest.mark.parametrize(
    ("table", "condition", "behind"),
    [
        ("trading_execution", decide._WAITING, (NOON, -1, 0)),
        ("trading_order", precedence.WAITING, (NOON, NOON, -1, 0)),
        ("trading_position", "protection_due AND {mine} ORDER BY opened_at, id LIMIT %s", ()),
    ],
)
def test_what_waits_is_found_without_joining_all_accounts(
    table: str, condition: str, behind: tuple[object, ...]
) -> None:
    """A planner that has not seen yet how a table has grown joins row by row, and walks all accounts for each. SQLite has no such plan."""
    held, holder = leases.of(uuid.uuid4())
    with across_tenants("engine"):
        plan = fast.tuples(
            f"EXPLAIN SELECT id FROM {table} WHERE {condition.format(mine=held, some='', open='')}",
            [*behind, *holder, 400],
        )
    told = "\n".join(line for (line,) in plan)
    assert "SubPlan" in told
    assert "Join" not in told and "Nested Loop" not in told, told


def test_a_fill_costs_the_same_whatever_else_has_filled() -> None:
    assert _steps_of_fills(400) < 2.1 * _steps_of_fills(200)


def _steps_of_fills(count: int) -> int:
    """How many calls it takes to open so many positions in one fold."""
    ledger = Ledger(NOON, {}, {}, {}, set(), set())
    orders = [
        fast.new(Order, id=n, execution=fast.new(Execution, id=n), subscription_id=n, leg="ENTRY", quantity=Decimal(1))
        for n in range(count)
    ]
    fact = FillFact(Side.BUY, Leg.ENTRY, Decimal(1), Decimal(40_000), Decimal(0), NOON)
    steps = 0

    def count_calls(frame: object, event: str, argument: object) -> None:
        nonlocal steps
        steps += event == "call"

    before = sys.getprofile()
    sys.setprofile(count_calls)
    try:
        for order in orders:
            folding._new_position(ledger, order, fact)
    finally:
        sys.setprofile(before)
    assert len(ledger.new_positions) == count
    return steps


@pytest.mark.django_db(transaction=True)
def test_an_entry_that_the_venue_has_taken_wakes_neither_protection_nor_decisions() -> None:
    with opened() as scene:
        scene.minute()
        scene.subscriber()
        scene.signal(entry(LONG, "39600", "40800"), wait=True)
        scene.stage(fan_out)
        scene.stage(decide.decide)
        engine = scene.engine.id
        Account.objects.update(lease_owner=engine)
        (errand,) = scene.stage(lambda now: claims.claim(engine, now)).errands
        errand.answer = Ack(errand.order.client_order_id, "V-1")
        wakes.clear()
        scene.stage(lambda now: write_answers([errand], now, engine))
        assert [stage for stage in ("protect", "decide", "look_up") if wakes.take(stage)] == []
        scene.books_agree = False
