"""Positions: what is open at the newest price, what protects it, what it all comes to, and closing it by hand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

import pytest
from django.template.loader import render_to_string

from signalist.dashboard import fragments as dashboard
from signalist.domain.orders import OrderStatus
from signalist.trading import fragments
from signalist.trading.models import Order, Position, Trade
from signalist.venues.errors import Refused
from tests.cast import Cast
from tests.flows.scene import LONG, SHORT, entry
from tests.pages.acme import Acme, acme_trades, row
from tests.pages.counting import asks

BUY = entry(LONG, "39600", "40800")
SELL = entry(SHORT, "40400", "39200")
# The person, session and membership; then the rows with subscriptions, accounts, entries and signals, what protects
# them, marks, closing, live subscriptions; working orders with their subscriptions and accounts.
POSITIONS = 15
POSITION = 19
# And the trade, with its subscription, account, position, entry and signal.
CLOSED = 24


@pytest.fixture
def acme(transactional_db: None, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> Iterator[Acme]:
    with acme_trades(cast, monkeypatch) as world:
        yield world


def bar(page: str, position: Position) -> tuple[float, float]:
    """Where the entry's tick and the mark's dot stand, in percent from the stop to the target."""
    cell = page.partition(f'id="p-{position.pk}-range"')[2]
    tick, dot = re.search(r"M([\d.]+) 1v10M100", cell), re.search(r'class="now" d="M([\d.]+) 6', cell)
    assert tick and dot
    return float(tick[1]), float(dot[1])


# --- What is open --------------------------------------------------------------------------------


def test_it_shows_a_position_at_its_mark_with_its_result_and_distances(acme: Acme) -> None:
    desk = acme.follower()
    acme.scene.signal(BUY)
    acme.scene.price("40200")
    held = acme.scene.position(desk)
    page = acme.html("/positions/")
    assert row(page, f"p-{held.pk}") == (
        "BTC-PERP Long 10× crossover v1 · Desk (paper) 2.50000 BTC 40,000.0 → 40,200.0 39,600.0 40,800.0 "
        "1.49% −1,500.00 USD +500.00 USD +0.50 R Stop at venue Details of BTC-PERP, long"
    )
    assert bar(page, held) == (33.3, 50.0)


def test_right_is_the_good_side_for_shorts_too(acme: Acme) -> None:
    desk = acme.follower()
    acme.scene.signal(SELL)
    acme.scene.price("39800")
    page = acme.html("/positions/")
    assert "Short 10×" in row(page, f"p-{acme.scene.position(desk).pk}")
    assert "1.51% −1,500.00 USD +500.00 USD +0.50 R" in row(page, f"p-{acme.scene.position(desk).pk}")
    assert bar(page, acme.scene.position(desk)) == (33.3, 50.0)


def test_a_losing_position_says_so_with_sign_and_class(acme: Acme) -> None:
    desk = acme.follower()
    acme.scene.signal(BUY)
    acme.scene.price("39900")
    page = acme.html("/positions/")
    assert "−250.00 USD −0.25 R" in row(page, f"p-{acme.scene.position(desk).pk}")
    assert '<span class="down live-value">−250.00' in page


def test_an_old_price_is_shown_with_its_age(acme: Acme) -> None:
    desk = acme.follower()
    acme.scene.signal(BUY)
    held = acme.scene.position(desk)
    acme.scene.later(90)
    assert " old" not in row(acme.html("/positions/"), f"p-{held.pk}")
    acme.scene.later(1)
    assert "1 min 31 s old" in row(acme.html("/positions/"), f"p-{held.pk}")


# --- What protects it ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "word"),
    [
        (OrderStatus.WORKING, "Stop at venue"),
        (OrderStatus.UNKNOWN, "Stop in doubt"),
        (OrderStatus.SENDING, "Stop on its way"),
        (OrderStatus.REJECTED, "No stop at venue"),
    ],
)
def test_it_says_how_well_a_position_is_protected(acme: Acme, state: OrderStatus, word: str) -> None:
    desk = acme.follower()
    acme.scene.signal(BUY)
    Order.objects.filter(subscription=desk, leg="STOP").update(status=state.value)
    assert word in row(acme.html("/positions/"), f"p-{acme.scene.position(desk).pk}")


def test_a_stop_that_covers_a_part_only_says_which_part(acme: Acme) -> None:
    desk = acme.follower()
    acme.scene.signal(BUY)
    Order.objects.filter(subscription=desk, leg="STOP").update(quantity=Decimal(1))
    words = row(acme.html("/positions/"), f"p-{acme.scene.position(desk).pk}")
    assert "Stop covers a part 1.00000 of 2.50000" in words
    assert "0 of 1" in acme.text("/positions/")


def test_a_position_without_any_stop_is_bad_and_in_no_sum_over_stops(acme: Acme) -> None:
    acme.follower(notional="0.5", risk=None)
    acme.scene.signal(entry(LONG, None, None))
    page = acme.html("/positions/")
    assert '<span class="state bad">No stop</span>' in page
    assert "1 without a stop, not counted" in acme.text("/positions/")
    assert "1 without a stop at the venue" in acme.text("/positions/")


# --- What it comes to ----------------------------------------------------------------------------


def test_totals_add_no_currency_to_another_and_no_paper_to_real(acme: Acme) -> None:
    scene = acme.scene
    scene.rate("USD", "INR", "75")
    twin = scene.instrument("BTC-PERP-INR", "3000000", quote="INR", tick="5")
    acme.follower("Rupees", instrument=twin, deposit="7500000", capital="7500000")
    broker = acme.follower("Broker")
    acme.follower("First")
    acme.follower("Second")
    scene.signal(BUY)
    scene.price("40200")
    acme.make_real(broker)
    words = acme.text("/positions/")
    assert "Open result +500.00 USD 1 of 1 above entry" in words
    assert "If every stop fills −1,500.00 USD" in words
    assert "Open result, paper +1,000.00 USD 2 of 2 above entry" in words
    assert "If every stop fills, paper −3,000.00 USD" in words
    assert "Open result, paper 0.00 INR 0 of 1 above entry" in words
    assert "+1,500.00" not in words
    order = ("Real money", "Broker", "Paper hypothetical", "First", "Second")
    assert sorted(order, key=words.index) == list(order)


def test_a_workspace_with_paper_alone_is_told_so_once(acme: Acme) -> None:
    acme.follower()
    acme.scene.signal(BUY)
    words = acme.text("/positions/")
    assert words.count("no real money") == 1
    assert "Real money" not in words


def test_a_position_whose_market_has_no_price_is_in_no_total(acme: Acme) -> None:
    acme.follower("First")
    second = acme.follower("Second")
    acme.scene.signal(BUY)
    acme.scene.price("40200")
    unseen = acme.scene.instrument("ETH-PERP", "2000", pair="ETH/USD")
    Position.objects.filter(subscription=second).update(instrument=unseen)
    unseen.latest.delete()
    words = acme.text("/positions/")
    assert "1 without a price, not counted" in words
    assert "+500.00 USD 1 of 2 above entry" in words
    acme.scene.books_agree = False


def test_nothing_open_says_why_and_what_to_do(acme: Acme) -> None:
    assert "you follow none yet. Choose a strategy" in acme.text("/positions/")
    acme.follower()
    words = acme.text("/positions/")
    assert "Your 1 subscription holds nothing now." in words
    assert "Nothing is open" in words


# --- Working orders ------------------------------------------------------------------------------


def test_working_orders_stand_below_and_the_unknown_is_explained(acme: Acme) -> None:
    desk = acme.follower()
    acme.scene.signal(BUY)
    stop = acme.scene.order(desk, "STOP")
    page = acme.html("/positions/")
    assert row(page, f"o-{stop.client_order_id}").startswith(
        "BTC-PERP crossover · Desk (paper) Stop Sell, stop 0.00000 of 2.50000 BTC 39,600.0 USD – WORKING"
    )
    Order.objects.filter(pk=stop.pk).update(status="UNKNOWN", looks=2)
    words = row(acme.html("/positions/"), f"o-{stop.client_order_id}")
    assert "UNKNOWN The answer was lost. It is never sent again; it is looked up under our id, 2 looks so far" in words


# --- Pushed regions ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "context", "begins"),
    [
        ("position-rows", dashboard.positions, '<tbody id="position-rows" hx-swap-oob="true">'),
        (
            "position-totals",
            dashboard.positions,
            '<div class="pile" id="position-totals" aria-live="off" hx-swap-oob="true">',
        ),
        ("order-rows", fragments.orders, '<tbody id="order-rows" hx-swap-oob="true">'),
    ],
)
def test_a_push_is_what_the_page_painted_and_holds_nothing_to_press(
    acme: Acme, name: str, context: object, begins: str
) -> None:
    acme.follower()
    acme.scene.signal(BUY)
    assert callable(context)
    pushed = render_to_string(f"regions/{name}.html", {**context(acme.cast.acme.pk), "oob": True}).strip()
    assert pushed.startswith(begins)
    assert pushed.replace(' hx-swap-oob="true"', "") in acme.html("/positions/")
    assert "<form" not in pushed and "<button" not in pushed


def address(position: Position) -> str:
    return f"/positions/{position.pk}/"


# --- One position --------------------------------------------------------------------------------


def test_one_position_shows_its_orders_and_the_fills_that_it_is_made_of(acme: Acme) -> None:
    desk = acme.follower()
    acme.scene.venue.refuses(Refused("Not now."), leg="STOP")
    acme.scene.signal(BUY)
    held = acme.scene.position(desk)
    words = acme.text(address(held))
    assert "Long BTC-PERP" in words
    assert "Decided loss at the stop 1,000.00 USD" in words
    assert "REJECTED Venue: refused: Not now." in words
    assert "Stop no. 2" in words
    assert "Buy 2.50000 40,000.0 100,000.00 50.00 USD" in words


def test_a_closed_position_shows_what_it_came_to(acme: Acme) -> None:
    desk = acme.follower()
    acme.scene.signal(BUY)
    acme.scene.minute(high="40900", close="40900")
    trade = Trade.objects.get(subscription=desk)
    words = acme.text(address(acme.scene.position(desk)))
    assert "Ended by Target" in words
    assert f"Gross +2,000.00 USD fees {trade.fees:.2f} USD" in words
    assert f"Net result +{trade.net:,.2f} USD" in words


# --- Who may look --------------------------------------------------------------------------------


def test_others_see_nothing_of_it(acme: Acme) -> None:
    desk = acme.follower()
    acme.scene.signal(BUY)
    held = acme.scene.position(desk)
    acme.refused_to_others(address(held))
    assert "BTC-PERP" not in acme.html("/positions/", acme.cast.gus)
    assert acme.get("/positions/", None).headers["Location"] == "/accounts/login/?next=/positions/"
    assert acme.get("/positions/99999999999999999999/", acme.cast.theo).status_code == 404


def test_the_number_of_queries_does_not_grow_with_the_positions(acme: Acme) -> None:
    acme.follower("First")
    acme.scene.signal(BUY)
    acme.html("/positions/")
    with asks(POSITIONS):
        acme.html("/positions/")
    for name in ("Second", "Third", "Fourth"):
        acme.follower(name)
    acme.scene.minute()
    acme.scene.signal(BUY)
    assert Position.objects.filter(is_open=True).count() == 4
    with asks(POSITIONS):
        acme.html("/positions/")


def test_one_position_takes_a_constant_number_of_queries(acme: Acme) -> None:
    desk = acme.follower()
    acme.scene.signal(BUY)
    held = acme.scene.position(desk)
    acme.html(address(held))
    with asks(POSITION):
        acme.html(address(held))
    acme.scene.minute(low="39500", close="39500")
    with asks(CLOSED):
        acme.html(address(held))
