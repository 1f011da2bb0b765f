"""Kill -9 where the matrix does not come by: while the engine watches a stop that its venue does not keep, while it carries out what
people have answered to a difference, and while it sets a switch for staff. The next engine goes on, and the venue's book shows it.

What concerns venues without names of ours dies in tests/flows/test_nameless_deaths.py.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from signalist.accounts.models import Account
from signalist.clock import SystemClock
from signalist.domain.orders import OrderType, Side
from signalist.engine.bench.house import secret_of
from signalist.risk.models import Layer, SharedSwitch, SwitchRequest
from signalist.trading.discrepancies import Answer, Discrepancy, Kind, State
from signalist.trading.models import Trade
from signalist.venues.base import OrderRequest
from signalist.venues.loopback.client import Client, Numbers
from signalist.venues.loopback.venue import LoopbackVenue
from tenants.doors import across_tenants
from tenants.models import User
from tests.cast import PASSWORD
from tests.flows.loopback_stage import SYMBOL, Stage

pytestmark = pytest.mark.django_db(transaction=True)

# From the price that reaches the stop to the trade that is counted.
REACHED = ["watch.batch.committed", "place.called", "reconcile.reports.committed"]
LATER = [
    "place.call",
    "place.answers.committed",
    "reconcile.called",
    "protect.batch.committed",
    "measure.trades.committed",
]
ANSWERED = ["compare.take_down", "compare.taken_down", "compare.answers.committed"]


def stop_is_reached(stage: Stage, *lives: str) -> None:
    """Everybody enters, and the market falls through their stops, which lie nowhere but in our rows; engines die at these places."""
    stage.watches = True
    first, *stage.lives = lives
    stage.start(f"@{first}")
    stage.settle()
    stage.candle(40)
    stage.settle()
    assert all(one["net"] and not one["resting"] for one in stage.book().values())
    stage.arm()
    stage.tick("-900")
    stage.wait(lambda: len(stage.deaths) == len(lives), f"engines die at {lives}")
    stage.settle()
    assert stage.deaths == [f"@{first}", *lives[1:]]
    assert all(not one["net"] and not one["resting"] for one in stage.book().values())
    stage.check()
    with across_tenants("tests"):
        assert set(Trade.objects.values_list("exit_type", flat=True)) == {"STOP_LOSS"}


def test_one_death_after_another_while_a_watched_stop_is_reached(stage: Stage) -> None:
    stop_is_reached(stage, *REACHED)


@pytest.mark.soak
@pytest.mark.parametrize("name", REACHED + LATER)
def test_a_death_anywhere_while_a_watched_stop_is_reached(stage: Stage, name: str) -> None:
    stop_is_reached(stage, name)


def placed_past_us(stage: Stage, ref: str) -> str:
    """The user has placed an order at the venue themselves; its id there."""
    request = OrderRequest(
        "by-hand", SYMBOL, Side.BUY, OrderType.LIMIT, Decimal("0.1"), Decimal(30_000), None, False, Decimal(5), "mine"
    )

    async def place() -> str:
        venue = LoopbackVenue(
            Client(stage.venue.address, stage.clock, size=1, numbers=Numbers(SystemClock())), secret_of
        )
        try:
            return (await venue.open(ref).place(request)).venue_order_id
        finally:
            await venue.close()

    return asyncio.run(place())


def test_one_death_after_another_while_an_answer_and_a_request_are_carried_out(stage: Stage) -> None:
    ref, now = stage.refs[0], stage.clock.now()
    subject, root = placed_past_us(stage, ref), User.objects.create_superuser("root@example.com", PASSWORD)
    with across_tenants("tests"):
        account = Account.objects.get(venue_ref=ref)
        row = Discrepancy.objects.create(
            tenant_id=account.tenant_id,
            account=account,
            symbol=SYMBOL,
            subject=subject,
            kind=Kind.EXTERNAL_ORDER,
            theirs=Decimal("0.1"),
            looks=3,
            first_seen_at=now,
            last_seen_at=now,
            answer=Answer.CANCEL,
        )
    first, *stage.lives = [*ANSWERED, "switches.requests.committed"]
    stage.start(first)
    stage.wait(lambda: stage.deaths == ANSWERED, f"engines die at {ANSWERED}")
    with across_tenants("tests"):
        SwitchRequest.objects.create(layer=Layer.PLATFORM, state="REDUCING", reason="a drill", by=root, at=now)
    stage.wait(lambda: len(stage.deaths) == len(ANSWERED) + 1, "an engine dies when it has set the switch")
    stage.settle()
    assert not stage.book()[ref]["resting"]
    with across_tenants("tests"):
        row.refresh_from_db()
        assert (row.state, row.answer_problem) == (State.RESOLVED, "")
        assert SharedSwitch.objects.get().state == "REDUCING"
