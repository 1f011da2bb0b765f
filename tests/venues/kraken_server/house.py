"""The server's books: accounts, orders, fills, balances and the market, by Kraken's rules. No input or output.

Matching is the paper venue's desk. Kraken's own rules are here: a spot account sells what it holds, each resting exit locks its part, a
name of ours is taken once among the open orders, an amendment to what is filled cancels the rest, minimums before money.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from signalist.domain.matching import Bar, hits, slipped
from signalist.domain.money import ZERO, plain
from signalist.domain.orders import OrderStatus, OrderType, Side
from signalist.venues.base import OrderRequest
from signalist.venues.errors import InsufficientFunds, Refused
from signalist.venues.kraken.protocol import Tier
from signalist.venues.kraken.symbols import Pair, Pairs
from signalist.venues.paper.book import Book, PaperAccount, PaperOrder, TapeRow
from signalist.venues.paper.matching_desk import Desk, Terms, resting
from tests.venues.kraken_server.rules import counts_in_pair

WORDS = {
    "market": OrderType.MARKET,
    "limit": OrderType.LIMIT,
    "stop-loss": OrderType.STOP,
    "take-profit": OrderType.TAKE_PROFIT,
}
KINDS = {kind: word for word, kind in WORDS.items()}
STATUS = {
    OrderStatus.WORKING: "open",
    OrderStatus.PARTIAL: "open",
    OrderStatus.FILLED: "closed",
    OrderStatus.CANCELLED: "canceled",
    OrderStatus.EXPIRED: "expired",
}
ALL = frozenset({"funds", "open", "closed", "create", "cancel", "stream"})


class Refusal(Exception):
    """One of Kraken's texts."""


@dataclass(slots=True)
class Counter:
    """One that grows with each call and decays."""

    limit: float
    decay: float
    level: float = 0.0
    at: float = 0.0

    def add(self, cost: float, now: float) -> bool:
        """Whether there is room; what is refused is not counted."""
        self.level, self.at = max(self.level - (now - self.at) * self.decay, 0.0), now
        if self.level + cost > self.limit:
            return False
        self.level += cost
        return True


@dataclass(slots=True)
class Holder:
    """An account with one key. `names` are our ids by the venue's."""

    key: str
    secret: bytes
    book: Book
    calls: Counter
    nonce: int = 0
    rights: frozenset[str] = ALL
    names: dict[str, str] = field(default_factory=dict)
    done: dict[str, PaperOrder] = field(default_factory=dict)
    closed_at: dict[str, datetime] = field(default_factory=dict)
    tape: list[tuple[str, TapeRow]] = field(default_factory=list)
    pair_counters: dict[str, Counter] = field(default_factory=dict)

    def order(self, txid: str) -> PaperOrder | None:
        return self.book.orders.get(txid) or self.done.get(txid)

    def orders(self) -> dict[str, PaperOrder]:
        return {**self.done, **self.book.orders}


Told = Callable[[Holder, list[dict[str, Any]]], None]


class House:
    """See the module. `now` is the venue's clock, `moment` a monotonic one; `told` hears what the executions channel says."""

    def __init__(
        self,
        pairs: Pairs,
        terms: Terms,
        tier: Tier,
        now: Callable[[], datetime],
        moment: Callable[[], float],
        told: Told,
    ) -> None:
        self.pairs, self.tier, self.now, self.moment, self._told = pairs, tier, now, moment, told
        self.terms = replace(terms, reserves_exits=True)
        self.holders: dict[str, Holder] = {}
        self.prices: dict[str, Decimal] = {}
        self.cash_key = "ZUSD"
        self.system = "online"
        self.in_parts = False
        """Whether the market takes half of what rests when it first reaches it."""
        self._orders = self._trades = 0

    def open_account(self, key: str, secret: bytes, cash: Decimal, currency: str = "USD") -> Holder:
        book = Book({key: PaperAccount(key, currency, cash)}, {}, {})
        calls = Counter(self.tier.calls.size, self.tier.calls.per_second)
        self.holders[key] = Holder(key, secret, book, calls)
        return self.holders[key]

    # --- Orders ----------------------------------------------------------------------------------

    def validate(self, said: Mapping[str, str]) -> None:
        """Refuse an order of a batch for which the whole batch is refused."""
        pair, request = self._request(said)
        self._takes_orders()
        if (price := request.price or request.trigger or self.prices.get(pair.symbol)) is not None:
            self._check(request, pair, price)

    def _takes_orders(self) -> None:
        if self.system in ("maintenance", "cancel_only"):
            raise Refusal(
                "EService:Unavailable" if self.system == "maintenance" else "EService:Market in cancel_only mode"
            )

    def add(self, holder: Holder, said: Mapping[str, str], cost: float = 1.0) -> dict[str, Any]:
        pair, request = self._request(said)
        self._takes_orders()
        name = request.client_order_id
        if name and name in (holder.names.get(txid) for txid in holder.book.orders):
            raise Refusal("EOrder:cl_ord_id already exists among the open orders")
        price = self.prices.get(pair.symbol)
        if price is None:
            raise Refusal("EService:Unavailable")
        self.count(holder, pair.symbol, cost)
        if sum(order.symbol == pair.symbol and order.is_open for order in holder.book.orders.values()) >= (
            self.tier.open_orders
        ):
            raise Refusal("EOrder:Orders limit exceeded")
        self._check(request, pair, request.price or request.trigger or price)
        descr = {"order": describe(request, pair)}
        if said.get("validate") == "true":
            return {"descr": descr}
        self._orders += 1
        txid = f"O{self._orders:05d}-KRAKN-SERVER"
        order = replace(request, client_order_id=txid, reduce_only=request.side is Side.SELL)
        holder.names[txid] = name
        try:
            taken = self._desk(holder).accept(holder.key, order, pair.spec, price)
        except InsufficientFunds:
            raise Refusal("EOrder:Insufficient funds") from None
        except Refused as error:
            raise Refusal(f"EGeneral:Invalid arguments:{error}") from None
        taken.venue_order_id = txid
        self._told(
            holder, [self._whole(holder, taken, "pending_new"), {"exec_type": "new", **self._sparse(taken, "new")}]
        )
        self._settled(holder)
        return {"descr": descr, "txid": [txid]}

    def amend(self, holder: Holder, said: Mapping[str, str]) -> dict[str, Any]:
        order = self._open(holder, said)
        pair = self.pairs.pair(order.symbol)
        self.count(holder, order.symbol, counts_in_pair("AmendOrder", self._age(order)))
        quantity = exact(said.get("order_qty", plain(order.quantity)), "order_qty", pair.quantity_decimals)
        if quantity <= order.filled:
            self._cancelled(holder, self._desk(holder).cancel(order))
            return {"amend_id": f"TA{self._orders:05d}"}
        trigger = (
            exact(said["trigger_price"], "trigger_price", pair.price_decimals) if "trigger_price" in said else None
        )
        if trigger is not None and pair.spec.price(trigger) != trigger:
            raise Refusal("EOrder:Tick size check failed")
        try:
            self._desk(holder).amend(order, quantity, pair.spec, trigger)
        except InsufficientFunds:
            raise Refusal("EOrder:Insufficient funds") from None
        except Refused as error:
            raise Refusal(f"EGeneral:Invalid arguments:{error}") from None
        row = self._sparse(order, "new") | {
            "exec_type": "amended",
            "order_qty": float(quantity),
            "reason": "User requested",
        }
        self._told(holder, [row])
        return {"amend_id": f"TA{self._orders:05d}"}

    def cancel(self, holder: Holder, said: Mapping[str, str]) -> dict[str, Any]:
        order = self._open(holder, said)
        self.count(holder, order.symbol, counts_in_pair("CancelOrder", self._age(order)))
        self._cancelled(holder, self._desk(holder).cancel(order))
        return {"count": 1}

    def move(self, symbol: str, bar: Bar) -> None:
        """Let the market do this: what rests is filled."""
        spec = self.pairs.pair(symbol).spec
        for holder in self.holders.values():
            desk = Desk(holder.book, self.terms, self.now())
            standing = [order for order in holder.book.orders.values() if order.symbol == symbol and order.is_open]
            for hit in hits([resting(order) for order in standing], bar):
                order = holder.book.orders[hit.order.key]
                if order.is_open and self.in_parts and not order.filled:
                    half = spec.quantity(order.quantity / 2)
                    desk._fill(
                        order,
                        spec,
                        half,
                        slipped(hit.price, order.side, self.terms.slippage, spec.tick),
                        self.terms.taker_fee,
                    )
                elif order.is_open:
                    desk.fill_hit(order, hit, spec)
            self._settled(holder)

    # --- What is asked ---------------------------------------------------------------------------

    def row(self, holder: Holder, order: PaperOrder) -> dict[str, Any]:
        """An order as REST tells it."""
        pair = self.pairs.pair(order.symbol)
        txid, level = order.client_order_id, order.trigger or (order.price if order.type is OrderType.LIMIT else None)
        mine = [row for _, row in holder.tape if row.client_order_id == txid and row.fill_id]
        closed = holder.closed_at.get(txid)
        return {
            "refid": None,
            "userref": 0,
            **({"cl_ord_id": name} if (name := holder.names.get(txid)) else {}),
            "status": STATUS[order.status],
            "opentm": order.active_from.timestamp(),
            "starttm": 0,
            "expiretm": 0,
            "descr": {
                "pair": pair.altname,
                "type": order.side.value.lower(),
                "ordertype": KINDS[order.type],
                "price": str(level or 0),
                "price2": "0",
                "leverage": "none",
                "order": describe(order, pair),
                "close": "",
            },
            "vol": f"{order.quantity:.8f}",
            "vol_exec": f"{order.filled:.8f}",
            "cost": str(sum((row.quantity * row.price for row in mine), ZERO)),
            "fee": str(sum((row.fee for row in mine), ZERO)),
            "misc": "",
            "oflags": "fciq",
            **({"closetm": closed.timestamp(), "reason": "User requested"} if closed else {}),
        }

    def trade(self, row: TapeRow) -> dict[str, Any]:
        """A fill as TradesHistory tells it."""
        return {
            "ordertxid": row.client_order_id,
            "pair": self.pairs.pair(row.symbol).key,
            "time": row.time.timestamp(),
            "type": row.side.value.lower(),
            "ordertype": "market",
            "price": str(row.price),
            "cost": str(row.price * row.quantity),
            "fee": str(row.fee),
            "vol": f"{row.quantity:.8f}",
        }

    def balances(self, holder: Holder) -> dict[str, dict[str, str]]:
        """BalanceEx: money less what was bought for it, and the stock, each with what open orders lock."""
        book = holder.book
        account = book.accounts[holder.key]
        spent = sum((p.value for p in book.positions.values()), ZERO)
        real, free = account.cash - spent, book.available(holder.key)
        found = {self.cash_key: {"balance": str(real), "hold_trade": str(real - free)}}
        for position in book.positions.values():
            pair = self.pairs.pair(position.symbol)
            open_sells = (
                o for o in book.orders.values() if o.symbol == position.symbol and o.side is Side.SELL and o.is_open
            )
            held = sum((o.remaining for o in open_sells), ZERO)
            found[pair.base_key] = {"balance": str(position.quantity), "hold_trade": str(held)}
        return found

    # --- Within ----------------------------------------------------------------------------------

    def _request(self, said: Mapping[str, str]) -> tuple[Pair, OrderRequest]:
        try:
            pair = self.pairs.pair(said["pair"])
        except (KeyError, Refused):
            raise Refusal("EQuery:Unknown asset pair") from None
        kind = WORDS.get(said.get("ordertype", ""))
        if kind is None or said.get("type") not in ("buy", "sell"):
            raise Refusal("EGeneral:Invalid arguments:ordertype")
        name = said.get("cl_ord_id", "")
        if len(name) > 36 or (len(name) > 18 and len(name.replace("-", "")) != 32):
            raise Refusal("EGeneral:Invalid arguments:cl_ord_id")
        level = None if kind is OrderType.MARKET else decimal(said.get("price", ""), "price")
        if level is not None and decimals(said["price"]) > pair.price_decimals:
            raise Refusal(
                f"EOrder:Invalid price:{pair.symbol} price can only be specified up to {pair.price_decimals} decimals."
            )
        if (deadline := said.get("deadline")) is not None:
            ahead = datetime.fromisoformat(deadline.replace("Z", "+00:00")) - self.now()
            least = 0.4 if said.get("over") == "stream" else 1.9
            if not timedelta(seconds=least) <= ahead <= timedelta(seconds=60.1):
                raise Refusal("EGeneral:Invalid arguments:deadline")
        return pair, OrderRequest(
            client_order_id=name,
            symbol=pair.symbol,
            side=Side(said["type"].upper()),
            type=kind,
            quantity=exact(said.get("volume", ""), "volume", pair.quantity_decimals),
            price=level if kind is OrderType.LIMIT else None,
            trigger=None if kind in (OrderType.LIMIT, OrderType.MARKET) else level,
            reduce_only=False,
            leverage=Decimal(1),
            tag="",
        )

    def _check(self, request: OrderRequest, pair: Pair, price: Decimal) -> None:
        spec = pair.spec
        if request.quantity < spec.min_quantity:
            raise Refusal("EOrder:Order minimum not met")
        if request.quantity * price < spec.min_notional:
            raise Refusal("EOrder:Cost minimum not met")
        level = request.price or request.trigger
        if level is not None and spec.price(level) != level:
            raise Refusal("EOrder:Tick size check failed")
        if spec.quantity(request.quantity) != request.quantity:
            raise Refusal("EGeneral:Invalid arguments:volume")

    def count(self, holder: Holder, symbol: str, cost: float) -> None:
        """Count in a pair's counter, or refuse."""
        terms = self.tier.orders
        counter = holder.pair_counters.setdefault(symbol, Counter(terms.size, terms.per_second))
        if not counter.add(cost, self.moment()):
            raise Refusal("EOrder:Rate limit exceeded")

    def _age(self, order: PaperOrder) -> float:
        return (self.now() - order.active_from).total_seconds()

    def _open(self, holder: Holder, said: Mapping[str, str]) -> PaperOrder:
        names = {name: txid for txid, name in holder.names.items() if txid in holder.book.orders and name}
        txid = said.get("txid") or names.get(said.get("cl_ord_id", ""), "")
        order = holder.book.orders.get(txid)
        if order is None or not order.is_open:
            raise Refusal("EOrder:Unknown order")
        return order

    def _desk(self, holder: Holder) -> Desk:
        return Desk(holder.book, self.terms, self.now())

    def _cancelled(self, holder: Holder, order: PaperOrder) -> None:
        self._told(holder, [self._sparse(order, "canceled") | {"exec_type": "canceled", "reason": "User requested"}])
        self._settled(holder)

    def _settled(self, holder: Holder) -> None:
        """After each change: what is over leaves the book, and what happened is told."""
        book, told = holder.book, list[dict[str, Any]]()
        for row in book.tape:
            self._trades += 1
            order = book.orders[row.client_order_id]
            if row.fill_id:
                trade = f"T{self._trades:05d}-KRAKN-SERVER"
                holder.tape.append((trade, row))
                told.append(self._fill(holder, order, trade, row))
                if row.status is OrderStatus.FILLED:
                    told.append(self._sparse(order, "filled") | {"exec_type": "filled"})
            else:
                told.append(self._sparse(order, "canceled") | {"exec_type": "canceled", "reason": row.reason})
        book.tape = []
        for txid in [txid for txid, order in book.orders.items() if not order.is_open]:
            holder.done[txid] = book.orders.pop(txid)
            holder.closed_at[txid] = self.now()
        if told:
            self._told(holder, told)

    def _sparse(self, order: PaperOrder, state: str) -> dict[str, Any]:
        """What an update says: without symbol, side or quantity."""
        return {
            "order_id": order.client_order_id,
            "order_userref": 0,
            "order_status": state,
            "cum_qty": float(order.filled),
            "timestamp": stamp(self.now()),
        }

    def _whole(self, holder: Holder, order: PaperOrder, state: str) -> dict[str, Any]:
        row = self._sparse(order, state) | {
            "exec_type": state,
            "cum_qty": float(order.filled) if state != "pending_new" else 0.0,
            "symbol": order.symbol,
            "side": order.side.value.lower(),
            "order_type": KINDS[order.type],
            "order_qty": float(order.quantity),
        }
        return row | ({"cl_ord_id": name} if (name := holder.names.get(order.client_order_id)) else {})

    def snapshot(self, holder: Holder) -> list[dict[str, Any]]:
        """What a subscription begins with: all open orders."""
        states = {OrderStatus.PARTIAL: "partially_filled"}
        return [
            self._whole(holder, order, states.get(order.status, "new")) | {"exec_type": "new"}
            for order in holder.book.orders.values()
        ]

    def _fill(self, holder: Holder, order: PaperOrder, trade: str, row: TapeRow) -> dict[str, Any]:
        return {
            "order_id": order.client_order_id,
            "exec_id": trade,
            "exec_type": "trade",
            "trade_id": self._trades,
            "symbol": row.symbol,
            "side": row.side.value.lower(),
            "last_qty": float(row.quantity),
            "last_price": float(row.price),
            "liquidity_ind": "t",
            "cost": float(row.quantity * row.price),
            "cum_qty": float(row.filled),
            "order_status": "partially_filled",
            "order_type": KINDS[order.type],
            "timestamp": stamp(row.time),
            "fees": [{"asset": self.pairs.pair(row.symbol).spec.quote, "qty": float(row.fee)}],
        }


def decimal(text: str, name: str) -> Decimal:
    """A number of a request."""
    try:
        found = Decimal(text)
    except InvalidOperation:
        raise Refusal(f"EGeneral:Invalid arguments:{name}") from None
    if not found.is_finite() or found <= 0:
        raise Refusal(f"EGeneral:Invalid arguments:{name}")
    return found


def decimals(text: str) -> int:
    """How many decimals a number is written with; the one zero that a stream's number needs to be one with a point is none."""
    return len(text.removesuffix(".0").partition(".")[2])


def exact(text: str, name: str, at_most: int) -> Decimal:
    """A number of a request that may have so many decimals."""
    found = decimal(text, name)
    if decimals(text) > at_most:
        raise Refusal(f"EGeneral:Invalid arguments:{name}")
    return found


def describe(order: OrderRequest | PaperOrder, pair: Pair) -> str:
    """An order in Kraken's sentence."""
    kind = {OrderType.LIMIT: f"limit {order.price}", OrderType.STOP: f"stop loss {order.trigger}"}
    words = kind | {OrderType.TAKE_PROFIT: f"take profit {order.trigger}", OrderType.MARKET: "market"}
    return f"{order.side.value.lower()} {order.quantity:.8f} {pair.altname} @ {words[order.type]}"


def stamp(at: datetime) -> str:
    """A moment as the stream writes it."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
