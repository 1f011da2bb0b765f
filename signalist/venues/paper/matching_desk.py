"""The paper venue's desk: takes, fills, amends and cancels orders in a loaded Book. No input or output.

Margin is locked at entry value ÷ leverage; a reduction releases it in proportion and books the result into cash.
A plain limit on the wrong side of the market fills at once, as on a real venue (CON-27).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from signalist.domain.errors import DomainError
from signalist.domain.instruments import InstrumentSpec
from signalist.domain.matching import Hit, Resting, first_part, marketable, slipped
from signalist.domain.money import ZERO, exact, settle
from signalist.domain.orders import OrderStatus, OrderType, Side
from signalist.venues.base import OrderRequest
from signalist.venues.errors import DuplicateOrder, InsufficientFunds, OrderNotOpen, Refused
from signalist.venues.paper.book import OWN, Book, PaperOrder, TapeRow

LONGEST_ID, LONGEST_TAG = 36, 120


@dataclass(frozen=True, slots=True)
class Terms:
    """The paper venue's behaviour. Fractions of 1; `partial_chance` is how often the market takes a market order in two parts.

    `order_types` are those it takes at all; with `reserves_exits` each resting reduce-only order locks its part of the position.
    """

    taker_fee: Decimal = Decimal("0.0005")
    maker_fee: Decimal = Decimal("0.0002")
    slippage: Decimal = Decimal("0.0001")
    partial_chance: Decimal = Decimal("0.05")
    latency_ms: int = 50
    seed: int = 0
    order_types: frozenset[OrderType] = frozenset(OrderType)
    reserves_exits: bool = False


@dataclass(frozen=True, slots=True)
class Desk:
    """Carries out requests against `book` at `now` (when the venue acts, its latency included)."""

    book: Book
    terms: Terms
    now: datetime

    def accept(self, ref: str, request: OrderRequest, spec: InstrumentSpec, price: Decimal) -> PaperOrder:
        """Take an order: fill what the market takes at once, let the rest rest. Raises Refused and its kin."""
        self._check(ref, request, spec, price)
        order = PaperOrder(
            ref=ref,
            client_order_id=request.client_order_id,
            venue_order_id=f"{OWN}{request.client_order_id[:18]}",
            symbol=request.symbol,
            side=request.side,
            type=request.type,
            quantity=request.quantity,
            price=request.price,
            trigger=request.trigger,
            reduce_only=request.reduce_only,
            leverage=request.leverage,
            tag=request.tag,
            active_from=self.now,
        )
        self.book.orders[order.client_order_id] = order
        if marketable(resting(order), price):
            self._take(order, spec, price)
        return order

    def _take(self, order: PaperOrder, spec: InstrumentSpec, price: Decimal) -> None:
        """The market takes a fresh order, a market order now and then in two parts."""
        paid = slipped(price, order.side, self.terms.slippage, spec.tick)
        quantity = order.quantity
        if order.type is OrderType.LIMIT and order.price is not None:
            paid = min(paid, order.price) if order.side is Side.BUY else max(paid, order.price)
        elif order.type is OrderType.MARKET:
            key = order.client_order_id
            quantity = first_part(self.terms.seed, key, quantity, spec.lot, self.terms.partial_chance)
            order.price = paid if quantity < order.quantity else None
        self._fill(order, spec, quantity, paid, self.terms.taker_fee)

    def fill_hit(self, order: PaperOrder, hit: Hit, spec: InstrumentSpec) -> None:
        """Fill what remains of a resting order that the market reached; what has nothing left to reduce is cancelled."""
        if hit.maker:
            price, fee = hit.price, self.terms.maker_fee
        else:
            price, fee = slipped(hit.price, order.side, self.terms.slippage, spec.tick), self.terms.taker_fee
        self._fill(order, spec, order.remaining, price, fee)

    def cancel(self, order: PaperOrder | None) -> PaperOrder:
        """Take an open order out of the book. Raises OrderNotOpen when there is none."""
        if order is None or not order.is_open:
            raise OrderNotOpen("The order is not open any more.")
        self._close(order, OrderStatus.CANCELLED, "cancelled on request", report=False)
        return order

    def amend(
        self, order: PaperOrder | None, quantity: Decimal, spec: InstrumentSpec | None, trigger: Decimal | None = None
    ) -> PaperOrder:
        """Change an open order's whole quantity, and its trigger where one is given, in place. Raises OrderNotOpen, or Refused and its
        kin; a trigger that the market is past already fills with its next move."""
        if order is None or spec is None or not order.is_open:
            raise OrderNotOpen("The order is not open any more.")
        _check_quantity(quantity, spec)
        if trigger is not None and (order.trigger is None or not trigger.is_finite() or spec.price(trigger) != trigger):
            raise Refused(f"The trigger {trigger} is none of this order's, or not a multiple of {spec.tick}.")
        if quantity <= order.filled:
            raise Refused(f"The order has already filled {order.filled}; it cannot be amended to {quantity}.")
        level = order.price or order.trigger
        if quantity > order.quantity and not order.reduce_only and level is not None:
            self._check_funds(order.ref, (quantity - order.quantity) * level, order.leverage, spec)
        order.quantity, order.changed = quantity, True
        order.trigger = order.trigger if trigger is None else trigger
        return order

    def _check(self, ref: str, request: OrderRequest, spec: InstrumentSpec, price: Decimal) -> None:
        if request.client_order_id in self.book.orders:
            raise DuplicateOrder(f"There already is an order {request.client_order_id}.")
        _check_form(request)
        if request.type not in self.terms.order_types:
            raise Refused(f"Orders of type {request.type} are not taken here.")
        _check_quantity(request.quantity, spec)
        for level in (request.price, request.trigger):
            if level is not None and spec.price(level) != level:
                raise Refused(f"The price {level} is not a multiple of {spec.tick}.")
        if request.leverage < 1 or request.leverage > spec.max_leverage:
            raise Refused(f"Leverage {request.leverage} is not offered; the most is {spec.max_leverage}.")
        if request.reduce_only:
            self._check_reserved(ref, request)
            return
        level = request.price or request.trigger or price
        problem = spec.too_small(request.quantity, level)
        if problem is not None:
            raise Refused(problem)
        held = self.book.position(ref, request.symbol).quantity * request.side.sign
        opening = request.quantity - min(request.quantity, max(-held, ZERO))
        if opening and request.side is Side.SELL and not spec.can_short:
            raise InsufficientFunds(f"Only {max(-held, ZERO)} {spec.base} can be sold.")
        if opening:
            self._check_funds(ref, opening * level, request.leverage, spec)

    def _check_reserved(self, ref: str, request: OrderRequest) -> None:
        """Where exits are reserved: refuse one for more than is held and not promised to another."""
        if not self.terms.reserves_exits:
            return
        held = max(-self.book.position(ref, request.symbol).quantity * request.side.sign, ZERO)
        others = (o for o in self.book.orders.values() if o.ref == ref and o.symbol == request.symbol and o.is_open)
        free = held - sum((o.remaining for o in others if o.reduce_only), ZERO)
        if request.quantity > free:
            raise InsufficientFunds(f"{request.quantity} are to be sold or bought back; {free} are free.")

    def _check_funds(self, ref: str, notional: Decimal, leverage: Decimal, spec: InstrumentSpec) -> None:
        """Refuse what the free money does not pay for, with the taker's fee."""
        cost, free = notional / leverage + notional * self.terms.taker_fee, self.book.available(ref)
        if cost > free:
            raise InsufficientFunds(f"The order needs {settle(cost)} {spec.quote}; {settle(free)} is free.")

    def _fill(
        self, order: PaperOrder, spec: InstrumentSpec, quantity: Decimal, price: Decimal, fee_rate: Decimal
    ) -> None:
        position = self.book.position(order.ref, order.symbol)
        if order.reduce_only:
            reducible = abs(position.quantity) if position.quantity * order.side.sign < 0 else ZERO
            quantity = min(quantity, reducible)
            if quantity == 0:
                self._close(order, OrderStatus.CANCELLED, "nothing left to reduce", report=True)
                return
        fee = settle(quantity * price * fee_rate)
        self._settle(order, quantity, price, fee)
        order.filled += quantity
        order.status = OrderStatus.FILLED if order.remaining == 0 else OrderStatus.PARTIAL
        order.changed = True
        self._write(order, f"{order.venue_order_id}-{_ordinal(order)}", quantity, price, fee)
        if order.reduce_only and order.is_open and position.quantity == 0:
            self._close(order, OrderStatus.CANCELLED, "nothing left to reduce", report=True)

    def _settle(self, order: PaperOrder, quantity: Decimal, price: Decimal, fee: Decimal) -> None:
        """Move the position and the cash: what adds locks margin, what reduces releases it and books the result."""
        account, position = self.book.accounts[order.ref], self.book.position(order.ref, order.symbol)
        signed, sign = quantity * order.side.sign, order.side.sign
        account.cash -= fee
        closing = min(quantity, abs(position.quantity)) if position.quantity * sign < 0 else ZERO
        if closing:
            share = closing / abs(position.quantity)
            released, value = settle(position.margin * share), settle(position.value * share)
            account.cash += settle(-closing * sign * price) - value
            position.margin -= released
            position.value -= value
        adding = quantity - closing
        if adding:
            position.value += settle(adding * sign * price)
            position.margin += settle(adding * price / order.leverage)
        position.quantity += signed
        if position.quantity == 0:
            position.value = position.margin = ZERO
        account.changed = position.changed = True

    def _close(self, order: PaperOrder, status: OrderStatus, reason: str, *, report: bool) -> None:
        order.status, order.reason, order.changed = status, reason, True
        if report:
            self._write(order)

    def _write(
        self, order: PaperOrder, fill_id: str = "", quantity: Decimal = ZERO, price: Decimal = ZERO, fee: Decimal = ZERO
    ) -> None:
        row = TapeRow(
            ref=order.ref,
            client_order_id=order.client_order_id,
            venue_order_id=order.venue_order_id,
            symbol=order.symbol,
            side=order.side,
            status=order.status,
            order_quantity=order.quantity,
            filled=order.filled,
            reason=order.reason,
            time=self.now,
            fill_id=fill_id,
            quantity=quantity,
            price=price,
            fee=fee,
        )
        balance = self.book.accounts[order.ref].cash
        self.book.tape.append(replace(row, balance=balance, available=settle(self.book.available(order.ref))))


def _check_form(request: OrderRequest) -> None:
    """Refuse what is no complete order, or has numbers or names that no book can hold."""
    if not 0 < len(request.client_order_id) <= LONGEST_ID or len(request.tag) > LONGEST_TAG:
        raise Refused(f"An order has an id of at most {LONGEST_ID} characters and a tag of at most {LONGEST_TAG}.")
    if request.type is OrderType.LIMIT and request.price is None:
        raise Refused("A limit order needs a price.")
    if request.type in (OrderType.STOP, OrderType.TAKE_PROFIT) and request.trigger is None:
        raise Refused(f"A {request.type.lower()} order needs a trigger.")
    try:
        for number in (request.quantity, request.price, request.trigger, request.leverage):
            exact(ZERO if number is None else number)
    except DomainError as error:
        raise Refused(str(error)) from error


def _check_quantity(quantity: Decimal, spec: InstrumentSpec) -> None:
    if not quantity.is_finite() or quantity <= 0 or spec.quantity(quantity) != quantity:
        raise Refused(f"The quantity {quantity} is not a multiple of {spec.lot}.")


def resting(order: PaperOrder) -> Resting:
    """The order as the matcher sees it."""
    return Resting(order.client_order_id, order.side, order.type, order.price, order.trigger)


def _ordinal(order: PaperOrder) -> str:
    """Names a fill by how far it filled its order: unique within the order, and the same in every replay."""
    return format(order.filled.normalize(), "f")
