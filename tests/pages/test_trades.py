"""Closed trades: each with its way out, and what they come to, currency by currency, real apart from paper."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from signalist.execution.actions import close
from signalist.trading.models import Trade
from tests.cast import Cast
from tests.flows.scene import EXIT_LONG, LONG, SHORT, entry
from tests.pages.acme import Acme, acme_trades
from tests.pages.counting import asks

BUY = entry(LONG, "39600", "40800")
SELL = entry(SHORT, "40400", "39200")
# The person, session and membership; then instruments to filter by, the totals and the page of trades with their
# subscriptions, accounts, positions, entries and signals.
LIST = 11


@pytest.fixture
def acme(transactional_db: None, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> Iterator[Acme]:
    with acme_trades(cast, monkeypatch) as world:
        yield world


def stopped_out(acme: Acme) -> None:
    """A long that its stop ends, four hundred below its entry."""
    acme.scene.signal(BUY)
    acme.scene.minute(low="39600", close="39600")


def total(trade: Trade) -> str:
    """The first figure of the page."""
    sign = "+" if trade.net > 0 else "−"
    return f"{sign}{abs(trade.net):,.2f} USD"


def test_a_trade_shows_its_result_after_fees_and_its_way_out(acme: Acme) -> None:
    desk = acme.follower()
    stopped_out(acme)
    trade = acme.scene.trade(desk)
    assert (trade.gross, trade.net) == (Decimal(-1000), Decimal(-1000) - trade.fees)
    r = trade.net / 1000
    assert (
        "BTC-PERP Long crossover · Desk (paper) 2.50000 BTC 40,000.0 → 39,600.0 "
        f"−1,000.00 USD {trade.fees:.2f} USD {total(trade)} −{abs(r):.2f} R Stop"
    ) in acme.text("/trades/")


@pytest.mark.parametrize(("ending", "words"), [("target", "Target"), ("signal", "Signal"), ("hand", "By hand")])
def test_each_way_out_has_its_word(acme: Acme, ending: str, words: str) -> None:
    desk = acme.follower()
    acme.scene.signal(BUY)
    if ending == "target":
        acme.scene.minute(high="40900", close="40900")
    elif ending == "signal":
        acme.scene.minute()
        acme.scene.signal(EXIT_LONG)
    else:
        close(acme.scene.position(desk), "k", "enough", acme.scene.clock.now(), acme.cast.theo)
        acme.scene.settle()
    assert f" R {words} " in acme.text("/trades/")


def test_a_short_that_falls_has_won(acme: Acme) -> None:
    acme.follower()
    acme.scene.signal(SELL)
    acme.scene.minute(low="39200", close="39200")
    words = acme.text("/trades/")
    assert "BTC-PERP Short" in words
    assert "Gross +2,000.00 USD" in words
    assert "Won 100.00% 1 of 1" in words


def test_totals_keep_real_paper_and_each_currency_apart(acme: Acme) -> None:
    scene = acme.scene
    scene.rate("USD", "INR", "75")
    twin = scene.instrument("BTC-PERP-INR", "3000000", quote="INR", tick="5")
    rupees = acme.follower("Rupees", instrument=twin, deposit="7500000", capital="7500000")
    broker, desk = acme.follower("Broker"), acme.follower("Desk")
    scene.signal(BUY)
    scene.minute()
    scene.signal(EXIT_LONG)
    acme.make_real(broker)
    words = acme.text("/trades/")
    for subscription, kind in ((rupees, "paper"), (broker, "real money"), (desk, "paper")):
        trade = scene.trade(subscription)
        assert f"Net result, {kind} −{abs(trade.net):,.2f} {trade.currency} 1 trade " in words
    assert words.index("Net result, real money") < words.index("Net result, paper")


def test_totals_are_those_of_the_filter_not_of_the_page(acme: Acme) -> None:
    desk = acme.follower()
    stopped_out(acme)
    one = acme.scene.trade(desk)
    copies(acme, one, 29)
    words = acme.text("/trades/")
    assert f"−{abs(one.net) * 30:,.2f} USD 30 trades" in words
    assert "1 to 25 of 30" in words


def test_of_all_time_the_folded_days_are_added_up_and_what_is_fresh(acme: Acme) -> None:
    """Reading every trade ever made for a page would take longer every day."""
    desk = acme.follower()
    stopped_out(acme)
    one = acme.scene.trade(desk)
    whole = acme.text("/trades/?period=90").partition("Net result")[2]
    assert acme.text("/trades/?period=").partition("Net result")[2] == whole
    fresh = Trade.objects.get(pk=one.pk)
    copies(acme, fresh, 1)
    Trade.objects.exclude(pk=one.pk).update(measured=False)
    with CaptureQueriesContext(connection) as asked:
        words = acme.text("/trades/?period=")
    assert f"−{abs(one.net) * 2:,.2f} USD 2 trades" in words
    assert "Won 0.00% 0 of 2" in words
    sums = [query["sql"] for query in asked if '"net"' in query["sql"] and "trading_trade" in query["sql"]]
    assert all("NOT" in statement or "LIMIT" in statement for statement in sums)


def test_of_some_trades_the_longest_period_is_ninety_days_and_says_so(acme: Acme) -> None:
    acme.follower()
    stopped_out(acme)
    page = acme.html("/trades/?exit=STOP_LOSS&period=")
    assert "All time" not in page
    assert '<option value="90" selected>90 days</option>' in page
    assert "1 trade " in acme.text("/trades/?exit=STOP_LOSS&period=")
    assert "All time" in acme.html("/trades/?period=90")


def test_the_last_closed_comes_first_whichever_was_booked_first(acme: Acme) -> None:
    first, second = acme.follower("First"), acme.follower("Second")
    stopped_out(acme)
    acme.scene.books_agree = False
    Trade.objects.filter(subscription=second).update(closed_at=acme.scene.clock.now() - timedelta(hours=1))
    words = acme.text("/trades/")
    assert words.index("First (paper)") < words.index("Second (paper)")
    Trade.objects.filter(subscription=first).update(closed_at=acme.scene.clock.now() - timedelta(hours=2))
    words = acme.text("/trades/")
    assert words.index("Second (paper)") < words.index("First (paper)")


def copies(acme: Acme, trade: Trade, count: int) -> None:
    """More trades like this one; the ledger knows nothing of them."""
    acme.scene.books_agree = False
    for _ in range(count):
        held = acme.scene.position(trade.subscription)
        held.pk = None
        held.save()
        trade.pk, trade.position = None, held
        trade.save()


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?exit=STOP_LOSS", 1),
        ("?exit=TAKE_PROFIT", 0),
        ("?direction=LONG", 1),
        ("?direction=SHORT", 0),
        ("?exit=NONSENSE&direction=up&period=x&instrument=1e9", 1),
    ],
)
def test_it_filters_and_passes_over_nonsense(acme: Acme, query: str, found: int) -> None:
    acme.follower()
    stopped_out(acme)
    assert f"{found} trade" in acme.text(f"/trades/{query}")


def test_it_shows_a_week_unless_asked_for_more(acme: Acme) -> None:
    desk = acme.follower()
    stopped_out(acme)
    long_ago = acme.scene.clock.now() - timedelta(days=7, seconds=1)
    Trade.objects.filter(subscription=desk).update(closed_at=long_ago)
    assert "0 trades" in acme.text("/trades/")
    assert "1 trade " in acme.text("/trades/?period=30")
    assert "1 trade " in acme.text("/trades/?period=")
    acme.scene.books_agree = False


def test_nothing_closed_says_when_there_will_be(acme: Acme) -> None:
    assert "A trade is closed when its stop" in acme.text("/trades/")


def test_others_see_nothing_of_it(acme: Acme) -> None:
    acme.follower()
    stopped_out(acme)
    assert "BTC-PERP" not in acme.html("/trades/", acme.cast.gus)
    assert "0 trades" in acme.text("/trades/", acme.cast.gus)
    assert "1 trade " in acme.text("/trades/", acme.cast.vera)
    assert acme.get("/trades/", None).status_code == 302


def test_the_number_of_queries_does_not_grow_with_the_trades(acme: Acme) -> None:
    desk = acme.follower()
    stopped_out(acme)
    acme.html("/trades/")
    with asks(LIST):
        acme.html("/trades/")
    copies(acme, acme.scene.trade(desk), 20)
    with asks(LIST):
        acme.html("/trades/")
