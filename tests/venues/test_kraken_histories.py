"""Histories that are longer than one look at them: read to their end, in parts, over several looks, and as far back as is said."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from signalist.domain.matching import Bar
from signalist.domain.orders import OrderStatus
from signalist.venues.base import Reports
from signalist.venues.kraken import histories
from signalist.venues.kraken.histories import LONGEST, StillReading
from signalist.venues.kraken.tape import Cursor
from signalist.venues.paper.matching_desk import Terms
from tests.venues.battery import Traded
from tests.venues.kraken_bench import SPOT, KrakenBench, served
from tests.venues.kraken_server import server
from tests.venues.kraken_server.house import Holder

D = Decimal
PAGE = 5
SECOND = timedelta(seconds=1)


@pytest.fixture
async def bench(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[KrakenBench]:
    monkeypatch.setattr(Traded, "symbol", SPOT.symbol)
    monkeypatch.setattr(histories, "PAGE", PAGE)
    monkeypatch.setattr(server, "PAGE", PAGE)
    async with served(replace(Terms(), slippage=D(0), partial_chance=D(0))) as bench:
        yield bench


def traded(bench: KrakenBench, many: int, every: timedelta = SECOND) -> Holder:
    """An account with so many orders that were filled, one after the other."""
    bench.account()
    holder = bench.server.house.holders[f"account-{bench._opened}"]
    said = {"pair": "ABCUSD", "ordertype": "market", "type": "buy", "volume": "0.01"}
    for number in range(many):
        bench.clock.advance_to(bench.clock.now() + every)
        bench.server.house.add(holder, said | {"type": "buy" if number % 2 == 0 else "sell", "cl_ord_id": f"n{number}"})
        bench.server.move(SPOT.symbol, Bar.tick(D(1000)))
    return holder


class Reader:
    """Reads an account as the engine does: with a cursor, again and again."""

    def __init__(self, bench: KrakenBench) -> None:
        self.session = bench.venue.open(f"account-{bench._opened}")
        self.cursor, self.fills, self.orders = "", list[str](), dict[str, OrderStatus]()

    async def read(self) -> Reports:
        said = await self.session.reports(self.cursor)
        self.fills += [fill.venue_fill_id for fill in said.fills]
        self.orders |= {order.venue_order_id: order.status for order in said.orders}
        self.cursor = said.cursor
        return said


async def test_a_history_of_more_than_twenty_pages_is_read_to_its_end(bench: KrakenBench) -> None:
    many = 21 * PAGE + 3
    holder = traded(bench, many)
    reader = Reader(bench)
    said = await reader.read()
    assert (len(reader.fills), len(set(reader.fills)), len(reader.orders)) == (many, many, len(holder.done))
    assert said.unread_until is None
    assert (await reader.read()).fills == ()


async def test_a_look_that_is_too_short_says_how_far_it_came_and_the_next_goes_on_there(
    bench: KrakenBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = 6 * PAGE
    traded(bench, many)
    reader = Reader(bench)
    monkeypatch.setattr(histories, "SHARE", 0.0)
    monkeypatch.setattr("signalist.venues.kraken.reading.SHARE", 0.0)
    with pytest.raises(StillReading, match=f"{PAGE} rows of ClosedOrders are read so far"):
        await reader.read()
    monkeypatch.setattr("signalist.venues.kraken.reading.SHARE", 1.0)
    traded_meanwhile = bench.server.house.holders["account-1"]
    bench.clock.advance_to(bench.clock.now() + SECOND)
    said = {"pair": "ABCUSD", "ordertype": "market", "type": "buy", "volume": "0.01", "cl_ord_id": "meanwhile"}
    bench.server.house.add(traded_meanwhile, said)
    desk, offsets = reader.session._desk, list[object]()  # type: ignore[attr-defined]

    async def noted(method: str, within: float, fields: Mapping[str, object]) -> Any:
        offsets.append(fields.get("ofs") if method == "ClosedOrders" else "")
        return await desk.ask(method, within, fields)

    desk._histories._ask = noted
    await reader.read()
    assert len(reader.fills) == many
    assert [offset for offset in offsets if offset != ""] == [5, 10, 15, 20, 25, 30], (
        "the first page was not asked for again"
    )
    await reader.read()
    assert len(set(reader.fills)) == len(reader.fills) == many + 1


async def test_what_is_too_much_for_once_comes_in_parts_the_oldest_first(
    bench: KrakenBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(histories, "MOST", 6)
    many = 4 * PAGE
    traded(bench, many, timedelta(minutes=2))
    reader, parts = Reader(bench), list[int]()
    while len(reader.fills) < many:
        parts.append(len((await reader.read()).fills))
    assert len(parts) > 2 and max(parts) <= 7, parts
    assert len(set(reader.fills)) == len(reader.fills) == many
    assert reader.fills == sorted(reader.fills, key=_number)
    assert (await reader.read()).fills == ()


def _number(fill_id: str) -> Any:
    return [int(part) if part.isdecimal() else part for part in fill_id.replace("-", " ").split()]


async def test_how_far_back_it_was_read_is_said_where_more_was_wanted(bench: KrakenBench) -> None:
    traded(bench, 2)
    reader = Reader(bench)
    long_ago = bench.clock.now() - LONGEST - timedelta(days=3)
    reader.cursor = str(Cursor("another", 0, long_ago))
    said = await reader.read()
    assert said.unread_until is not None
    assert abs(said.unread_until - (bench.clock.now() - LONGEST)) < timedelta(minutes=1)
    assert len(said.fills) == 2
