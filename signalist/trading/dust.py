"""What is left of a position that no order can close: it ends in the books as it ends at the venue.

Either it is under the venue's minimum, or the venue, which nets, has set it off against dust that lay there the other way round: then
it holds nothing that an order could reduce, and the two pieces of dust come to nothing.

The fills stay the ledger: `quantity` goes on saying what they leave, and `dust` that this much of it is given up. The trade counts what
was closed; what the dust is worth is no result of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from signalist.db import fast
from signalist.domain.money import ZERO, plain
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
    return sums(pieces(account_ids))


def pieces(account_ids: Sequence[int]) -> list[Position]:
    """The positions of these accounts that ended with dust, the oldest first; one query."""
    mine, ids = fast.among("account_id", account_ids)
    return fast.select(Position, f"{mine} AND dust <> '0' ORDER BY id", ids)


def sums(found: Iterable[Position]) -> dict[int, dict[int, Decimal]]:
    """By account and instrument, signed, what these pieces come to."""
    left: dict[int, dict[int, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for position in found:
        left[position.account_id][position.instrument_id] += Direction(position.direction).sign * position.dust
    return left


def worth(found: Iterable[Position], left: Mapping[int, Decimal], since: datetime | None) -> Decimal:
    """What these pieces of one account cost, in its currency, as far as the venue may book a result of theirs that our trades do not
    have: those that lie there still (`left`, by instrument), and those that came to nothing after `since`."""
    pieces = (p for p in found if left.get(p.instrument_id) or since is None or (p.closed_at or since) >= since)
    return sum((p.dust * p.holding().average_entry for p in pieces), ZERO)


def netted_away(positions: Collection[Position]) -> set[int]:
    """Those of these open positions, by id, of which the venue holds nothing: no more is left of them than lies there the other way round
    as dust, and nothing else of the account in the instrument is open. At most two queries, none where nothing has been closed yet."""
    shrunk = [
        p for p in positions if p.is_open and (p.exit_quantity or p.refused_stops or p.lost_stops or p.is_closing)
    ]
    if not shrunk:
        return set()
    left = given_up(sorted({p.account_id for p in shrunk}))
    found = [p for p in shrunk if _covers(left.get(p.account_id, {}).get(p.instrument_id, ZERO), p)]
    if not found:
        return set()
    held: dict[tuple[int, int], int] = defaultdict(int)
    for other in fast.select_ids(Position, sorted({p.account_id for p in found}), "is_open", column="account_id"):
        held[other.account_id, other.instrument_id] += 1
    return {p.pk for p in found if held[p.account_id, p.instrument_id] == 1}


def _covers(left: Decimal, position: Position) -> bool:
    """Whether dust of this sign and size takes up all that is left of the position."""
    quantity: Decimal = position.quantity
    return -left * Direction(position.direction).sign >= quantity
