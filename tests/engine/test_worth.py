"""Equity points: what an account is worth at a minute, and how long each is kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from signalist.accounts.models import Account
from signalist.clock import utc_now
from signalist.engine.jobs import keep_house
from signalist.events.jobs import KEPT, delete_old
from signalist.events.models import Event
from signalist.execution.measure import snapshot
from signalist.markets.models import LatestPrice
from signalist.trading.jobs import DENSE, thin_equity
from signalist.trading.models import AccountBalance, EquityPoint
from tenants.doors import across_tenants
from tests.cast import Cast
from tests.engine.outages import protected
from tests.flows.scene import LONG, Scene, entry

MINUTE = timedelta(minutes=1)


def equity(account: Account) -> dict[datetime, Decimal]:
    """The account's points."""
    return dict(EquityPoint.objects.filter(account=account).values_list("at", "equity"))


def test_worth_is_the_money_and_the_open_result_at_the_price_of_the_moment(scene: Scene) -> None:
    theo, idle = scene.subscriber("Theo"), scene.account("Vera", deposit="500.25")
    scene.signal(entry(LONG, "39500", "42000"))
    scene.price("40100")
    scene.settle()
    assert scene.stage(snapshot) == 2
    position, money = scene.position(theo), AccountBalance.objects.get(account=theo.account)
    assert position.quantity > 0
    assert money.total < 100_000, "the fee of the entry is paid"
    open_result = position.quantity * Decimal("40100") - position.entry_value
    assert equity(theo.account) == {scene.clock.now(): money.total + open_result}
    assert equity(idle) == {scene.clock.now(): Decimal("500.25")}


def test_a_moment_is_noted_once(scene: Scene) -> None:
    account = scene.account()
    noted = scene.clock.now()
    scene.stage(snapshot)
    before = equity(account)
    AccountBalance.objects.filter(account=account).update(total=Decimal(1))
    scene.stage(snapshot)
    assert equity(account) == before
    scene.later(60)
    scene.stage(snapshot)
    assert equity(account) == before | {noted + MINUTE: Decimal(1)}


def test_an_account_that_its_venue_has_not_spoken_of_has_no_worth_yet(scene: Scene) -> None:
    stranger = scene.account(deposit=None)
    assert scene.stage(snapshot) == 0
    assert equity(stranger) == {}


def test_what_is_held_without_a_price_has_no_worth_that_could_be_told(scene: Scene) -> None:
    theo = scene.subscriber("Theo")
    scene.signal(entry(LONG, "39500", "42000"))
    LatestPrice.objects.all().delete()
    assert scene.stage(snapshot) == 0
    assert equity(theo.account) == {}


# --- What is kept ----------------------------------------------------------------------------------


@pytest.fixture
def account(cast: Cast) -> Account:
    """An account of Acme's."""
    with across_tenants("tests"):
        return Account.objects.create(tenant=cast.acme, name="Paper", venue="paper", venue_ref="acme", currency="USD")


def noted(account: Account, begin: datetime, *worth: int) -> None:
    """What the account was worth from `begin` on, minute by minute."""
    EquityPoint.objects.bulk_create(
        EquityPoint(tenant_id=account.tenant_id, account=account, at=begin + n * MINUTE, equity=Decimal(each))
        for n, each in enumerate(worth)
    )


def test_of_an_old_hour_the_first_the_highest_and_the_lowest_point_are_kept(account: Account) -> None:
    now = datetime(2024, 5, 6, 12, 30, tzinfo=UTC)
    edge = (now - DENSE).replace(minute=0)
    with across_tenants("tests"):
        noted(account, edge - 120 * MINUTE, 50, 60, 90, 90, 40, 55)
        noted(account, edge - 60 * MINUTE, *range(60))
        noted(account, edge, *range(60))
        assert thin_equity(now) == 3 + 58
        old = {at - edge: worth for at, worth in equity(account).items() if at < edge}
        assert old == {-120 * MINUTE: 50, -118 * MINUTE: 90, -116 * MINUTE: 40, -60 * MINUTE: 0, -1 * MINUTE: 59}
        assert len([at for at in equity(account) if at >= edge]) == 60
        assert thin_equity(now) == 0


def test_points_that_the_job_has_missed_for_long_are_thinned_a_bounded_number_of_hours_at_once(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signalist.trading.jobs.MOST_HOURS", 2)
    now = datetime(2024, 5, 6, 12, 30, tzinfo=UTC)
    with across_tenants("tests"):
        for months in range(1, 4):
            noted(account, now - timedelta(days=30 * months), *range(10))
        assert [thin_equity(now) for _ in range(3)] == [16, 8, 0]


def test_points_of_two_accounts_are_thinned_each_by_itself(account: Account, cast: Cast) -> None:
    now = datetime(2024, 5, 6, 12, 30, tzinfo=UTC)
    with across_tenants("tests"):
        other = Account.objects.create(tenant=cast.globex, name="Paper", venue="paper", venue_ref="g", currency="USD")
        for one in (account, other):
            EquityPoint.objects.create(
                tenant_id=one.tenant_id, account=one, at=now - DENSE - timedelta(hours=2), equity=Decimal(1)
            )
        assert thin_equity(now) == 0


@pytest.mark.django_db
def test_events_are_kept_for_a_week(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signalist.events.jobs.AT_ONCE", 2)
    now = utc_now()
    with across_tenants("tests"):
        for days in (9, 8, 7.5, 7.1, 6.9, 1):
            Event.objects.create(kind="told", payload={"days": days}, at=now - timedelta(days=days))
        assert delete_old(now) == 4
        assert list(Event.objects.order_by("pk").values_list("payload__days", flat=True)) == [6.9, 1]
        assert delete_old(now) == 0
    assert timedelta(days=7) == KEPT


@pytest.mark.django_db
def test_events_that_the_database_keeps_are_neither_counted_nor_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("signalist.events.jobs.AT_ONCE", 2)
    now = utc_now()
    with across_tenants("tests"):
        for days in (9, 8, 7.5):
            Event.objects.create(kind="told", at=now - timedelta(days=days))
        with protected("events_event"):
            assert delete_old(now) == 0
        assert delete_old(now) == 3


@pytest.mark.django_db
def test_the_hourly_job_opens_its_own_door_and_says_what_it_did() -> None:
    with across_tenants("tests"):
        Event.objects.create(kind="told", at=utc_now() - timedelta(days=8))
    nothing = "0 equity points, 0 candles, 0 order books, 0 streams, 0 runs, 0 engines, 0 inquiries, 0 counted windows"
    assert keep_house() == f"gone: 1 events, {nothing}"
    assert keep_house() == f"gone: 0 events, {nothing}"
