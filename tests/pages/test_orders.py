"""Orders: the list with its filters, and one order with every attempt, answer and fill, and what it was for."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence

import pytest

from signalist.execution.actions import close
from signalist.trading.models import Order, OrderAttempt
from signalist.trading.order_actions import cancel_order
from signalist.venues.errors import Busy, Refused
from tests.cast import Cast
from tests.flows.scene import LONG, entry
from tests.pages.acme import Acme, acme_trades
from tests.pages.counting import asks

BUY = entry(LONG, "39600", "40800")
# The person, session and membership; then instruments to filter by, the count and the page of orders with subscriptions and accounts.
LIST, ONE = 8, 10


@pytest.fixture
def acme(transactional_db: None, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> Iterator[Acme]:
    with acme_trades(cast, monkeypatch) as world:
        yield world


def address(order: Order) -> str:
    return f"/orders/{order.client_order_id}/"


def listed(acme: Acme, query: str = "") -> str:
    """The words of the list."""
    return acme.text(f"/orders/{query}").partition("Changed")[2]


def copies(acme: Acme, order: Order, count: int) -> Sequence[Order]:
    """More orders like this one, each newer than the one before; the ledger knows nothing of their fills."""
    found, acme.scene.books_agree = [], False
    for n in range(1, count + 1):
        copy = Order.objects.get(pk=order.pk)
        copy.pk, copy.n, copy.client_order_id = None, n, str(uuid.uuid4())
        found.append(copy)
    return Order.objects.bulk_create(found)


# --- The list ------------------------------------------------------------------------------------


def test_the_list_shows_what_became_of_each_order(acme: Acme) -> None:
    acme.follower()
    acme.scene.signal(BUY)
    words = listed(acme)
    assert "Entry Buy, market 2.50000 of 2.50000 BTC at market 40,000.0 USD FILLED" in words
    assert "Stop Sell, stop 0.00000 of 2.50000 BTC 39,600.0 USD – WORKING" in words
    assert "Target Sell, take profit 0.00000 of 2.50000 BTC 40,800.0 USD – WORKING" in words
    assert words.index("Target Sell") < words.index("Entry Buy"), "newest first"


@pytest.mark.parametrize(
    ("query", "legs"),
    [
        ("?state=working", {"Stop", "Target"}),
        ("?state=filled", {"Entry"}),
        ("?state=ended", set()),
        ("?leg=STOP", {"Stop"}),
        ("?leg=STOP&state=filled", set()),
        ("?leg=NONSENSE&state=%00&instrument=drop", {"Entry", "Stop", "Target"}),
    ],
)
def test_it_filters_by_state_and_leg_and_passes_over_nonsense(acme: Acme, query: str, legs: set[str]) -> None:
    acme.follower()
    acme.scene.signal(BUY)
    words = listed(acme, query)
    assert {leg for leg in ("Entry Buy", "Stop Sell", "Target Sell") if leg in words} == {
        {"Entry": "Entry Buy"}.get(leg, f"{leg} Sell") for leg in legs
    }


def test_it_filters_by_an_instrument_that_is_followed(acme: Acme) -> None:
    acme.follower()
    acme.scene.signal(BUY)
    other = acme.scene.instrument("ETH-PERP", "2000", pair="ETH/USD")
    assert "Entry Buy" in listed(acme, f"?instrument={acme.scene.btc.pk}")
    page = acme.html("/orders/")
    assert f'<option value="{acme.scene.btc.pk}">BTC-PERP</option>' in page
    assert f'value="{other.pk}"' not in page, "nothing of it was ever followed"


def test_a_list_that_a_filter_empties_offers_the_way_back(acme: Acme) -> None:
    assert "No orders yet" in acme.text("/orders/")
    words = acme.text("/orders/?state=ended")
    assert "No orders like that" in words and "Show without filters" in words


def test_it_turns_pages_and_keeps_the_filter(acme: Acme) -> None:
    desk = acme.follower()
    acme.scene.signal(BUY)
    copies(acme, acme.scene.order(desk, "ENTRY"), 30)
    page = acme.html("/orders/?leg=ENTRY")
    assert page.count("Buy, market") == 25
    assert 'href="?leg=ENTRY&amp;page=2"' in page
    assert "26 to 31 of 31" in acme.text("/orders/?leg=ENTRY&page=2")
    assert "26 to 31 of 31" in acme.text("/orders/?leg=ENTRY&page=99"), "the nearest page there is"
    assert "1 to 25 of 31" in acme.text("/orders/?leg=ENTRY&page=nonsense")


def test_the_number_of_queries_does_not_grow_with_the_orders(acme: Acme) -> None:
    desk = acme.follower()
    acme.scene.signal(BUY)
    acme.html("/orders/")
    with asks(LIST):
        acme.html("/orders/")
    copies(acme, acme.scene.order(desk, "ENTRY"), 20)
    with asks(LIST):
        acme.html("/orders/")


# --- One order -----------------------------------------------------------------------------------


def test_one_order_shows_its_request_the_answer_and_the_fills(acme: Acme) -> None:
    desk = acme.follower()
    said = acme.scene.signal(BUY)[0]
    bought = acme.scene.order(desk, "ENTRY")
    words, page = acme.text(address(bought)), acme.html(address(bought))
    assert "Entry: buy 2.50000 BTC" in words
    assert "1 Place symbol=BTC-PERP, side=BUY, type=MARKET, quantity=2.5, reduce_only=False, client_order_id=" in words
    assert f"Accepted venue_order_id={bought.venue_order_id}" in words
    assert "Slippage 0.0 bp against 40,000.0; plus is paid" in words
    assert "Buy 2.50000 40,000.0 100,000.00 50.00 USD" in words
    assert f'href="/decisions/{said.public_id}/"' in page
    assert f'href="/positions/{bought.position_id}/"' in page
    assert "Other orders of the same decision" in words


def test_its_life_is_told_in_the_order_of_time(acme: Acme) -> None:
    desk = acme.follower()
    acme.scene.signal(BUY)
    target = acme.scene.order(desk, "TARGET")
    acme.scene.later(60)
    cancel_order(target, "c", acme.scene.clock.now(), acme.cast.theo)
    acme.scene.settle()
    words = acme.text(address(target)).partition("Its life")[2]
    told = ["Decided", "Sent to the venue", "Accepted by the venue", "Cancel sent to the venue", "Cancelled"]
    places = [words.index(step) for step in told]
    assert places == sorted(places)
    assert "Cancel commanded by theo" in words
    assert "0 of 2.5 BTC filled" in words


def test_what_is_kept_of_requests_and_answers_holds_no_secret(acme: Acme) -> None:
    acme.follower()
    acme.scene.signal(BUY)
    sent, said = set(), set()
    for attempt in OrderAttempt.objects.all():
        sent |= attempt.request.keys()
        said |= (attempt.response or {}).keys()
    assert sent == {"client_order_id", "symbol", "side", "type", "quantity", "price", "trigger", "reduce_only"}
    assert said == {"venue_order_id"}, "nothing of headers, keys, signatures or nonces"


def test_slippage_is_positive_where_it_was_paid(acme: Acme) -> None:
    desk = acme.follower()
    acme.scene.signal(BUY)
    bought = acme.scene.order(desk, "ENTRY")
    Order.objects.filter(pk=bought.pk).update(reference_price=39_980)
    assert "Slippage +5.0 bp" in acme.text(address(bought))
    Order.objects.filter(pk=bought.pk).update(side="SELL")
    assert "Slippage −5.0 bp" in acme.text(address(bought))
    acme.scene.books_agree = False


def test_a_refusal_is_shown_as_the_venue_put_it(acme: Acme) -> None:
    desk = acme.follower()
    acme.scene.venue.refuses(Refused("Your account is <closed>."), leg="ENTRY")
    acme.scene.signal(BUY)
    page = acme.html(address(acme.scene.order(desk, "ENTRY")))
    assert "The venue refused it." in page
    assert "Your account is &lt;closed&gt;." in page
    assert "<closed>" not in page


def test_every_attempt_is_shown(acme: Acme) -> None:
    desk = acme.follower()
    acme.scene.venue.refuses(Busy("Too many requests."), leg="ENTRY")
    acme.scene.signal(BUY)
    acme.scene.later(3)
    acme.scene.poll()
    words = acme.text(address(acme.scene.order(desk, "ENTRY")))
    assert "1 Place" in words and "busy Too many requests." in words
    assert "2 Place" in words and "Accepted" in words


def test_an_order_in_doubt_says_what_is_done_about_it(acme: Acme) -> None:
    desk = acme.follower()
    acme.scene.signal(BUY)
    stop = acme.scene.order(desk, "STOP")
    Order.objects.filter(pk=stop.pk).update(status="UNKNOWN", looks=1)
    words = acme.text(address(stop))
    assert "Nobody knows yet what became of this order." in words
    assert "it is looked up under our id, 1 time so far" in words


def test_an_order_that_was_never_sent_says_so(acme: Acme) -> None:
    desk = acme.follower()
    acme.scene.venue.refuses(Busy("Too many requests."), leg="ENTRY", times=99)
    acme.scene.signal(BUY)
    acme.scene.later(60)
    acme.scene.poll()
    dropped = acme.scene.order(desk, "ENTRY")
    words = acme.text(address(dropped))
    assert "EXPIRED" in words
    assert "Last word: past its deadline before it was sent" in words
    assert "No fills." in words


def test_an_order_of_a_command_names_who_gave_it(acme: Acme) -> None:
    desk = acme.follower()
    acme.scene.signal(BUY)
    close(acme.scene.position(desk), "k1", "too risky for me", acme.scene.clock.now(), acme.cast.olivia)
    acme.scene.settle()
    words = acme.text(address(acme.scene.order(desk, "EXIT")))
    assert "Command Close Given by olivia" in words
    assert "Reason too risky for me" in words


def test_others_see_nothing_of_it(acme: Acme) -> None:
    desk = acme.follower()
    acme.scene.signal(BUY)
    bought = acme.scene.order(desk, "ENTRY")
    acme.refused_to_others(address(bought))
    assert "Entry Buy" not in acme.text("/orders/", acme.cast.gus)
    assert "Entry: buy" in acme.text(address(bought), acme.cast.vera)
    assert acme.get("/orders/", None).status_code == 302
    assert acme.get(f"/orders/{uuid.uuid4()}/", acme.cast.theo).status_code == 404


def test_one_order_takes_a_constant_number_of_queries(acme: Acme) -> None:
    desk = acme.follower()
    acme.scene.signal(BUY)
    bought = acme.scene.order(desk, "ENTRY")
    acme.html(address(bought))
    with asks(ONE):
        acme.html(address(bought))
    copies(acme, bought, 5)
    with asks(ONE):
        acme.html(address(bought))
