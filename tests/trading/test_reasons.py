"""What a venue says may hold letters that no database takes, and what looks like a secret: an order keeps neither."""

from __future__ import annotations

from signalist.clock import utc_now
from signalist.domain.orders import OrderStatus
from signalist.trading.models import Order
from signalist.trading.transitions import move


def test_a_venues_words_are_kept_as_a_database_takes_them() -> None:
    order = Order(status="SENDING")
    move(order, OrderStatus.REJECTED, utc_now(), "no\x00 way\ud800, api_secret=Kp7qZ3 " + "x" * 300)
    assert order.reason.startswith("no  way , api_secret=") and "Kp7qZ3" not in order.reason
    assert len(order.reason) == 200 and order.reason.isprintable()
