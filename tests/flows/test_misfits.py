"""An account whose venue reports what the books cannot hold: it is halted, which is said once, and it concerns nobody else."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from signalist.accounts.models import Account, AccountState
from signalist.domain.orders import Side
from signalist.trading import misfits
from signalist.trading.models import AccountBalance, Subscription
from signalist.venues.base import FillReport
from tests.flows.scene import LONG, Scene, entry

BUY = entry(LONG, "39600", "40800")


@pytest.fixture
def world(scene: Scene) -> Scene:
    """The scene a minute after noon."""
    scene.minute()
    return scene


def insists_on_nonsense(world: Scene, subscription: Subscription, fee: str = "0.00000000001") -> None:
    """The venue reports, whenever it is asked, a fill with more decimals than there are anywhere."""
    nonsense = FillReport(
        "nonsense",
        world.order(subscription, "STOP").client_order_id,
        Side.SELL,
        "BTC-PERP",
        Decimal(1),
        Decimal(40_000),
        Decimal(fee),
        "USD",
        world.clock.now(),
    )
    world.venue.insisted[subscription.account.venue_ref] = [nonsense]


def state(subscription: Subscription) -> tuple[str, str]:
    account = Account.objects.get(pk=subscription.account_id)
    return account.state, account.state_reason


@pytest.fixture
def theo(world: Scene) -> Subscription:
    """Someone whose venue insists."""
    theo = world.subscriber("Theo")
    world.signal(BUY)
    insists_on_nonsense(world, theo)
    return theo


def test_that_it_is_halted_is_said_once_however_often_the_venue_is_asked(world: Scene, theo: Subscription) -> None:
    for _ in range(4):
        world.poll()
    assert state(theo) == (
        AccountState.HALTED,
        f"{misfits.MISFIT}50.00000000001 has more than 10 decimals; round it first.",
    )
    assert len(world.events("account_halted")) == 1


def test_another_reason_is_said(world: Scene, theo: Subscription) -> None:
    world.poll()
    insists_on_nonsense(world, theo, "0.00000000002")
    world.poll()
    assert len(world.events("account_halted")) == 2


def test_one_that_is_resumed_by_hand_is_halted_again_and_that_is_said_once_more(
    world: Scene, theo: Subscription
) -> None:
    world.poll()
    Account.objects.filter(pk=theo.account_id).update(state=AccountState.ACTIVE, state_reason="")
    for _ in range(3):
        world.poll()
    assert state(theo)[0] == AccountState.HALTED
    assert len(world.events("account_halted")) == 2


def test_the_others_are_folded_together_in_the_next_rounds(world: Scene, theo: Subscription) -> None:
    others = [world.subscriber(name) for name in ("Vera", "Otto", "Nora")]
    world.minute()
    world.signal(BUY)
    assert all(world.net(one) > 0 for one in others)
    with CaptureQueriesContext(connection) as queries:
        world.minute(low="39500", close="39550")
    assert all(world.net(one) == 0 for one in others)
    written = [query["sql"] for query in queries if 'INSERT INTO "trading_accountbalance"' in query["sql"]]
    assert len(written) == 1  # of a round: the balances of all who fit


def test_it_is_booked_when_the_venue_comes_to_its_senses(world: Scene, theo: Subscription) -> None:
    world.poll()
    before = AccountBalance.objects.get(account=theo.account_id).cursor
    world.minute(close="40900")
    assert AccountBalance.objects.get(account=theo.account_id).cursor == before
    world.venue.insisted.clear()
    world.poll()
    assert AccountBalance.objects.get(account=theo.account_id).cursor != before
    assert world.trade(theo).exit_type == "TAKE_PROFIT"
    assert state(theo)[0] == AccountState.HALTED  # resumed by hand
