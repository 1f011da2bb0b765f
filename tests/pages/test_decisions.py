"""Decisions: what was answered to each signal and why, and the record of one signal, which shows to each workspace its own rows alone."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest
from django.template.loader import render_to_string

from signalist.domain.rules import Limits
from signalist.execution.actions import close
from signalist.trading import fragments
from signalist.trading.models import AccountDay, Execution, Order
from tests.cast import Cast
from tests.flows.scene import EXIT_LONG, LONG, entry
from tests.pages.acme import Acme, acme_trades, row
from tests.pages.counting import asks

BUY = entry(LONG, "39600", "40800")
# The person, session and membership; then the strategies to filter by, the count, a page of ids, the executions with subscriptions,
# accounts and signals.
LIST = 9
# Then the signal, its executions and their orders, each with subscriptions and accounts, answers, fills and positions.
RECORD = 13


@pytest.fixture
def acme(transactional_db: None, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> Iterator[Acme]:
    with acme_trades(cast, monkeypatch) as world:
        yield world


# --- The list ------------------------------------------------------------------------------------


def test_the_list_tells_each_signal_with_the_decision_on_it(acme: Acme) -> None:
    acme.follower()
    acme.scene.signal(BUY)
    words = acme.text("/decisions/")
    assert (
        "LONG BTC-PERP crossover v1 · 1m Taken Within every limit Margin 10,000.00 USD of 100,000.00 USD free." in words
    )
    assert "2.50000 → 2.50000 BTC 12:01:00 UTC 6 May 2024" in words


def test_accounts_of_one_workspace_stand_together_under_their_signal(acme: Acme) -> None:
    acme.follower("First")
    acme.follower("Second", deposit="0")
    acme.scene.signal(BUY)
    words = acme.text("/decisions/")
    assert "1 signal " in words
    assert "Taken 1 Denied 1 First (paper): Within every limit" in words
    assert "Second (paper): Free balance · account" in words


def test_exits_that_had_nothing_to_exit_are_shown_when_asked_for(acme: Acme) -> None:
    acme.follower()
    acme.scene.signal(EXIT_LONG)
    assert "0 signals" in acme.text("/decisions/")
    assert "EXIT LONG BTC-PERP" in acme.text("/decisions/?outcome=every")
    assert "Skipped Nothing to exit No open position in this direction." in acme.text("/decisions/?outcome=SKIPPED")


def test_the_list_looks_at_the_newest_decisions_and_says_so(acme: Acme, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that were ever made cannot be grouped for a page."""
    monkeypatch.setattr("signalist.trading.signal_records.MOST_DECISIONS", 2)
    acme.follower()
    for said in (BUY, EXIT_LONG):
        acme.scene.signal(said)
        acme.scene.minute()
    assert "2 signals Signals, newest first" in acme.text("/decisions/?outcome=every")
    acme.scene.signal(BUY)
    words = acme.text("/decisions/?outcome=every")
    assert "2 signals among your newest 2 decisions" in words
    assert [words.count(kind) for kind in (" LONG BTC-PERP", "EXIT LONG BTC-PERP")] == [2, 1]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?outcome=TAKEN", True),
        ("?outcome=DENIED", False),
        ("?strategy=crossover", True),
        ("?strategy=other", True),
        ("?outcome=nonsense&strategy=%27--", True),
    ],
)
def test_it_filters_by_outcome_and_passes_over_nonsense(acme: Acme, query: str, found: bool) -> None:
    acme.follower()
    acme.scene.signal(BUY)
    assert ("LONG BTC-PERP" in acme.text(f"/decisions/{query}")) is found


def test_nothing_decided_says_when_there_will_be(acme: Acme) -> None:
    assert "A decision is made when a strategy that you follow gives a signal" in acme.text("/decisions/")


def test_the_number_of_queries_does_not_grow_with_the_signals(acme: Acme) -> None:
    acme.follower("First")
    acme.scene.signal(BUY)
    acme.html("/decisions/")
    with asks(LIST):
        acme.html("/decisions/")
    acme.follower("Second")
    for _ in range(5):
        acme.scene.minute()
        acme.scene.signal(BUY)
    acme.html("/decisions/")  # signals are read once and kept
    with asks(LIST):
        acme.html("/decisions/")


# --- The record of one signal --------------------------------------------------------------------


def test_the_record_tells_the_decision_the_order_and_what_came_of_it(acme: Acme) -> None:
    desk = acme.follower(limits=Limits(position_fraction=Decimal("0.5")))
    said = acme.scene.signal(BUY)[0]
    bought = acme.scene.order(desk, "ENTRY")
    Order.objects.filter(pk=bought.pk).update(reference_price=Decimal("39980"))
    address = f"/decisions/{said.public_id}/"
    words, page = acme.text(address), acme.html(address)
    assert "stop 39,600.0 (−1.00%), target 40,800.0 (+2.00%) · reward to risk 2.00" in words
    assert (
        "Resized Position size limit · subscription 50.00% of equity leaves room for 1.25000 BTC of 2.50000 BTC."
        in words
    )
    assert "2.50000 BTC 1.25000 BTC 500.00 USD FILLED 40,000.0 +5.0" in words
    assert f'href="/orders/{bought.client_order_id}/"' in page
    assert "Open" in words
    acme.scene.minute(low="39600", close="39600")
    trade = acme.scene.trade(desk)
    assert f"−{abs(trade.net):,.2f} USD Stop" in acme.text(address)
    acme.scene.books_agree = False


def test_the_steps_are_told_in_the_order_in_which_they_were_taken(acme: Acme) -> None:
    acme.follower()
    said = acme.scene.signal(BUY)[0]
    words = acme.text(f"/decisions/{said.public_id}/")
    steps = "Candle closed, Strategy ran, Signal, Fanned out, Decided, Placed, Filled, Protected".split(", ")
    assert sorted(steps, key=words.index) == steps
    assert "Candle closed 12:01:00.000 BTC-PERP 1m" in words
    assert re.search(r"Placed \+0\.\d{3} s 1 order", words)


def test_a_decision_without_an_order_has_no_steps_after_it(acme: Acme) -> None:
    acme.follower(deposit="0")
    said = acme.scene.signal(BUY)[0]
    words = acme.text(f"/decisions/{said.public_id}/")
    assert "Placed" not in words and "Protected" not in words
    assert "No order" in words


def test_delay_runs_from_the_close_to_the_venue_s_acknowledgement(acme: Acme) -> None:
    acme.follower()
    said = acme.scene.signal(BUY, wait=True)[0]
    acme.scene.later(2)
    acme.scene.settle()
    words = acme.text(f"/decisions/{said.public_id}/")
    delay = re.search(r"40,000\.0 0\.0 ([\d,]+) Open", words)
    assert delay and 2000 <= int(delay[1].replace(",", "")) < 4000


def test_the_day_s_loss_is_told_as_a_share_of_what_the_account_was_worth(acme: Acme) -> None:
    desk = acme.follower()
    said = acme.scene.signal(BUY)[0]
    numbers = {"result_today": "-2310", "limit": "2500", "kind": "daily_loss_fraction", "layer": "account"}
    Execution.objects.filter(subscription=desk).update(status="DENIED", rule="daily_loss", numbers=numbers)
    AccountDay.objects.filter(account=desk.account).update(equity=Decimal(50_000))
    assert "Used 4.62% of 5.00%: 2,310.00 of 2,500.00 USD." in acme.text(f"/decisions/{said.public_id}/")


def test_an_exit_shows_what_the_position_came_to(acme: Acme) -> None:
    desk = acme.follower()
    acme.scene.signal(BUY)
    acme.scene.minute(close="40400")
    out = acme.scene.signal(EXIT_LONG)[0]
    words = acme.text(f"/decisions/{out.public_id}/")
    assert "From candle to exit" in words
    assert "Taken Exit Stop and target withdrawn, then 2.50000 BTC closed at market." in words
    assert f"+{acme.scene.trade(desk).net:,.2f} USD Signal" in words


def test_a_workspace_sees_its_own_rows_alone(acme: Acme) -> None:
    acme.follower("Desk of Acme")
    acme.follower("Desk of Globex", tenant=acme.cast.globex)
    said = acme.scene.signal(BUY)[0]
    address = f"/decisions/{said.public_id}/"
    ours, theirs = acme.text(address), acme.text(address, acme.cast.gus)
    assert "Desk of Acme" in ours and "Desk of Globex" not in ours
    assert "Desk of Globex" in theirs and "Desk of Acme" not in theirs
    assert "Taken 1" in ours


def test_a_signal_that_concerned_only_others_is_not_there(acme: Acme) -> None:
    acme.follower()
    said = acme.scene.signal(BUY)[0]
    acme.refused_to_others(f"/decisions/{said.public_id}/")
    assert "LONG BTC-PERP" not in acme.text("/decisions/", acme.cast.gus)
    assert "LONG BTC-PERP" in acme.text(f"/decisions/{said.public_id}/", acme.cast.vera)
    assert acme.get(f"/decisions/{uuid.uuid4()}/", acme.cast.theo).status_code == 404
    assert acme.get("/decisions/", None).status_code == 302


def test_one_record_takes_a_constant_number_of_queries(acme: Acme) -> None:
    acme.follower("First")
    one = acme.scene.signal(BUY)[0]
    for name in ("Second", "Third", "Fourth"):
        acme.follower(name)
    acme.scene.minute()
    many = acme.scene.signal(BUY)[0]
    assert Execution.objects.filter(signal=many).count() == 4
    for said in (one, many):
        acme.html(f"/decisions/{said.public_id}/")
        with asks(RECORD):
            acme.html(f"/decisions/{said.public_id}/")


# --- The feed ------------------------------------------------------------------------------------


def test_the_feed_holds_the_newest_dozen_decisions_of_consequence(acme: Acme) -> None:
    desk = acme.follower()
    acme.scene.signal(BUY)
    for _ in range(13):
        acme.scene.minute()
        acme.scene.signal(BUY)
    pushed = render_to_string("regions/decision-feed.html", fragments.decisions(acme.cast.acme.pk) | {"oob": True})
    pushed = pushed.strip()
    assert pushed.startswith('<ol class="feed log" id="decision-feed" data-mark hx-swap-oob="true">')
    assert pushed.count("<li ") == 12
    newest = Execution.objects.filter(subscription=desk).latest("pk")
    assert row(pushed, f"d-{newest.pk}") == ("12:14:00 UTC Skipped LONG BTC-PERP crossover · 1m · Already in No order")
    assert "<form" not in pushed and "<button" not in pushed


def test_the_feed_tells_a_resizing_and_a_command(acme: Acme) -> None:
    desk = acme.follower(limits=Limits(position_fraction=Decimal("0.5")))
    acme.scene.signal(BUY)
    close(acme.scene.position(desk), "k", "enough", acme.scene.clock.now() + timedelta(seconds=1), acme.cast.theo)
    acme.scene.settle()
    shown = render_to_string("regions/decision-feed.html", fragments.decisions(acme.cast.acme.pk))
    assert "2.50000 → 1.25000 BTC" in shown
    assert "Close BTC-PERP" in shown


def test_an_empty_feed_says_when_it_fills(acme: Acme) -> None:
    shown = render_to_string("regions/decision-feed.html", fragments.decisions(acme.cast.acme.pk))
    assert "No decisions yet" in shown
