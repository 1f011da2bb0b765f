"""The conformance battery: what every venue's sessions must do, whatever is behind them.

A venue's own test module derives a `Test…` class from `Battery` and offers the fixture `bench`: its venue with one instrument and a
market that the test moves. Nothing here looks past the protocol of `signalist.venues.base`.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar, Protocol

import pytest

from signalist.domain.instruments import InstrumentSpec
from signalist.domain.money import LARGEST, settle
from signalist.domain.orders import OrderStatus, OrderType, Side
from signalist.venues.base import (
    Ack,
    Balance,
    FillReport,
    NetPosition,
    OpenOrder,
    OrderReport,
    OrderRequest,
    Session,
    Venue,
)
from signalist.venues.errors import (
    BadCredential,
    DuplicateOrder,
    InsufficientFunds,
    Next,
    NoMarket,
    OrderNotOpen,
    Refused,
    UnknownInstrument,
)

D = Decimal
BUY, SELL = Side.BUY, Side.SELL
DEPOSIT = D(10_000)


class Bench(Protocol):
    """A venue to try: a perpetual with tick 0.1 and lot 0.001 at 1000, and a spot market of the same prices.

    `partial` is another venue, where the market takes every market order in two parts.
    """

    venue: Venue
    perpetual: InstrumentSpec
    spot: InstrumentSpec
    taker_fee: Decimal
    maker_fee: Decimal

    def taken_at(self, price: Decimal, side: Side) -> Decimal:
        """What a taker pays or gets where the market stands at `price`."""
        ...

    def account(self, cash: Decimal = DEPOSIT) -> Session:
        """A fresh account."""
        ...

    def now(self) -> datetime: ...

    async def moves_to(self, price: str | int) -> None:
        """A minute later the market stands at `price`."""
        ...

    async def bar(self, opened: int, high: int, low: int) -> None:
        """A minute passes in which the market did this."""
        ...

    def closes(self) -> None:
        """There is no price any more."""
        ...


class Traded:
    """The symbol that the battery trades: that of the bench's main instrument."""

    symbol = "ABC-PERP"


class Following:
    """Reads a session's reports as an engine does: from its cursor, keeping all that came."""

    def __init__(self, session: Session) -> None:
        self.session, self.cursor = session, ""
        self.orders: dict[str, OrderReport] = {}
        self.fills: list[FillReport] = []

    async def read(self) -> Following:
        """Take in what is new."""
        reports = await self.session.reports(self.cursor)
        self.cursor = reports.cursor
        self.orders |= {name(order): order for order in reports.orders}
        self.fills += reports.fills
        return self


def request(side: Side, quantity: str | Decimal, kind: OrderType = OrderType.MARKET, **changes: Any) -> OrderRequest:
    """A request for the bench's perpetual under a fresh id."""
    values: dict[str, Any] = {
        "client_order_id": str(uuid.uuid4()),
        "symbol": Traded.symbol,
        "side": side,
        "type": kind,
        "quantity": D(quantity),
        "price": None,
        "trigger": None,
        "reduce_only": False,
        "leverage": D(1),
        "tag": "signal 1",
    }
    return OrderRequest(**{name: _stored(value) for name, value in {**values, **changes}.items()})


def _stored(value: Any) -> Any:
    """A number as rows give it: with all the decimals that they hold, whatever they are."""
    can_be = isinstance(value, Decimal) and value.is_finite() and abs(value) <= LARGEST and settle(value) == value
    return settle(value) if can_be else value


def limit(side: Side, quantity: str, price: str | int, **changes: Any) -> OrderRequest:
    return request(side, quantity, OrderType.LIMIT, price=D(price), **changes)


def stop(side: Side, quantity: str, trigger: str | int, **changes: Any) -> OrderRequest:
    return request(side, quantity, OrderType.STOP, **{"trigger": D(trigger), "reduce_only": True, **changes})


def target(side: Side, quantity: str, trigger: str | int, **changes: Any) -> OrderRequest:
    return request(side, quantity, OrderType.TAKE_PROFIT, **{"trigger": D(trigger), "reduce_only": True, **changes})


async def placed(session: Session, *requests: OrderRequest) -> list[str]:
    """Place one after the other; their ids."""
    return [name(await session.place(order)) for order in requests]


def name(told: Ack | OrderReport | FillReport | OpenOrder) -> str:
    """The id under which the venue is asked for an order that it tells of: ours, or its own where it knows none of ours."""
    return told.client_order_id or told.venue_order_id


async def status(session: Session, client_order_id: str) -> tuple[OrderStatus, Decimal]:
    """An order's status and what of it is filled."""
    report = await session.look_up(client_order_id)
    assert report is not None
    return report.status, report.filled


async def held(session: Session) -> Decimal:
    """The net position in the perpetual."""
    return sum((p.quantity for p in await session.positions()), D(0))


WORKING, PARTIAL, FILLED, CANCELLED = (
    OrderStatus.WORKING,
    OrderStatus.PARTIAL,
    OrderStatus.FILLED,
    OrderStatus.CANCELLED,
)


class Trades:
    """What both batteries begin with: requests are for the bench's main instrument.

    `lacks` says what the venue does not have, by the words of `tests.venues.cards`, and why; `without` the cards that it is not dealt.
    """

    venue_name: ClassVar[str] = ""
    lacks: ClassVar[Mapping[str, str]] = {}
    without: ClassVar[Mapping[int, str]] = {}

    @pytest.fixture(autouse=True)
    def _traded(self, bench: Bench) -> Iterator[None]:
        Traded.symbol, before = bench.perpetual.symbol, Traded.symbol
        yield
        Traded.symbol = before


class Battery(Trades):
    """Derive `Test…` from it and offer the fixture `bench`."""

    # --- Market orders -------------------------------------------------------------------------

    @pytest.mark.parametrize("side", Side)
    async def test_a_market_order_is_filled_at_once_with_slippage_and_the_takers_fee(
        self, bench: Bench, side: Side
    ) -> None:
        session = bench.account()
        ack = await session.place(request(side, "2.5"))
        (fill,) = (await session.reports("")).fills
        price = bench.taken_at(D(1000), side)
        assert (name(fill), fill.side, fill.symbol) == (name(ack), side, Traded.symbol)
        assert (fill.quantity, fill.price) == (D("2.5"), price)
        assert (fill.fee, fill.fee_currency) == (settle(D("2.5") * price * bench.taker_fee), "USD")
        assert fill.time >= bench.now()
        assert await status(session, name(ack)) == (FILLED, D("2.5"))
        assert await session.positions() == (NetPosition(Traded.symbol, D("2.5") * side.sign),)

    async def test_the_answer_to_a_placing_names_the_order_at_the_venue(self, bench: Bench) -> None:
        session = bench.account()
        ack = await session.place(request(BUY, "1"))
        report = await session.look_up(name(ack))
        assert report is not None
        assert report.venue_order_id == ack.venue_order_id != ""
        assert report.quantity == 1

    # --- Limit orders --------------------------------------------------------------------------

    @pytest.mark.parametrize(("side", "price", "reach"), [(BUY, 990, 989), (SELL, 1010, 1011)])
    async def test_a_limit_order_rests_and_is_filled_at_its_own_price_with_the_makers_fee(
        self, bench: Bench, side: Side, price: int, reach: int
    ) -> None:
        session = bench.account()
        (order,) = await placed(session, limit(side, "2", price))
        assert await status(session, order) == (WORKING, 0)
        await bench.bar(1000, 1009, 991)
        assert await status(session, order) == (WORKING, 0)
        await bench.moves_to(reach)
        (fill,) = (await session.reports("")).fills
        assert (fill.price, fill.fee) == (price, settle(2 * D(price) * bench.maker_fee))
        assert await status(session, order) == (FILLED, 2)

    @pytest.mark.parametrize(("side", "price"), [(BUY, 1100), (SELL, 900)])
    async def test_a_limit_order_on_the_wrong_side_of_the_market_is_filled_at_once(
        self, bench: Bench, side: Side, price: int
    ) -> None:
        """CON-27: which is why a limit is no stop."""
        session = bench.account()
        (order,) = await placed(session, limit(side, "2", price))
        (fill,) = (await session.reports("")).fills
        assert await status(session, order) == (FILLED, 2)
        assert fill.price == bench.taken_at(D(1000), side)
        assert fill.fee == settle(2 * fill.price * bench.taker_fee)

    @pytest.mark.parametrize("side", Side)
    async def test_a_limit_order_is_never_filled_worse_than_its_price(self, bench: Bench, side: Side) -> None:
        session = bench.account()
        await placed(session, limit(side, "2", 1000))
        (fill,) = (await session.reports("")).fills
        assert fill.price == 1000

    # --- Stops and targets ---------------------------------------------------------------------

    @pytest.mark.parametrize(("side", "trigger", "near"), [(BUY, 950, 951), (SELL, 1050, 1049)])
    async def test_a_stop_waits_until_the_market_gets_there_and_then_takes(
        self, bench: Bench, side: Side, trigger: int, near: int
    ) -> None:
        session = bench.account()
        closing = SELL if side is BUY else BUY
        _, protection = await placed(session, request(side, "2"), stop(closing, "2", trigger))
        await bench.moves_to(near)
        assert await status(session, protection) == (WORKING, 0)
        await bench.moves_to(trigger)
        fill = (await session.reports("")).fills[-1]
        assert (name(fill), fill.price) == (protection, bench.taken_at(D(trigger), closing))
        assert fill.fee == settle(2 * fill.price * bench.taker_fee)
        assert await held(session) == 0

    @pytest.mark.parametrize(("side", "trigger", "near"), [(BUY, 1050, 1049), (SELL, 950, 951)])
    async def test_a_take_profit_waits_until_the_market_gets_there_and_then_takes(
        self, bench: Bench, side: Side, trigger: int, near: int
    ) -> None:
        session = bench.account()
        closing = SELL if side is BUY else BUY
        _, aim = await placed(session, request(side, "2"), target(closing, "2", trigger))
        await bench.moves_to(near)
        assert await status(session, aim) == (WORKING, 0)
        await bench.moves_to(trigger)
        fill = (await session.reports("")).fills[-1]
        assert (name(fill), fill.price) == (aim, bench.taken_at(D(trigger), closing))
        assert await held(session) == 0

    @pytest.mark.parametrize(("side", "trigger", "gap"), [(BUY, 950, 900), (SELL, 1050, 1100)])
    async def test_a_gap_over_a_stop_is_paid_in_full(self, bench: Bench, side: Side, trigger: int, gap: int) -> None:
        session = bench.account()
        closing = SELL if side is BUY else BUY
        await placed(session, request(side, "2"), stop(closing, "2", trigger))
        await bench.bar(gap, gap + 60, gap - 60)
        assert (await session.reports("")).fills[-1].price == bench.taken_at(D(gap), closing)

    async def test_a_bar_that_reaches_stop_and_target_fills_the_stop_and_leaves_nothing_for_the_target(
        self, bench: Bench
    ) -> None:
        session = bench.account()
        _, aim, protection = await placed(session, request(BUY, "2"), target(SELL, "2", 1050), stop(SELL, "2", 950))
        await bench.bar(1000, 1100, 900)
        assert await status(session, protection) == (FILLED, 2)
        assert await status(session, aim) == (CANCELLED, 0)
        assert await held(session) == 0

    # --- Parts ---------------------------------------------------------------------------------

    async def test_a_market_order_may_be_filled_in_parts_that_add_up(self, partial: Bench) -> None:
        session = partial.account()
        (order,) = await placed(session, request(BUY, "2"))
        state, filled = await status(session, order)
        assert state is PARTIAL
        assert 0 < filled < 2
        assert await held(session) == filled
        await partial.moves_to(1001)
        following = await Following(session).read()
        assert await status(session, order) == (FILLED, 2)
        assert [fill.quantity for fill in following.fills] == [filled, 2 - filled]
        assert len({fill.venue_fill_id for fill in following.fills}) == 2
        assert following.orders[order].status is FILLED

    async def test_what_is_left_of_a_partial_fill_can_be_cancelled_and_keeps_its_filled_part(
        self, partial: Bench
    ) -> None:
        session = partial.account()
        (order,) = await placed(session, request(BUY, "2"))
        _, filled = await status(session, order)
        report = await session.cancel(order)
        assert (report.status, report.filled, report.quantity) == (CANCELLED, filled, 2)
        await partial.moves_to(1001)
        assert await held(session) == filled

    # --- Reduce-only ---------------------------------------------------------------------------

    async def test_a_reduce_only_order_takes_no_more_than_is_held_and_the_rest_of_it_is_cancelled(
        self, bench: Bench
    ) -> None:
        session = bench.account()
        _, closing = await placed(session, request(BUY, "2"), request(SELL, "3", reduce_only=True))
        assert await held(session) == 0
        report = (await Following(session).read()).orders[closing]
        assert (report.status, report.filled, report.reason) == (CANCELLED, 2, "nothing left to reduce")

    @pytest.mark.parametrize("side", Side)
    async def test_a_reduce_only_order_without_a_position_is_cancelled(self, bench: Bench, side: Side) -> None:
        session = bench.account()
        (order,) = await placed(session, request(side, "1", reduce_only=True))
        assert (await Following(session).read()).orders[order].status is CANCELLED
        assert await held(session) == 0

    async def test_a_reduce_only_order_never_adds_to_a_position(self, bench: Bench) -> None:
        session = bench.account()
        _, order = await placed(session, request(BUY, "1"), request(BUY, "1", reduce_only=True))
        assert await held(session) == 1
        assert await status(session, order) == (CANCELLED, 0)

    async def test_a_stop_that_outlives_its_position_opens_no_other(self, bench: Bench) -> None:
        session = bench.account()
        _, protection, _ = await placed(
            session, request(BUY, "1"), stop(SELL, "1", 950), request(SELL, "1", reduce_only=True)
        )
        await bench.moves_to(900)
        assert await held(session) == 0
        assert await status(session, protection) == (CANCELLED, 0)

    # --- Cancel --------------------------------------------------------------------------------

    async def test_a_cancelled_order_is_not_filled_any_more(self, bench: Bench) -> None:
        session = bench.account()
        (order,) = await placed(session, limit(BUY, "1", 990))
        report = await session.cancel(order)
        assert (report.status, report.filled) == (CANCELLED, 0)
        await bench.moves_to(980)
        assert (await session.reports("")).fills == ()
        assert await status(session, order) == (CANCELLED, 0)

    async def test_a_cancel_that_comes_too_late_is_told_so(self, bench: Bench) -> None:
        session = bench.account()
        order, other = await placed(session, limit(BUY, "1", 990), limit(BUY, "1", 990))
        await session.cancel(other)
        await bench.moves_to(980)
        for late in (order, other, str(uuid.uuid4())):
            with pytest.raises(OrderNotOpen) as refused:
                await session.cancel(late)
            assert refused.value.next is Next.FINAL
        assert await held(session) == 1

    # --- Amend ---------------------------------------------------------------------------------

    @pytest.mark.parametrize("quantity", ["0.5", "2", "1"])
    async def test_an_open_order_takes_another_quantity(self, bench: Bench, quantity: str) -> None:
        session = bench.account()
        _, protection = await placed(session, request(BUY, "2"), stop(SELL, "1", 950))
        report = await session.amend(protection, D(quantity))
        assert (report.quantity, report.status) == (D(quantity), WORKING)
        await bench.moves_to(940)
        assert await held(session) == 2 - D(quantity)

    async def test_a_stop_takes_another_trigger_in_place(self, bench: Bench) -> None:
        session = bench.account()
        _, protection = await placed(session, request(BUY, "2"), stop(SELL, "2", 950))
        report = await session.amend(protection, D(2), D(980))
        assert (report.quantity, report.status) == (2, WORKING)
        await bench.moves_to(981)
        assert await held(session) == 2
        await bench.moves_to(980)
        assert await held(session) == 0

    async def test_an_amended_order_keeps_its_ids_and_what_it_is(self, bench: Bench) -> None:
        session = bench.account()
        _, protection = await placed(session, request(BUY, "2"), stop(SELL, "1", 950))
        (before,) = await session.open_orders()
        report = await session.amend(protection, D("1.5"), D(960))
        assert (name(report), report.venue_order_id) == (protection, before.venue_order_id)
        assert await session.open_orders() == (replace(before, quantity=D("1.5"), trigger=D(960)),)

    async def test_a_trigger_between_two_ticks_is_not_amended_to(self, bench: Bench) -> None:
        session = bench.account()
        _, protection = await placed(session, request(BUY, "2"), stop(SELL, "2", 950))
        for trigger in (D("980.00001"), D("NaN")):
            with pytest.raises(Refused):
                await session.amend(protection, D(2), trigger)
        await bench.moves_to(960)
        assert await held(session) == 2

    @pytest.mark.parametrize("quantity", ["0.0005", "0", "-1", "NaN", "Infinity"])
    async def test_a_quantity_that_is_none_is_not_amended_to(self, bench: Bench, quantity: str) -> None:
        session = bench.account()
        _, protection = await placed(session, request(BUY, "2"), stop(SELL, "1", 950))
        with pytest.raises(Refused):
            await session.amend(protection, D(quantity))
        assert (await session.look_up(protection)).quantity == 1  # type: ignore[union-attr]

    async def test_an_order_is_not_amended_below_what_is_filled(self, partial: Bench) -> None:
        session = partial.account()
        (order,) = await placed(session, request(BUY, "2"))
        _, filled = await status(session, order)
        with pytest.raises(Refused):
            await session.amend(order, filled)
        assert (await session.amend(order, filled + D("0.001"))).quantity == filled + D("0.001")

    async def test_an_amendment_that_comes_too_late_is_told_so(self, bench: Bench) -> None:
        session = bench.account()
        (order,) = await placed(session, request(BUY, "1"))
        for late in (order, str(uuid.uuid4())):
            with pytest.raises(OrderNotOpen):
                await session.amend(late, D(2))

    async def test_an_amendment_is_paid_for_like_an_order(self, bench: Bench) -> None:
        session = bench.account()
        (order,) = await placed(session, limit(BUY, "5", 990))
        with pytest.raises(InsufficientFunds):
            await session.amend(order, D(11))
        await session.amend(order, D(10))
        assert (await session.balance()).available == DEPOSIT - 9_900

    # --- Refusals ------------------------------------------------------------------------------

    async def test_a_client_order_id_is_taken_once(self, bench: Bench) -> None:
        session = bench.account()
        open_order, filled = limit(BUY, "1", 990), request(BUY, "1")
        await placed(session, open_order, filled)
        for again in (open_order, filled):
            with pytest.raises(DuplicateOrder):
                await session.place(again)
        assert await held(session) == 1

    async def test_of_two_orders_with_one_id_at_the_same_time_one_is_taken(self, bench: Bench) -> None:
        session = bench.account()
        order = request(BUY, "1")
        answers = await asyncio.gather(session.place(order), session.place(order), return_exceptions=True)
        assert sorted(type(answer).__name__ for answer in answers) == ["Ack", "DuplicateOrder"]
        assert await held(session) == 1

    @pytest.mark.parametrize(
        "change",
        [
            {"quantity": D("0.0005")},
            {"quantity": D("1.0001")},
            {"quantity": D(0)},
            {"quantity": D(-1)},
            {"quantity": D("NaN")},
            {"quantity": D("Infinity")},
            {"quantity": D("1E+20"), "reduce_only": True},
            {"leverage": D("0.5")},
            {"leverage": D(51)},
            {"type": OrderType.LIMIT},
            {"type": OrderType.LIMIT, "price": D("990.05")},
            {"type": OrderType.LIMIT, "price": D(0)},
            {"type": OrderType.LIMIT, "price": D(-990)},
            {"type": OrderType.STOP, "reduce_only": True},
            {"type": OrderType.STOP, "trigger": D("950.01"), "reduce_only": True},
            {"type": OrderType.TAKE_PROFIT},
            {"quantity": D("0.004")},
            {"client_order_id": ""},
            {"client_order_id": "x" * 37},
        ],
        ids=str,
    )
    async def test_an_order_off_the_rules_is_refused_and_harms_no_other(
        self, bench: Bench, change: dict[str, Any]
    ) -> None:
        session, other = bench.account(), bench.account()
        bad, good = replace(request(BUY, "1"), **change), request(BUY, "1")
        refused, taken = await asyncio.gather(session.place(bad), other.place(good), return_exceptions=True)
        assert isinstance(refused, Refused), refused
        assert refused.next is Next.FINAL
        assert not isinstance(taken, BaseException), taken
        await self.assert_never_there(session, bad.client_order_id)
        assert (await session.balance()).available == DEPOSIT
        assert (await held(session), await held(other)) == (0, 1)

    async def test_an_instrument_that_is_not_there_is_refused(self, bench: Bench) -> None:
        session = bench.account()
        with pytest.raises(UnknownInstrument):
            await session.place(request(BUY, "1", symbol="XYZ-PERP"))

    async def test_without_a_market_nothing_is_traded(self, bench: Bench) -> None:
        session = bench.account()
        bench.closes()
        with pytest.raises(NoMarket):
            await session.place(request(BUY, "1"))

    async def test_an_account_that_is_not_there_is_refused(self, bench: Bench) -> None:
        nobody = bench.venue.open("nobody")
        for attempt in (
            nobody.place(request(BUY, "1")),
            nobody.cancel("x"),
            nobody.balance(),
            nobody.positions(),
            nobody.reports(""),
        ):
            with pytest.raises(BadCredential):
                await attempt

    # --- Money ---------------------------------------------------------------------------------

    async def test_an_order_that_is_not_paid_for_is_refused(self, bench: Bench) -> None:
        session = bench.account()
        with pytest.raises(InsufficientFunds):
            await session.place(request(BUY, "10"))
        await session.place(request(BUY, "9.9"))
        with pytest.raises(InsufficientFunds):
            await session.place(request(BUY, "0.1"))

    async def test_leverage_pays_for_more(self, bench: Bench) -> None:
        session = bench.account()
        await session.place(request(BUY, "50", leverage=D(10)))
        balance = await session.balance()
        assert balance.available == balance.total - settle(50 * bench.taken_at(D(1000), BUY) / 10)

    async def test_a_resting_order_locks_its_money_and_a_cancel_gives_it_back(self, bench: Bench) -> None:
        session = bench.account()
        leverage = min(D(2), bench.perpetual.max_leverage)
        (order,) = await placed(session, limit(BUY, "4", 990, leverage=leverage))
        assert await session.balance() == Balance("USD", DEPOSIT, DEPOSIT - 3_960 / leverage)
        with pytest.raises(InsufficientFunds):
            await session.place(request(BUY, "8.1"))
        await session.cancel(order)
        assert await session.balance() == Balance("USD", DEPOSIT, DEPOSIT)

    async def test_what_is_left_of_a_market_order_stays_paid_for(self, partial: Bench) -> None:
        session = partial.account()
        await placed(session, request(BUY, "9"))
        assert (await session.balance()).available < 1_000
        with pytest.raises(InsufficientFunds):
            await session.place(request(BUY, "2"))

    async def test_protection_locks_nothing(self, bench: Bench) -> None:
        session = bench.account()
        await placed(session, request(BUY, "5"))
        before = await session.balance()
        await placed(session, stop(SELL, "5", 950), target(SELL, "5", 1050))
        assert await session.balance() == before

    @pytest.mark.parametrize(("side", "price"), [(BUY, 1100), (BUY, 900), (SELL, 1100), (SELL, 900)])
    async def test_a_closed_position_gives_its_margin_back_with_its_result(
        self, bench: Bench, side: Side, price: int
    ) -> None:
        session = bench.account()
        closing = SELL if side is BUY else BUY
        await placed(session, request(side, "4", leverage=D(2)))
        entry = bench.taken_at(D(1000), side)
        assert (await session.balance()).available == DEPOSIT - settle(4 * entry * (bench.taker_fee + D("0.5")))
        await bench.moves_to(price)
        await placed(session, request(closing, "4", reduce_only=True))
        leaving = bench.taken_at(D(price), closing)
        fees = settle(4 * entry * bench.taker_fee) + settle(4 * leaving * bench.taker_fee)
        cash = DEPOSIT + 4 * (leaving - entry) * side.sign - fees
        assert await session.balance() == Balance("USD", cash, cash)

    async def test_half_a_position_closed_gives_half_the_margin_back(self, bench: Bench) -> None:
        session = bench.account()
        entry, leaving = bench.taken_at(D(1000), BUY), bench.taken_at(D(1000), SELL)
        await placed(session, request(BUY, "4"), request(SELL, "2", reduce_only=True))
        balance = await session.balance()
        fees = settle(4 * entry * bench.taker_fee) + settle(2 * leaving * bench.taker_fee)
        assert balance.total == DEPOSIT - fees + 2 * (leaving - entry)
        assert balance.available == balance.total - 2 * entry

    async def test_a_position_may_be_turned_around_if_the_new_one_is_paid_for(self, bench: Bench) -> None:
        session = bench.account()
        await placed(session, request(BUY, "2"))
        with pytest.raises(InsufficientFunds):
            await session.place(request(SELL, "40"))
        await placed(session, request(SELL, "5"))
        assert await held(session) == -3
        await placed(session, request(BUY, "3", reduce_only=True))
        balance = await session.balance()
        assert balance.available == balance.total < DEPOSIT

    async def test_spot_is_sold_only_from_stock(self, bench: Bench) -> None:
        session = bench.account()
        symbol = bench.spot.symbol
        with pytest.raises(InsufficientFunds):
            await session.place(request(SELL, "1", symbol=symbol))
        await placed(session, request(BUY, "2", symbol=symbol))
        with pytest.raises(InsufficientFunds):
            await session.place(request(SELL, "3", symbol=symbol))
        await placed(session, request(SELL, "2", symbol=symbol))
        assert await held(session) == 0

    # --- Reports -------------------------------------------------------------------------------

    async def test_reports_tell_everything_after_the_cursor_exactly_once(self, bench: Bench) -> None:
        session = bench.account()
        following = await Following(session).read()
        assert (following.orders, following.fills) == ({}, [])
        entry, protection = await placed(session, request(BUY, "2"), stop(SELL, "2", 950))
        await following.read()
        assert [name(fill) for fill in following.fills] == [entry]
        await following.read()
        await bench.moves_to(940)
        await following.read()
        await following.read()
        assert [name(fill) for fill in following.fills] == [entry, protection]
        assert {key: order.status for key, order in following.orders.items()} == {entry: FILLED, protection: FILLED}

    async def test_reports_from_the_beginning_tell_it_all_again(self, bench: Bench) -> None:
        session = bench.account()
        following = Following(session)
        for _ in range(3):
            await placed(session, request(BUY, "1"))
            await following.read()
        again = await Following(session).read()
        assert (again.fills, again.cursor) == (following.fills, following.cursor)
        assert len({fill.venue_fill_id for fill in again.fills}) == 3

    async def test_reports_come_with_the_balance_after_them(self, bench: Bench) -> None:
        session = bench.account()
        assert (await session.reports("")).balance == Balance("USD", DEPOSIT, DEPOSIT)
        await placed(session, request(BUY, "2"))
        reports = await session.reports("")
        assert reports.balance == await session.balance()
        assert (await session.reports(reports.cursor)).balance == reports.balance

    async def test_two_readers_of_one_account_do_not_take_reports_from_each_other(self, bench: Bench) -> None:
        session = bench.account()
        await placed(session, request(BUY, "1"))
        cursor = (await session.reports("")).cursor
        await placed(session, request(BUY, "2"))
        early, late = await asyncio.gather(session.reports(""), session.reports(cursor))
        assert [fill.quantity for fill in early.fills] == [1, 2]
        assert [fill.quantity for fill in late.fills] == [2]

    async def test_a_reader_that_gives_up_does_not_take_the_answer_from_another(self, bench: Bench) -> None:
        one, other = bench.account(), bench.account()
        await placed(other, request(BUY, "1"))
        hasty, patient = asyncio.ensure_future(one.reports("")), asyncio.ensure_future(other.reports(""))
        await asyncio.sleep(0)
        hasty.cancel()
        assert len((await patient).fills) == 1

    async def test_whoever_listens_is_woken_when_there_is_news(self, bench: Bench) -> None:
        session, other = bench.account(), bench.account()
        woken: list[str] = []
        session.listen(lambda: woken.append("session"))
        other.listen(lambda: woken.append("other"))
        await placed(session, request(BUY, "1"), stop(SELL, "1", 950))
        assert "session" in woken
        woken.clear()
        await bench.moves_to(940)
        assert woken == ["session"]

    # --- Look-ups ------------------------------------------------------------------------------

    async def test_an_order_that_never_arrived_is_not_found(self, bench: Bench) -> None:
        await self.assert_never_there(bench.account(), str(uuid.uuid4()))

    async def assert_never_there(self, session: Session, client_order_id: str) -> None:
        """The venue has taken no order under this id."""
        assert await session.look_up(client_order_id) is None

    async def test_another_accounts_order_cannot_be_reached(self, bench: Bench) -> None:
        session, other = bench.account(), bench.account()
        order, _ = await placed(session, limit(BUY, "1", 990), request(BUY, "1"))
        assert await other.look_up(order) is None
        with pytest.raises(OrderNotOpen):
            await other.cancel(order)
        with pytest.raises(OrderNotOpen):
            await other.amend(order, D(2))
        reports = await other.reports("")
        assert (reports.orders, reports.fills, await other.positions()) == ((), (), ())
        assert await status(session, order) == (WORKING, 0)

    # --- What is open --------------------------------------------------------------------------

    async def test_what_is_open_is_told_with_all_its_terms_and_nothing_else(self, bench: Bench) -> None:
        session = bench.account()
        _, under, gone = await placed(session, request(BUY, "2"), stop(SELL, "2", 950), limit(BUY, "1", 900))
        await session.cancel(gone)
        (told,) = await session.open_orders()
        assert (name(told), told.symbol, told.side, told.type) == (under, Traded.symbol, SELL, OrderType.STOP)
        assert (told.quantity, told.filled, told.price, told.trigger) == (D(2), D(0), None, D(950))
        assert told.reduce_only == bench.venue.capabilities.reduce_only
        assert told.venue_order_id

    async def test_an_open_order_is_taken_down_under_the_venues_own_id(self, bench: Bench) -> None:
        session = bench.account()
        (order,) = await placed(session, limit(BUY, "1", 900))
        (told,) = await session.open_orders()
        await session.take_down(told.venue_order_id)
        assert await session.open_orders() == ()
        assert await status(session, order) == (CANCELLED, 0)
        with pytest.raises(OrderNotOpen):
            await session.take_down(told.venue_order_id)

    async def test_another_accounts_orders_are_neither_told_nor_taken_down(self, bench: Bench) -> None:
        session, other = bench.account(), bench.account()
        (order,) = await placed(session, limit(BUY, "1", 900))
        (told,) = await session.open_orders()
        assert await other.open_orders() == ()
        with pytest.raises(OrderNotOpen):
            await other.take_down(told.venue_order_id)
        assert await status(session, order) == (WORKING, 0)

    async def test_a_fill_names_its_order_as_the_venue_does(self, bench: Bench) -> None:
        session = bench.account()
        acked = await session.place(request(BUY, "1"))
        (fill,) = (await session.reports("")).fills
        assert fill.venue_order_id == acked.venue_order_id

    # --- Capabilities --------------------------------------------------------------------------

    def test_what_the_venue_can_do_is_declared(self, bench: Bench) -> None:
        capabilities = bench.venue.capabilities
        assert {OrderType.MARKET, OrderType.LIMIT} <= capabilities.order_types
        assert capabilities.order_identity in ("client_id", "none")
        assert capabilities.looks >= 1
        assert capabilities.answer_within > 0


if __name__ == "__main__":
    from tests.venues.cards import main

    raise SystemExit(main())
