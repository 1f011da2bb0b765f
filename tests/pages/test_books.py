"""Our books beside the venues, on pages: what differs is explained, and whoever may trade answers it."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from signalist.domain.orders import OrderType, Side
from signalist.trading.discrepancies import Discrepancy, State
from signalist.trading.models import Subscription
from signalist.venues.paper.book import Book
from tests.cast import Cast
from tests.flows.by_hand import looks, trades
from tests.flows.scene import LONG, entry
from tests.pages.acme import Acme, acme_trades, row

BUY = entry(LONG, "39600", "40800")


@pytest.fixture
def acme(transactional_db: None, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> Iterator[Acme]:
    with acme_trades(cast, monkeypatch) as world:
        yield world


def closed_by_hand(acme: Acme, quantity: str = "2.5") -> tuple[Subscription, str]:
    """A position that was closed at the venue; the address of the difference."""
    desk = acme.follower()
    acme.scene.signal(BUY)
    trades(acme.scene, desk, Side.SELL, quantity)
    looks(acme.scene)
    return desk, f"{books_of(desk)}{Discrepancy.objects.get().public_id}/"


def books_of(desk: Subscription) -> str:
    return f"/books/{desk.account.public_id}/"


def says(acme: Acme, address: str, said: str, **more: str) -> int:
    """Theo presses a button, by the numbers that he was shown."""
    shown = Discrepancy.objects.get()
    numbers = {"ours": "" if shown.ours is None else str(shown.ours), "theirs": str(shown.theirs)}
    return int(acme.post(f"{address}answer/", acme.cast.theo, answer=said, **(numbers | more)).status_code)


def test_the_list_says_whether_venue_and_books_agree(acme: Acme) -> None:
    desk = acme.follower()
    assert "Not looked at yet" in row(acme.html("/books/"), f"b-{desk.account.public_id}")
    looks(acme.scene, 1)
    line = row(acme.html("/books/"), f"b-{desk.account.public_id}")
    assert "Agrees" in line
    assert "100,000.00" in line


def test_the_account_says_who_holds_what_and_that_it_adds_up(acme: Acme) -> None:
    desk = acme.follower()
    acme.scene.signal(BUY)
    looks(acme.scene, 1)
    words = acme.text(books_of(desk))
    assert "crossover 2.50000 BTC 2.50000 BTC 0.00000 BTC 2.50000 BTC Adds up" in words
    assert "Orders, positions and money agree." in words


def test_a_difference_is_explained_with_both_sides_numbers(acme: Acme) -> None:
    desk, address = closed_by_hand(acme)
    assert "1 difference" in acme.text("/books/")
    assert "Differs by -2.50000" in acme.text(books_of(desk)).replace("−", "-")
    words = acme.text(address)
    assert "Our books hold 2.50000 BTC of BTC-PERP, the venue 0.00000 BTC." in words
    assert "Entries in BTC-PERP are denied on this account until it is explained" in words
    assert "Book it as closed by hand" in words
    assert "What the venue told" in words


def test_a_trader_adopts_a_close_and_the_page_follows(acme: Acme) -> None:
    desk, address = closed_by_hand(acme)
    assert says(acme, address, "ADOPT") == 302
    assert "Being done" in acme.text(address)
    assert 'hx-trigger="every 2s"' in acme.html(address)
    acme.scene.poll()
    words = acme.text(address)
    assert "Resolved" in words
    assert "Booked as closed by hand, theo." in words
    assert acme.scene.trade(desk).exit_type == "MANUAL"
    assert "Booked as closed by hand, theo." in acme.text(books_of(desk))


def test_the_price_is_asked_for_where_the_venue_told_none(acme: Acme) -> None:
    desk = acme.follower()
    acme.scene.signal(BUY)
    acme.scene.store.transact({desk.account.venue_ref}, set(), _loses_half)
    looks(acme.scene)
    address = f"{books_of(desk)}{Discrepancy.objects.get(subject='position').public_id}/"
    assert "Price at which it was closed" in acme.text(address)
    says(acme, address, "ADOPT")
    assert "Name the price at which it was closed." in acme.text(address)
    says(acme, address, "ADOPT", price="39900")
    acme.scene.poll()
    assert acme.scene.position(desk).quantity == Decimal("1.5")


def _loses_half(book: object) -> None:
    for position in book.positions.values():  # type: ignore[attr-defined]
        position.quantity, position.changed = Decimal("1.5"), True


def test_numbers_that_have_changed_are_not_answered_unseen(acme: Acme) -> None:
    _, address = closed_by_hand(acme, "1")
    says(acme, address, "ADOPT", theirs="0.5")
    assert "The numbers have changed meanwhile" in acme.text(address)
    assert Discrepancy.objects.get().answer == ""


@pytest.mark.parametrize("form", [{}, {"answer": "EVERYTHING"}, {"answer": "ADOPT", "price": "free"}])
def test_a_form_that_is_not_complete_does_nothing(acme: Acme, form: dict[str, str]) -> None:
    _, address = closed_by_hand(acme)
    acme.post(f"{address}answer/", acme.cast.theo, **form)
    assert "nothing was done" in acme.text(address)
    assert Discrepancy.objects.get().state == State.OPEN


def test_an_answer_that_makes_no_sense_is_refused(acme: Acme) -> None:
    _, address = closed_by_hand(acme)
    says(acme, address, "CANCEL")
    assert "That cannot be done about it now" in acme.text(address)


def test_a_read_only_member_sees_everything_and_answers_nothing(acme: Acme) -> None:
    _, address = closed_by_hand(acme)
    page = acme.html(address, acme.cast.vera)
    assert "Your role shows everything and changes nothing." in page
    assert "/answer/" not in page
    assert acme.post(f"{address}answer/", acme.cast.vera, answer="ADOPT").status_code == 403


def test_another_workspace_sees_and_answers_nothing(acme: Acme) -> None:
    desk, address = closed_by_hand(acme)
    acme.refused_to_others(books_of(desk))
    acme.refused_to_others(address)
    assert acme.post(f"{address}answer/", acme.cast.gus, answer="ADOPT").status_code == 404
    assert "Desk" not in acme.text("/books/", acme.cast.gus)


def test_an_external_order_offers_its_own_answers_and_denial_is_in_words(acme: Acme) -> None:
    desk = acme.follower()
    trades(acme.scene, desk, Side.BUY, "1", OrderType.LIMIT, level="30000")
    looks(acme.scene)
    words = acme.text(f"{books_of(desk)}{Discrepancy.objects.get().public_id}/")
    assert "buy 1.00000 BTC of BTC-PERP, limit at 30,000.0." in words
    assert "Cancel it at the venue" in words
    assert "Leave it, it is my own" in words
    acme.scene.signal(BUY)
    assert "Books and venue differ" in acme.text("/decisions/")


def test_a_market_that_we_do_not_know_is_shown_to_the_last_digit(acme: Acme) -> None:
    desk = acme.follower()
    ref = desk.account.venue_ref

    def takes_up_something_else(book: Book) -> None:
        held = book.position(ref, "ELSE-PERP")
        held.quantity, held.changed = Decimal("0.125"), True

    acme.scene.store.transact({ref}, set(), takes_up_something_else)
    looks(acme.scene, 4)
    shown = Discrepancy.objects.get()
    assert (shown.symbol, shown.instrument) == ("ELSE-PERP", None)
    assert "ELSE-PERP none 0.000 0.000 0.125 Differs by 0.125" in acme.text(books_of(desk))
    words = acme.text(f"{books_of(desk)}{shown.public_id}/")
    assert "Our books hold 0 of ELSE-PERP, the venue 0.125." in words
    assert "No subscription trades it, so nothing is held back." in words
