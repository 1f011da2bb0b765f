"""What a venue holds in a market beside one of our positions: the user's own, dust that we gave up, and what other subscriptions of the
account hold there. An exit that is bounded by what the venue holds must not take of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Protocol

from signalist.accounts.models import Account
from signalist.db import fast
from signalist.domain.money import ZERO
from signalist.domain.orders import Side
from signalist.domain.signals import Direction
from signalist.execution.turns import Abilities
from signalist.markets.selectors import instruments
from signalist.trading import dust, noting
from signalist.trading.comparing import SETTLED
from signalist.trading.discrepancies import POSITION, AccountLook, State
from signalist.trading.models import Order, Position

Place = tuple[int, int]
"""Account and instrument."""


class _Errand(Protocol):
    beside: Decimal | None

    @property
    def order(self) -> Order: ...


def bound(errands: Sequence[_Errand], accounts: Mapping[int, Account], abilities: Abilities | None) -> None:
    """Tell these exits what at their venues is not theirs to take."""
    venues = {accounts[errand.order.account_id].venue for errand in errands}
    stock = {venue for venue in venues if abilities is not None and abilities(venue).holds_stock}
    known = beside([errand.order for errand in errands], accounts, stock)
    for errand in errands:
        errand.beside = known[errand.order.pk]


def beside(
    orders: Sequence[Order], accounts: Mapping[int, Account], stock_venues: Collection[str]
) -> dict[int, Decimal]:
    """By order, signed, what lies at its venue beside the position that it closes, as it was when books and venue were last seen to agree
    on it; `stock_venues` tell what is held, whoever bought it. Four queries, none without orders.

    A difference that nobody has explained yet is not ours either where it lies in the position's own direction.
    """
    ids = sorted({order.account_id for order in orders})
    if not ids:
        return {}
    known = instruments({order.instrument_id for order in orders})
    held: dict[Place, dict[int, Decimal]] = defaultdict(dict)
    for position in fast.select_ids(Position, ids, "is_open", column="account_id"):
        quantity = Direction(position.direction).sign * position.quantity
        held[position.account_id, position.instrument_id][position.pk] = quantity
    left, differing = dust.given_up(ids), noting.standing(ids)
    looks = {look.account_id: look for look in fast.select_ids(AccountLook, ids, column="account_id")}
    found = {}
    for order in orders:
        of_ours, symbol = -Side(order.side).sign, known[order.instrument_id].symbol
        place = order.account_id, order.instrument_id
        others = sum((q for key, q in held[place].items() if key != order.position_id), ZERO)
        if accounts[order.account_id].venue in stock_venues:
            own = _stock(looks.get(order.account_id), symbol)
        else:
            own = left.get(order.account_id, {}).get(order.instrument_id, ZERO)
            rows = [d for d in differing.get(order.account_id, []) if (d.symbol, d.subject) == (symbol, POSITION)]
            for row in rows:
                gap = (row.theirs or ZERO) - (row.ours or ZERO)
                own += gap if row.state == State.KEPT else of_ours * max(gap * of_ours, ZERO)
        found[order.pk] = others + own
    return found


def _stock(look: AccountLook | None, symbol: str) -> Decimal:
    """What was held of it beside all of ours when nothing was on its way."""
    lines = [] if look is None else [line for line in look.sums if line["symbol"] == symbol]
    return max(Decimal(lines[0].get(SETTLED, lines[0]["own"])), ZERO) if lines else ZERO
