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
from signalist.trading.folded_rows import trade_closed, trade_row
from signalist.trading.models import ExitType, Position, Trade


def write_off(positions: Sequence[Position], now: datetime) -> tuple[list[Trade], list[Fact]]:
    """Close open positions (the caller saves them) whose rest cannot be sold or bought back: their trades and what is to be told."""
    known = instruments({position.instrument_id for position in positions})
    trades, facts = [], []
    for position in positions:
        position.dust, position.is_open, position.is_closing, position.closed_at = position.quantity, False, False, now
        trade = trade_row(position, known[position.instrument_id].quote, ExitType.DUST, now)
        trades.append(trade)
        payload = {"position": position.pk, "quantity": plain(position.dust), "severity": "INFO"}
        facts.append(Fact("dust_written_off", position.tenant_id, now, payload))
        facts.append(trade_closed(trade, position))
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
