"""The status of a venue's answer over HTTP stands with the attempt that it answered (EXE-25)."""

from __future__ import annotations

import pytest

from signalist.trading.models import OrderAttempt
from signalist.trading.order_book import order_record
from signalist.venues.errors import Busy
from signalist.venues.transport import fence
from tests.flows.scene import LONG, Scene, entry

BUY = entry(LONG, "39600", "40800")

pytestmark = pytest.mark.django_db


def test_each_attempt_has_the_status_of_its_own_answer_and_none_where_nothing_was_answered_over_http(
    scene: Scene,
) -> None:
    async def too_many() -> None:
        fence.keeping()
        fence.answered(429)
        raise Busy("Too many requests.", after=1.0)

    async def taken() -> None:
        fence.keeping()
        fence.answered(200)

    async def unanswered() -> None:
        fence.answered(200)  # a look before it
        fence.keeping()

    scene.minute()
    theo = scene.subscriber()
    scene.venue.before(too_many, "place", leg="ENTRY")
    scene.venue.before(taken, "place", leg="ENTRY")
    scene.venue.before(unanswered, "place", leg="STOP")
    scene.signal(BUY)
    scene.later(2)
    scene.poll()
    told = OrderAttempt.objects.filter(order__leg__in=["ENTRY", "STOP"]).order_by("pk")
    assert [(one.order.leg, one.response_code) for one in told] == [("ENTRY", 429), ("ENTRY", 200), ("STOP", None)]
    record = order_record(scene.order(theo, "ENTRY").client_order_id)  # type: ignore[arg-type]
    assert record is not None and [attempt.code for attempt in record.attempts] == [429, 200]
