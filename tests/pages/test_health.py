"""Health: what the web process tells machines, and what the dashboard tells people about engines, runs, stops, venues and prices."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.db.migrations.executor import MigrationExecutor
from django.test import Client

from signalist.clock import utc_now
from signalist.dashboard import readiness
from signalist.execution.health import Health, Pulse, engine_health, health, present, worst
from signalist.execution.models import EngineProcess
from signalist.trading.models import Order, Position, Subscription
from tenants.doors import across_tenants, viewing
from tenants.models import Tenant
from tests.cast import Cast
from tests.pages import ledger
from tests.pages.counting import asks
from tests.pages.ledger import NOON

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    readiness.forget()
    yield
    readiness.forget()


def _health(tenant: Tenant) -> Health:
    with viewing(tenant.pk):
        return health(NOON)


def _followed(tenant: Tenant, symbol: str = "NOVA/USD", slug: str = "drift") -> Subscription:
    with across_tenants("tests"):
        return ledger.follows(ledger.account(tenant), ledger.schedule(ledger.instrument(symbol), slug))


# --- What machines ask ------------------------------------------------------------------------------


def test_a_web_process_that_can_serve_says_so_to_anybody(client: Client) -> None:
    answer = client.get("/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert answer.headers["Cache-Control"] == "no-store"


def test_it_costs_one_query(client: Client) -> None:
    client.get("/health")
    with asks(1):
        client.get("/health")


def test_without_its_database_it_is_not_well_and_tells_no_secret(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*args: Any) -> Any:
        raise OperationalError("connection to server at 10.1.2.3 failed for user signalist_web")

    client.get("/health")
    monkeypatch.setattr(connection, "cursor", refused)
    answer = client.get("/health")
    assert (answer.status_code, answer.json()) == (503, {"status": "unavailable", "reason": "database"})


def test_with_tables_of_another_version_it_is_not_well(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MigrationExecutor, "migration_plan", lambda *args: ["one"])
    answer = client.get("/health")
    assert (answer.status_code, answer.json()) == (503, {"status": "unavailable", "reason": "migrations"})
    monkeypatch.undo()
    assert client.get("/health").status_code == 200  # asked again until they are there


def test_only_reading_is_allowed(client: Client) -> None:
    assert client.post("/health").status_code == 405
    assert client.head("/health").status_code == 200


# --- Engines ----------------------------------------------------------------------------------------


def test_where_no_engine_ever_ran_there_is_none() -> None:
    assert engine_health() == engine_health().__class__(Pulse.OFFLINE, None, None, False)


def test_an_engine_that_was_seen_just_now_is_online() -> None:
    ledger.engine()
    assert engine_health().pulse is Pulse.ONLINE


def test_an_engine_that_was_not_seen_for_a_while_is_degraded() -> None:
    ledger.engine(seen=timedelta(seconds=6))
    assert engine_health().pulse is Pulse.DEGRADED


def test_an_engine_that_ended_or_fell_silent_is_offline_and_says_since_when() -> None:
    gone = ledger.engine(seen=timedelta(seconds=40))
    found = engine_health()
    assert (found.pulse, found.seen_at) == (Pulse.OFFLINE, gone.seen_at)
    EngineProcess.objects.update(ended_at=utc_now(), seen_at=utc_now())
    assert engine_health().pulse is Pulse.OFFLINE


def test_one_engine_that_lives_is_enough() -> None:
    ledger.engine(seen=timedelta(minutes=5))
    ledger.engine()
    assert engine_health().pulse is Pulse.ONLINE


def test_market_time_is_the_machine_s_unless_an_engine_runs_on_recorded_prices() -> None:
    ledger.instrument()
    ledger.engine(clock="system")
    assert abs(present() - utc_now()) < timedelta(seconds=30)
    ledger.engine(clock="market")
    assert present() == NOON


# --- What a tenant's trading depends on -------------------------------------------------------------


def test_runs_count_the_last_hour_of_what_the_tenant_follows(cast: Cast) -> None:
    following = _followed(cast.acme)
    other = _followed(cast.globex, "IDLE/USD", "other")
    for minutes in (0, 1, 59, 61):
        ledger.ran(following.schedule, NOON - timedelta(minutes=minutes))
    ledger.ran(other.schedule, NOON, "FAILED")
    runs = _health(cast.acme).runs
    assert (runs.runs, runs.failed, runs.newest, runs.pulse) == (3, 0, NOON, Pulse.ONLINE)
    assert (_health(cast.globex).runs.failed, _health(cast.globex).runs.pulse) == (1, Pulse.DEGRADED)


def test_runs_that_stopped_coming_are_degraded(cast: Cast) -> None:
    following = _followed(cast.acme)
    ledger.ran(following.schedule, NOON - timedelta(seconds=130))
    assert _health(cast.acme).runs.pulse is Pulse.ONLINE  # two candles of a minute, and a little
    ledger.ran(following.schedule, NOON - timedelta(seconds=3000))
    with viewing(cast.acme.pk):
        assert health(NOON + timedelta(seconds=1)).runs.pulse is Pulse.DEGRADED


def test_a_position_without_a_working_stop_is_unprotected_after_a_moment(cast: Cast) -> None:
    following = _followed(cast.acme)
    with across_tenants("tests"):
        held = ledger.position(following, at=NOON - timedelta(seconds=5))
    assert _health(cast.acme).protection.bare == 0
    with across_tenants("tests"):
        Position.objects.update(opened_at=NOON - timedelta(minutes=1))
    assert _health(cast.acme).protection.bare == 1
    with across_tenants("tests"):
        stop = ledger.stop_order(held, "SENDING")
    assert _health(cast.acme).protection.bare == 1
    with across_tenants("tests"):
        Order.objects.filter(pk=stop.pk).update(status="WORKING")
    assert _health(cast.acme).protection.bare == 0
    assert _health(cast.globex).protection.positions == 0


def test_a_position_that_was_meant_to_have_no_stop_is_told_apart(cast: Cast) -> None:
    following = _followed(cast.acme)
    with across_tenants("tests"):
        ledger.position(following, stop=None)
    found = _health(cast.acme).protection
    assert (found.bare, found.stopless) == (0, 1)


def test_an_order_in_doubt_degrades_its_venue(cast: Cast) -> None:
    ledger.engine()
    following = _followed(cast.acme)
    [venue] = _health(cast.acme).venues
    assert (venue.venue, venue.pulse, venue.newest_report) == ("paper", Pulse.ONLINE, NOON)
    with across_tenants("tests"):
        ledger.stop_order(ledger.position(following), "UNKNOWN")
    [venue] = _health(cast.acme).venues
    assert (venue.pulse, venue.in_doubt) == (Pulse.DEGRADED, 1)


def test_no_venue_is_better_than_the_engine_that_talks_to_it(cast: Cast) -> None:
    _followed(cast.acme)
    assert _health(cast.acme).venues[0].pulse is Pulse.OFFLINE


def test_prices_are_those_that_are_traded_on_the_oldest_first(cast: Cast) -> None:
    _followed(cast.acme, "FRESH/USD")
    with across_tenants("tests"):
        for symbol, more in (("OLD/USD", {"at": NOON - timedelta(minutes=5)}), ("NONE/USD", {"price": None})):
            due = ledger.schedule(ledger.instrument(symbol, **more), symbol[:3].lower())
            ledger.follows(ledger.account(cast.acme, name=symbol), due)
    ledger.instrument("ELSEWHERE/USD")
    prices = _health(cast.acme).prices
    assert [(price.symbol, price.pulse) for price in prices] == [
        ("NONE/USD", Pulse.OFFLINE),
        ("OLD/USD", Pulse.DEGRADED),
        ("FRESH/USD", Pulse.ONLINE),
    ]


def test_who_follows_nothing_sees_how_the_strategies_do_anyway(cast: Cast) -> None:
    due = ledger.schedule(ledger.instrument())
    ledger.ran(due, NOON)
    found = _health(cast.acme)
    assert (found.runs.runs, [price.symbol for price in found.prices]) == (1, ["NOVA/USD"])


def test_troubles_are_counted(cast: Cast) -> None:
    ledger.engine()
    following = _followed(cast.acme)
    ledger.ran(following.schedule, NOON)
    assert _health(cast.acme).troubles == 0
    with across_tenants("tests"):
        ledger.position(following)
    assert _health(cast.acme).troubles == 1


def test_the_worst_of_several_is_the_worst() -> None:
    assert worst([]) is Pulse.ONLINE
    assert worst([Pulse.DEGRADED, Pulse.ONLINE]) is Pulse.DEGRADED
    assert worst([Pulse.DEGRADED, Pulse.OFFLINE]) is Pulse.OFFLINE


def test_what_is_still_held_needs_its_price_after_its_subscription_has_ended(cast: Cast) -> None:
    ended = _followed(cast.acme, "LUMA/USD")
    _followed(cast.acme, "NOVA/USD", "tide")
    with across_tenants("tests"):
        ledger.position(ended)
        Subscription.objects.filter(pk=ended.pk).update(status="ENDED", ended_at=NOON - timedelta(days=2))
    assert {price.symbol for price in _health(cast.acme).prices} == {"LUMA/USD", "NOVA/USD"}
