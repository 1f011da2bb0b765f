"""What is left of a position under its venue's minimum, which no order can close: it ends in the books as it ends at the venue.

The fills stay the ledger: `quantity` goes on saying what they leave, and `dust` that this much of it is given up. The trade counts what
was closed; what the dust is worth is no result of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from signalist.db import fast
from signalist.domain.money import plain
from signalist.domain.signals import Direction
from signalist.events.outbox import Fact
from signalist.markets.selectors import instruments
from signalist.trading.models import ExitType, Position, Trade


def write_off(positions: Sequence[Position], now: datetime) -> tuple[list[Trade], list[Fact]]:
    """Close open positions (the caller saves them) whose rest cannot be sold or bought back: their trades and what is to be told."""
    known = instruments({position.instrument_id for position in positions})
    trades, facts = [], []
    for position in positions:
        position.dust, position.is_open, position.is_closing, position.closed_at = position.quantity, False, False, now
        trade = _trade(position, known[position.instrument_id].quote)
        trades.append(trade)
        payload = {"position": position.pk, "quantity": plain(position.dust), "severity": "INFO"}
        facts.append(Fact("dust_written_off", position.tenant_id, now, payload))
        closed = {"position": position.pk, "net": str(trade.net), "exit": trade.exit_type}
        facts.append(Fact("trade_closed", position.tenant_id, now, closed))
    return trades, facts


def given_up(account_ids: Sequence[int]) -> dict[int, dict[int, Decimal]]:
    """By account and instrument, signed, what was given up in the books because no order could close it: the venue holds it still.
    One query."""
    mine, ids = fast.among("account_id", account_ids)
    found: dict[int, dict[int, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for position in fast.select(Position, f"{mine} AND dust <> '0' ORDER BY id", ids):
        sign = Direction(position.direction).sign
        found[position.account_id][position.instrument_id] += sign * position.dust
    return found


def _trade(position: Position, currency: str) -> Trade:
    assert position.closed_at is not None
    holding = position.holding()
    return Trade(
        tenant_id=position.tenant_id,
        position=position,
        subscription_id=position.subscription_id,
        account_id=position.account_id,
        instrument_id=position.instrument_id,
        direction=position.direction,
        quantity=position.entry_quantity,
        entry_price=holding.average_entry,
        exit_price=holding.average_exit or holding.average_entry,
        gross=holding.gross,
        fees=holding.fees,
        net=holding.net,
        currency=currency,
        exit_type=ExitType.DUST,
        opened_at=position.opened_at,
        closed_at=position.closed_at,
    )
