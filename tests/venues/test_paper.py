"""What is the paper venue's own: one transaction for orders that come together, its audit, its restart, and that no money appears."""

from __future__ import annotations

import asyncio
from dataclasses import astuple, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signalist.accounts.paper_kept import KeptBooks
from signalist.accounts.paper_store import PaperStore
from signalist.domain.matching import Bar
from signalist.domain.orders import OrderStatus, OrderType, Side
from signalist.venues.base import FillReport, Session
from signalist.venues.errors import DuplicateOrder, InsufficientFunds, NoAnswer, Refused
from signalist.venues.paper.book import TapeRow
from signalist.venues.paper.exchange import SymbolBar
from tests import examples
from tests.venues.battery import Following, held, limit, placed, request, status, stop
from tests.venues.paper_bench import BEGIN, PERPETUAL, TERMS, MemoryStore, PaperBench

D = Decimal
BUY, SELL = Side.BUY, Side.SELL


@pytest.fixture(params=["memory", "tables"])
def bench(request: pytest.FixtureRequest) -> PaperBench:
    if request.param == "memory":
        return PaperBench(MemoryStore())
    request.getfixturevalue("database_under_a_loop")
    return PaperBench(PaperStore())


# --- Group commit --------------------------------------------------------------------------------


async def test_orders_that_come_together_share_one_transaction(bench: PaperBench) -> None:
    sessions = [bench.account() for _ in range(20)]
    before = bench.store.version()
    acks = await asyncio.gather(*(session.place(request(BUY, "1")) for session in sessions))
    assert bench.store.version() == before + 1
    assert len({ack.venue_order_id for ack in acks}) == 20
    assert [await held(session) for session in sessions] == [1] * 20


async def test_orders_that_come_one_after_the_other_do_not_wait_for_company(bench: PaperBench) -> None:
    session = bench.account()
    before = bench.store.version()
    await placed(session, request(BUY, "1"), request(BUY, "1"))
    assert bench.store.version() == before + 2


async def test_orders_that_come_together_are_paid_for_one_by_one(bench: PaperBench) -> None:
    session = bench.account()
    answers = await asyncio.gather(*(session.place(request(BUY, "4")) for _ in range(4)), return_exceptions=True)
    assert [type(answer).__name__ for answer in answers] == ["Ack", "Ack", "InsufficientFunds", "InsufficientFunds"]
    assert await held(session) == 8


async def test_an_order_is_in_the_books_when_its_answer_comes(bench: PaperBench) -> None:
    session = bench.account()
    (order,) = await placed(session, limit(BUY, "1", 990))
    assert [resting.client_order_id for resting in bench.store.resting()] == [order]


class _Broken(MemoryStore):
    """Books that cannot be written just now."""

    broken = True

    def transact(self, *arguments: Any) -> Any:
        if self.broken:
            raise OSError("no space left on device")
        return super().transact(*arguments)


async def test_a_venue_whose_books_cannot_be_written_gives_no_answer_and_goes_on_afterwards() -> None:
    store = _Broken()
    bench = PaperBench(store)
    session, other = bench.account(), bench.account()
    answers = await asyncio.gather(
        session.place(request(BUY, "1")), other.place(request(BUY, "1")), return_exceptions=True
    )
    assert [type(answer) for answer in answers] == [NoAnswer, NoAnswer]
    store.broken = False
    await session.place(request(BUY, "1"))
    assert await held(session) == 1


async def test_a_caller_that_gave_up_is_served_all_the_same(bench: PaperBench) -> None:
    """Its request had arrived: that is why a time-out is no refusal."""
    session = bench.account()
    order = request(BUY, "1")
    hasty = asyncio.ensure_future(session.place(order))
    patient = asyncio.ensure_future(session.place(request(BUY, "1")))
    await asyncio.sleep(0)
    hasty.cancel()
    await patient
    assert await status(session, order.client_order_id) == (OrderStatus.FILLED, 1)
    assert await held(session) == 2


# --- Time ----------------------------------------------------------------------------------------


async def test_an_order_trades_after_the_venues_latency(bench: PaperBench) -> None:
    session = bench.account()
    await placed(session, request(BUY, "1"))
    (fill,) = (await session.reports("")).fills
    assert fill.time == bench.now() + timedelta(milliseconds=TERMS.latency_ms)


async def test_latency_is_waited_for_where_there_is_something_to_wait_with() -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    bench = PaperBench(MemoryStore(), replace(TERMS, latency_ms=70))
    bench.exchange._sleep = sleep
    await bench.account().place(request(BUY, "1"))
    assert waited == [0.07]


async def test_a_bar_that_began_before_the_order_came_does_not_fill_it(bench: PaperBench) -> None:
    session = bench.account()
    bench.clock.advance_to(bench.now() + timedelta(seconds=30))
    (order,) = await placed(session, limit(BUY, "1", 990))
    end = bench.now() + timedelta(seconds=30)
    began = end - timedelta(minutes=1)
    await bench.exchange.on_bars([SymbolBar(PERPETUAL.symbol, Bar(D(1000), D(1000), D(900)), began, end)])
    assert await status(session, order) == (OrderStatus.WORKING, 0)


# --- Restart -------------------------------------------------------------------------------------


async def test_what_rested_before_a_restart_is_filled_after_it(bench: PaperBench) -> None:
    session = bench.account()
    _, protection = await placed(session, request(BUY, "1"), stop(SELL, "1", 950))
    following = await Following(session).read()
    after = bench.restarted()
    following.session = after.venue.open("account-1")
    await after.moves_to(940)
    await following.read()
    assert [fill.client_order_id for fill in following.fills][1:] == [protection]
    assert await held(following.session) == 0


async def test_two_exchanges_over_one_book_see_each_others_orders(bench: PaperBench) -> None:
    session = bench.account()
    twin = bench.restarted()
    await bench.moves_to(1001)
    (order,) = await placed(twin.venue.open("account-1"), limit(BUY, "1", 990))
    await bench.moves_to(980)
    assert await status(session, order) == (OrderStatus.FILLED, 1)


# --- Audit ---------------------------------------------------------------------------------------


async def _entered(session: Session, **changes: Any) -> None:
    await placed(session, request(BUY, "2", **changes))


async def test_a_book_in_order_has_nothing_to_report(bench: PaperBench) -> None:
    session, other = bench.account(), bench.account()
    await _entered(session)
    await _entered(other)
    for each in (session, other):
        await placed(each, stop(SELL, "2", 950))
    audit = await bench.exchange.audit()
    assert (audit.duplicates, audit.unprotected) == (0, ())


async def test_the_audit_counts_entries_beyond_one_per_account_and_signal(bench: PaperBench) -> None:
    session, other = bench.account(), bench.account()
    await _entered(session)
    await _entered(other)
    await _entered(session, tag="signal 2")
    await placed(session, request(SELL, "1", reduce_only=True), request(SELL, "1", reduce_only=True))
    assert (await bench.exchange.audit()).duplicates == 0
    await _entered(session)
    await _entered(session)
    await _entered(other)
    assert (await bench.exchange.audit()).duplicates == 3


async def test_an_entry_that_was_refused_is_no_duplicate(bench: PaperBench) -> None:
    session = bench.account()
    await _entered(session)
    with pytest.raises(Refused):
        await placed(session, request(BUY, "100"))
    assert (await bench.exchange.audit()).duplicates == 0


async def test_an_entry_that_was_closed_again_is_still_counted(bench: PaperBench) -> None:
    session = bench.account()
    await _entered(session)
    await placed(session, request(SELL, "2", reduce_only=True))
    await _entered(session)
    assert (await bench.exchange.audit()).duplicates == 1


@pytest.mark.parametrize(
    "protection",
    [
        [],
        [stop(SELL, "1.999", 950)],
        [stop(BUY, "2", 1050)],
        [stop(SELL, "2", 950, reduce_only=False)],
        [limit(SELL, "2", 1050, reduce_only=True)],
    ],
    ids=["none", "too small", "on the wrong side", "not reduce-only", "a limit"],
)
async def test_the_audit_finds_a_position_that_no_stop_covers(bench: PaperBench, protection: list[Any]) -> None:
    session = bench.account()
    await _entered(session)
    await placed(session, *(replace(order) for order in protection))
    assert (await bench.exchange.audit()).unprotected == (("account-1", "ABC-PERP"),)
    assert await bench.exchange.unprotected() == (("account-1", "ABC-PERP"),)


async def test_several_stops_may_cover_a_position_together(bench: PaperBench) -> None:
    session = bench.account()
    await _entered(session)
    _, second = await placed(session, stop(SELL, "1.5", 950), stop(SELL, "0.5", 940))
    assert await bench.exchange.unprotected() == ()
    await session.cancel(second)
    assert len(await bench.exchange.unprotected()) == 1


async def test_a_short_is_covered_by_a_stop_that_buys(bench: PaperBench) -> None:
    session = bench.account()
    await placed(session, request(SELL, "2"), stop(BUY, "2", 1050))
    assert await bench.exchange.unprotected() == ()


# --- The tape does not depend on the store, nor on the order of work -----------------------------


async def _told(bench: PaperBench) -> list[TapeRow]:
    """Play a long scene and return what is on the tape."""
    sessions = [bench.account(D(5_000) * n) for n in range(1, 6)]
    for minute, price in enumerate((1000, 1004, 990, 961, 985, 1020, 1055, 1010, 940, 1000)):
        await bench.moves_to(price)
        for number, session in enumerate(sessions):
            side = BUY if (minute + number) % 3 else SELL
            closing = SELL if side is BUY else BUY
            key = f"{minute}-{number}"
            orders = [
                request(side, f"{number + 1}.5", leverage=D(5), client_order_id=f"{key} entry"),
                stop(closing, f"{number + 1}.5", price - 30 * side.sign, client_order_id=f"{key} stop"),
                limit(closing, f"{number + 1}", price + 20 * side.sign, client_order_id=f"{key} limit", leverage=D(5)),
            ]
            for order in orders:
                try:
                    await session.place(order)
                except InsufficientFunds:
                    continue
    refs = {f"account-{n}": 0 for n in range(1, 6)}
    return [row for rows in bench.store.tape(refs).values() for _, row in rows]


@pytest.mark.django_db
@pytest.mark.usefixtures("database_under_a_loop")
async def test_the_tables_keep_the_books_as_memory_does() -> None:
    in_parts = replace(TERMS, partial_chance=D("0.3"))
    in_memory = await _told(PaperBench(MemoryStore(), in_parts))
    in_tables = await _told(PaperBench(PaperStore(), in_parts))
    assert len(in_memory) > 100
    assert any(row.status is OrderStatus.PARTIAL for row in in_memory)
    assert in_tables == in_memory


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("database_under_a_loop")
async def test_books_that_are_kept_are_those_of_the_tables() -> None:
    kept, in_parts = KeptBooks(), replace(TERMS, partial_chance=D("0.3"))
    bench = PaperBench(kept, in_parts)
    assert await _told(bench) == await _told(PaperBench(MemoryStore(), in_parts))
    tables, refs = PaperStore(), [f"account-{n}" for n in range(1, 6)]
    assert kept.resting() == tables.resting()
    assert sorted(map(astuple, kept.open_positions())) == sorted(map(astuple, tables.open_positions()))
    assert kept.books(refs).accounts == tables.books(refs).accounts
    # An order that is not open is not in memory, and its name is taken all the same; what was worked off beside it counts once.
    over = next(order for order in tables.taken("account-1", BEGIN) if not order.is_open)
    session = bench.venue.open("account-1")
    fresh, again = request(BUY, "1"), request(BUY, "1", client_order_id=over.client_order_id)
    taken, refused = await asyncio.gather(session.place(fresh), session.place(again), return_exceptions=True)
    assert isinstance(refused, DuplicateOrder) and not isinstance(taken, BaseException)
    assert kept.books(refs).accounts == tables.books(refs).accounts
    with pytest.raises(DuplicateOrder):  # nor is it refused for what it would cost beside the first
        await session.place(request(BUY, "99999", client_order_id=over.client_order_id))


async def test_the_same_seed_tells_the_same_story_and_another_seed_another() -> None:
    in_parts = replace(TERMS, partial_chance=D("0.3"))
    first, again = await _told(PaperBench(MemoryStore(), in_parts)), await _told(PaperBench(MemoryStore(), in_parts))
    other = await _told(PaperBench(MemoryStore(), replace(in_parts, seed=2)))
    assert first == again
    assert first != other


# --- No money appears ----------------------------------------------------------------------------

quantities = st.integers(5, 6_000).map(lambda lots: lots * PERPETUAL.lot)
prices = st.integers(8_000, 12_000).map(lambda ticks: ticks * PERPETUAL.tick)
orders = st.builds(
    lambda side, kind, quantity, level, reduce_only, leverage: {
        "side": side,
        "kind": kind,
        "quantity": quantity,
        "price": level if kind is OrderType.LIMIT else None,
        "trigger": level if kind in (OrderType.STOP, OrderType.TAKE_PROFIT) else None,
        "reduce_only": reduce_only,
        "leverage": D(leverage),
    },
    st.sampled_from(Side),
    st.sampled_from(OrderType),
    quantities,
    prices,
    st.booleans(),
    st.sampled_from([1, 3, 10, 50]),
)
steps = st.one_of(
    st.tuples(st.just("place"), st.integers(0, 1), orders),
    st.tuples(st.just("move"), prices, st.none()),
    st.tuples(st.just("cancel"), st.integers(0, 1), st.integers(0, 30)),
    st.tuples(st.just("amend"), st.integers(0, 1), st.tuples(st.integers(0, 30), quantities)),
)
CASH = [D(10_000), D(500_000)]


async def _played(script: list[tuple[str, Any, Any]]) -> tuple[PaperBench, list[Following], set[str]]:
    """Play the script on two accounts, close everything, and hear it all."""
    bench = PaperBench(MemoryStore(), replace(TERMS, partial_chance=D("0.4")))
    sessions, known = [bench.account(cash) for cash in CASH], list[str]()
    for what, where, how in script:
        try:
            if what == "place":
                known.append((await sessions[where].place(request(**how))).client_order_id)
            elif what == "move":
                await bench.moves_to(where)
            elif known and what == "cancel":
                await sessions[where].cancel(known[how % len(known)])
            elif known:
                await sessions[where].amend(known[how[0] % len(known)], how[1])
        except Refused:
            continue
    for order in bench.store.resting():
        await sessions[int(order.ref[-1]) - 1].cancel(order.client_order_id)
    closing = set[str]()
    while any([await held(session) for session in sessions]):
        for session in sessions:
            for position in await session.positions():
                side = SELL if position.quantity > 0 else BUY
                order = request(side, abs(position.quantity), reduce_only=True)
                closing.add((await session.place(order)).client_order_id)
        await bench.moves_to(1000)
    return bench, [await Following(session).read() for session in sessions], closing


def _flow(fill: FillReport) -> Decimal:
    return -fill.side.sign * fill.quantity * fill.price - fill.fee


@settings(max_examples=examples.up_to(150))
@given(st.lists(steps, max_size=25))
def test_the_change_of_an_accounts_cash_is_the_sum_of_its_fills_and_fees(script: list[tuple[str, Any, Any]]) -> None:
    async def scene() -> None:
        _, stories, _ = await _played(script)
        for cash, story in zip(CASH, stories, strict=True):
            balance = await story.session.balance()
            assert balance.total == cash + sum((_flow(fill) for fill in story.fills), D(0))
            assert balance.available == balance.total, "a flat account without orders has something locked"
            assert sum((fill.side.sign * fill.quantity for fill in story.fills), D(0)) == 0

    asyncio.run(scene())


@settings(max_examples=examples.up_to(100))
@given(st.lists(steps, max_size=25))
def test_no_order_is_filled_beyond_its_quantity_or_told_twice(script: list[tuple[str, Any, Any]]) -> None:
    async def scene() -> None:
        bench, stories, _ = await _played(script)
        for story in stories:
            assert len({fill.venue_fill_id for fill in story.fills}) == len(story.fills)
            for key, report in story.orders.items():
                filled = sum((f.quantity for f in story.fills if f.client_order_id == key), D(0))
                assert filled == report.filled <= report.quantity
                assert (report.status is OrderStatus.FILLED) == (report.filled == report.quantity)
        assert bench.store.resting() == []

    asyncio.run(scene())


@settings(max_examples=examples.up_to(100))
@given(st.lists(steps, max_size=25))
def test_every_fill_is_on_the_instruments_grids(script: list[tuple[str, Any, Any]]) -> None:
    async def scene() -> None:
        _, stories, _ = await _played(script)
        for fill in (fill for story in stories for fill in story.fills):
            assert fill.quantity > 0
            assert fill.quantity % PERPETUAL.lot == 0
            assert fill.price % PERPETUAL.tick == 0
            assert fill.fee > 0

    asyncio.run(scene())
