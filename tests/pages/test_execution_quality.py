"""The figures of execution: by account and instrument, of a period, of the workspace's own orders only."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from signalist.marketplace.actions import end
from signalist.risk.outages import entries_lost
from signalist.trading.execution_metrics import Chosen
from signalist.trading.models import Execution, Order, OrderAttempt
from signalist.venues.errors import Busy, NotSent, Refused, VenueError
from tenants.doors import viewing
from tests.cast import Cast
from tests.flows.scene import EXIT_LONG, LONG, entry
from tests.pages import ledger
from tests.pages.acme import Acme, acme_trades
from tests.pages.counting import asks

BUY = entry(LONG, "39600", "40800")
WHERE = "/execution/"
# The person, session and membership; accounts and instruments to filter by; what outages cost; accounts, orders, answers, what was missed.
PAGE = 10


@pytest.fixture
def acme(transactional_db: None, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> Iterator[Acme]:
    with acme_trades(cast, monkeypatch) as world:
        yield world


def figures(acme: Acme, query: str = "") -> str:
    return acme.text(WHERE + query)


def test_it_begins_empty(acme: Acme) -> None:
    assert "No orders in this period" in figures(acme)


def test_it_counts_what_venues_took_and_what_it_cost(acme: Acme) -> None:
    desk = acme.follower()
    acme.scene.signal(BUY)
    OrderAttempt.objects.update(latency_ms=40.0)
    words = figures(acme)
    assert "Orders, paper 3 1 filled, whole or in part" in words
    assert "Successful 100.00% 3 taken by the venue" in words
    assert "Latency, median 40 ms mean 40 ms, 95 % within 40 ms" in words
    assert "Slippage, mean 0.0 bp over 1 order; plus is paid" in words
    assert "Fees 50.00 USD" in words
    assert "Missed entries 0" in words
    Order.objects.filter(pk=acme.scene.order(desk, "ENTRY").pk).update(reference_price=39_980)
    assert "Slippage, mean +5.0 bp" in figures(acme)


def test_a_refusal_lowers_the_rate_and_what_was_skipped_is_missed(acme: Acme) -> None:
    acme.follower()
    acme.scene.venue.refuses(Refused("No."), leg="ENTRY")
    acme.scene.signal(BUY)
    acme.scene.minute()
    acme.scene.signal(entry(LONG, "40400", "40800"))
    words = figures(acme)
    assert "Successful 0.00% 0 taken by the venue" in words
    assert "Missed entries 1 1 stop side" in words
    assert Execution.objects.filter(rule="stop_side").count() == 1
    Order.objects.update(status="DENIED", reason="There is no key for this account.")
    words = figures(acme)
    assert "Successful –" in words
    assert "Missed entries 2 1 account not opened, 1 stop side" in words, (
        "what was sent to nobody says nothing of the venue"
    )
    words = acme.text("/orders/?group=ended")
    assert "Denied Not sent: There is no key for this account." in words


def test_what_a_stop_slips_is_measured_from_its_level(acme: Acme) -> None:
    desk = acme.follower()
    acme.scene.signal(BUY)
    acme.scene.minute(close="39000")
    stop = acme.scene.order(desk, "STOP")
    assert (stop.status, stop.trigger) == ("FILLED", 39_600)
    acme.scene.books_agree = False
    Order.objects.filter(pk=stop.pk).update(filled_value=stop.filled * 39_000)
    # The entry paid nothing, the stop sold 600 below 39600: the mean of 0 and 151.5.
    assert "Slippage, mean +75.8 bp over 2 orders" in figures(acme)


def test_an_entry_whose_turn_came_too_late_was_missed(acme: Acme) -> None:
    desk = acme.follower()
    acme.scene.signal(BUY)
    acme.scene.books_agree = False
    entered = Order.objects.filter(pk=acme.scene.order(desk, "ENTRY").pk)
    entered.update(status="EXPIRED", attempts=0, filled=0, filled_value=0, venue_order_id="")
    assert "Missed entries 1 1 turn came too late" in figures(acme)
    entered.update(status="CANCELLED")
    assert "Missed entries 0" in figures(acme), "taken back"


def test_an_exit_that_had_to_be_repeated_is_measured_from_where_it_was_decided(acme: Acme) -> None:
    desk = acme.follower()
    acme.scene.signal(BUY)
    acme.scene.minute()
    acme.scene.venue.refuses(Refused("Maintenance."), leg="EXIT", times=2)
    acme.scene.signal(EXIT_LONG)
    acme.scene.price("39900")
    acme.scene.later(10)
    acme.scene.poll()
    exits = acme.scene.orders(desk, "EXIT")
    assert [(o.status, o.reference_price) for o in exits] == [("REJECTED", 40_000)] * 2 + [("FILLED", 40_000)]
    # The entry paid nothing, the exit sold 100 below 40000: the mean of 0 and 25.
    assert "Slippage, mean +12.5 bp over 2 orders" in figures(acme)


@pytest.mark.parametrize("error", [NotSent("Its turn did not come in time."), Busy("Come back later.")])
def test_a_try_that_the_venue_never_took_in_does_not_make_an_entry_one_that_left(acme: Acme, error: VenueError) -> None:
    desk = acme.follower()
    acme.scene.venue.refuses(error, leg="ENTRY", times=99)
    acme.scene.signal(BUY)
    acme.scene.later(12)
    acme.scene.poll()
    entered = acme.scene.order(desk, "ENTRY")
    assert (entered.status, entered.attempts > 0) == ("EXPIRED", True)
    words = figures(acme)
    assert "Missed entries 1 1 turn came too late" in words
    assert "Successful –" in words, "the venue has not failed"
    with asks(PAGE + 1):
        acme.html(WHERE)
    Order.objects.filter(pk=entered.pk).update(status="CANCELLED")  # as the kill switch drops it
    words = figures(acme)
    assert "No orders in this period" in words, "and nothing is in doubt for ever"
    OrderAttempt.objects.filter(order=entered, number=1).update(error_type="no_answer")
    assert "1 in doubt" in figures(acme), "one of its tries may have reached the venue"


def test_an_entry_that_was_made_already_was_not_missed(acme: Acme) -> None:
    acme.follower()
    acme.scene.signal(BUY)
    acme.scene.minute()
    acme.scene.signal(BUY)
    assert Execution.objects.filter(rule="position_open").count() == 1
    assert "Missed entries 0" in figures(acme)


def test_it_is_of_a_period_an_account_and_an_instrument(acme: Acme) -> None:
    one, _ = acme.follower("One"), acme.follower("Two")
    acme.scene.signal(BUY)
    assert "Orders, paper 6" in figures(acme)
    assert "Orders, paper 3" in figures(acme, f"?account={one.account_id}")
    assert "Orders, paper 6" in figures(acme, f"?instrument={acme.scene.btc.pk}&venue=paper")
    assert "Orders, paper 6" in figures(acme, "?account=nonsense&period=99")
    Order.objects.filter(subscription=one).update(created_at=acme.scene.clock.now() - timedelta(days=3))
    assert "Orders, paper 3" in figures(acme, "?period=1")
    assert "Orders, paper 6" in figures(acme, "?period=7")


def test_paper_and_real_money_are_told_apart(acme: Acme) -> None:
    one, _ = acme.follower("One"), acme.follower("Two")
    acme.scene.signal(BUY)
    acme.make_real(one)
    words = figures(acme)
    assert "Orders, real money 3" in words and "Orders, paper 3" in words


def test_another_workspace_sees_nothing_of_it(acme: Acme) -> None:
    acme.follower()
    acme.scene.signal(BUY)
    assert "No orders in this period" in acme.text(WHERE, acme.cast.gus)
    assert "Orders, paper 3" in acme.text(WHERE, acme.cast.vera)
    assert acme.get(WHERE, None).status_code == 302


def test_it_asks_the_same_however_many_orders_there_are(acme: Acme) -> None:
    acme.follower()
    acme.scene.signal(BUY)
    acme.html(WHERE)
    with asks(PAGE):
        acme.html(WHERE)
    for name in ("A", "B", "C"):
        acme.follower(name)
    acme.scene.minute()
    acme.scene.signal(BUY)
    with asks(PAGE):
        acme.html(WHERE)


def test_what_was_missed_is_counted_in_the_database_and_not_here(acme: Acme) -> None:
    acme.follower()
    for _ in range(3):
        acme.scene.minute()
        acme.scene.signal(entry(LONG, "40400", "40800"))
    with CaptureQueriesContext(connection) as queries:
        words = figures(acme)
    assert "Missed entries 3 3 stop side" in words
    (read,) = [q["sql"] for q in queries if 'FROM "trading_execution"' in q["sql"]]
    assert "GROUP BY" in read


def test_entries_that_an_outage_swallowed_were_missed(acme: Acme) -> None:
    now = acme.scene.clock.now()
    desk, bank, gone = acme.follower("Desk"), acme.follower("Bank"), acme.follower("Gone")
    outsider = acme.follower("Gus", tenant=acme.cast.globex)
    end(gone, now, acme.cast.theo, close_now=False)
    for one in (desk, bank, gone, outsider):
        ledger.missed(one, now + timedelta(minutes=10), 5, 3)
    ledger.missed(desk, now - timedelta(hours=2), 5, 1)
    ledger.missed(desk, now - timedelta(days=3), 5, 4)
    ledger.missed(desk, now - timedelta(hours=3), 5, 0)
    assert "Missed entries 7 7 lost in outages" in figures(acme, "?period=1"), (
        "neither who had ended lost any, nor is another's told"
    )
    assert "Missed entries 11 11 lost in outages" in figures(acme)
    assert "Missed entries 3 3 lost in outages" in figures(acme, f"?account={bank.account_id}")
    assert "Missed entries 11 11 lost in outages" in figures(acme, f"?venue=paper&instrument={acme.scene.btc.pk}")
    assert "Missed entries 3 3 lost in outages" in acme.text(WHERE, acme.cast.gus)
    with viewing(acme.cast.acme.pk):
        assert entries_lost(Chosen(now - timedelta(days=7), instrument=acme.scene.btc.pk + 1)) == {}
    acme.scene.signal(entry(LONG, "40400", "40800"))
    assert "Missed entries 5 4 lost in outages, 1 stop side" in figures(acme, f"?period=1&account={desk.account_id}")
