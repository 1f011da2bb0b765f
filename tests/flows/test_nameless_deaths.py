"""Kill -9 at a venue in another process that knows no ids of ours: the next engine finds what had arrived by the venue's history and
positions, gives up what had not, and the venue's book shows one entry, one stop and the right money.
"""

from __future__ import annotations

import pytest

from signalist.domain.orders import OrderStatus
from signalist.trading.models import Order
from tenants.doors import across_tenants
from tests.flows.loopback_stage import NEVER_ARRIVED, Stage

pytestmark = pytest.mark.django_db(transaction=True)

# One after the other: the entry has arrived, twice the engine dies that looks for it, then the stop has arrived, and the target has not.
LIVES = [
    "@place.called",
    "nameless.call",
    "nameless.called",
    "look_up.answers.committed",
    "place.called",
    "place.call:2",
]
ALONE = [
    "place.claim.committed",
    "place.call",
    "place.call:3",
    "place.called",
    "place.called:2",
    "place.called:4",
    "place.answers.committed",
    "reconcile.call",
    "reconcile.reports.committed",
    "protect.batch.committed",
]
MAY_LOSE = ("place.claim.committed", "place.call")


def entered(stage: Stage, *lives: str) -> None:
    """Everybody enters at market; engines die at these places."""
    stage.nameless = True
    first, *stage.lives = lives
    stage.start(first)
    stage.settle()
    stage.arm()
    stage.candle(40)
    stage.settle()
    stage.wait(lambda: len(stage.deaths) == len(lives), f"engines die at {lives}")
    stage.settle()
    stage.check()


def test_what_had_arrived_is_found_without_a_name_by_whoever_comes_after_the_dead(stage: Stage) -> None:
    entered(stage, *LIVES)
    assert not stage.lost()
    with across_tenants("tests"):
        orders = Order.objects.exclude(status=OrderStatus.REJECTED)
        assert set(orders.values_list("nameless", flat=True)) == {True}
        assert sorted(orders.values_list("leg", flat=True)) == sorted(["ENTRY", "STOP", "TARGET"] * len(stage.refs))
        assert set(Order.objects.filter(status=OrderStatus.REJECTED).values_list("reason", flat=True)) <= {
            NEVER_ARRIVED
        }
    stage.candle(-40)
    stage.settle()
    stage.check()
    assert all(not one["net"] and not one["resting"] for one in stage.book().values())


@pytest.mark.soak
@pytest.mark.parametrize("place", ALONE)
def test_a_death_at_any_place(place: str, stage: Stage) -> None:
    entered(stage, f"@{place}")
    assert not stage.lost() or place.partition(":")[0] in MAY_LOSE
