"""Keeps the rows of differences: opened when one has lasted, brought up to date while it does, closed when it is over.

Called inside one transaction with the accounts locked, like every change of what an account may do.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from signalist.accounts.models import Account
from signalist.db import fast
from signalist.domain.instruments import InstrumentKind
from signalist.domain.money import ZERO, plain
from signalist.domain.orders import Side
from signalist.events.outbox import Fact, emit
from signalist.markets.models import Instrument
from signalist.markets.selectors import instruments
from signalist.trading.comparing import Sight
from signalist.trading.discrepancies import POSITION, Answer, Discrepancy, ForeignFill, Kind, State
from signalist.trading.dust import given_up
from signalist.trading.models import Fill
from signalist.venues.base import FillReport

CHANGED = "The numbers have changed since it was answered, so nothing was done. Answer by the new ones."
ALARMING = (Kind.ORDER_IN_DOUBT, Kind.EXIT_HELD)
"""Differences that are an alarm: a position may stand open or unprotected meanwhile."""
_BY_NUMBERS = (Answer.ADOPT, Answer.KEEP, Answer.GIVE_UP)
"""Answers that mean the numbers they were given to. A cancel means the order, whatever is left of it."""
_SEEN = ("kind", "pauses", "ours", "theirs", "facts", "looks", "last_seen_at", "answer", "answer_problem")
_CLOSED = ("state", "resolution", "closed_at", "answer", "answer_problem")
_PAUSING = "state = 'OPEN' AND pauses"
_STANDING = "state IN ('OPEN', 'KEPT')"


def paused_markets(account_ids: Sequence[int]) -> dict[tuple[int, int | None], str]:
    """What takes no entries because of a difference: (account, instrument; None for all of the account's) → its kind. One query."""
    rows = fast.select_ids(Discrepancy, account_ids, _PAUSING, column="account_id")
    # A difference in a symbol that we do not trade has no instrument, and concerns no subscription.
    return {(row.account_id, row.instrument_id): row.kind for row in rows if row.instrument_id or not row.symbol}


def standing(account_ids: Sequence[int]) -> dict[int, list[Discrepancy]]:
    """The differences of these accounts that are open, or kept as the user's own; one query."""
    found: dict[int, list[Discrepancy]] = defaultdict(list)
    for row in fast.select_ids(Discrepancy, account_ids, _STANDING, column="account_id"):
        found[row.account_id].append(row)
    return found


def foreign_sums(rows: Collection[Discrepancy]) -> dict[int, Decimal]:
    """By difference what the fills of strangers come to, signed, without those that turned out to be ours; left out where none is left.
    Two queries."""
    sums: dict[int, Decimal] = {}
    ids = sorted(row.pk for row in rows if row.subject == POSITION and row.state == State.OPEN)
    told = fast.select_ids(ForeignFill, ids, column="discrepancy_id")
    booked = fast.select_ids(Fill, sorted({fill.venue_fill_id for fill in told}), column="venue_fill_id")
    ours = {(fill.account_id, fill.venue_fill_id) for fill in booked}
    for fill in told:
        if (fill.account_id, fill.venue_fill_id) in ours:
            continue
        sums[fill.discrepancy_id] = sums.get(fill.discrepancy_id, ZERO) + Side(fill.side).sign * fill.quantity
    return sums


def beside(row: Discrepancy) -> Decimal:
    """What is known to lie beside our positions in the symbol of a difference, signed: the user's own, and dust that was given up."""
    kept = fast.select_ids(Discrepancy, [row.account_id], "state = 'KEPT'", column="account_id")
    own = sum(((k.theirs or ZERO) - (k.ours or ZERO) for k in kept if k.place == (row.symbol, POSITION)), ZERO)
    dust = given_up([row.account_id]).get(row.account_id, {})
    return own if row.instrument_id is None else own + dust.get(row.instrument_id, ZERO)


def markets(venue: str, symbols: Collection[str]) -> dict[str, int]:
    """The instruments of a venue by symbol; what we do not know is left out."""
    if not symbols:
        return {}
    named, parameters = fast.among("symbol", sorted(symbols))
    return {i.symbol: i.pk for i in fast.select(Instrument, f"venue = %s AND {named}", [venue, *parameters])}


# --- Opening, and bringing up to date ------------------------------------------------------------


def begun(account: Account, sight: Sight, instrument_id: int | None, looks: int, now: datetime) -> Discrepancy:
    """A difference that has lasted; it is not stored yet."""
    return Discrepancy(
        tenant_id=account.tenant_id,
        account_id=account.pk,
        instrument_id=instrument_id,
        symbol=sight.symbol,
        subject=sight.subject,
        kind=sight.kind,
        pauses=sight.pauses,
        ours=sight.ours,
        theirs=sight.theirs,
        facts=dict(sight.facts),
        looks=looks,
        first_seen_at=now,
        last_seen_at=now,
    )


def store(rows: Sequence[Discrepancy]) -> None:
    """Write new differences, each with its event."""
    if not rows:
        return
    fast.insert(rows, returning=True)
    emit([_fact("difference_found", row, row.first_seen_at) for row in rows])


def seen_again(row: Discrepancy, sight: Sight, now: datetime) -> None:
    """It is still there, perhaps with other numbers; the caller, who holds the account's lock, saves it (`save_seen`).

    Nobody has agreed to what they were not shown: an answer by the old numbers is dropped, and its author told.
    """
    terms = sight.kind is Kind.ORDER_CHANGED and row.facts != sight.facts
    if terms or (row.kind, row.ours, row.theirs) != (sight.kind, *sight.numbers):
        dropped = row.answer in _BY_NUMBERS
        row.answer_problem = CHANGED if dropped or row.answer_problem == CHANGED else ""
        row.answer = "" if dropped else row.answer
    row.kind, row.pauses, row.ours, row.theirs = sight.kind, sight.pauses, sight.ours, sight.theirs
    row.facts = row.facts | dict(sight.facts)
    row.looks, row.last_seen_at = row.looks + 1, now


def save_seen(rows: Sequence[Discrepancy]) -> None:
    """Write what `seen_again` changed."""
    fast.update(rows, _SEEN)


# --- Closing -------------------------------------------------------------------------------------


def close(rows: Sequence[Discrepancy], state: State, resolution: str, now: datetime) -> None:
    """End differences: how, in words. Entries are taken again where no other difference denies them."""
    if not rows:
        return
    for row in rows:
        row.state, row.resolution, row.answer, row.answer_problem = state, resolution[:200], "", ""
        row.closed_at = None if state == State.KEPT else now
    fast.update(rows, _CLOSED)
    kinds = {State.GONE: "difference_gone", State.RESOLVED: "difference_resolved", State.KEPT: "difference_kept"}
    emit([_fact(kinds[state], row, now, resolution=resolution) for row in rows])


def _fact(kind: str, row: Discrepancy, at: datetime, **more: Any) -> Fact:
    def text(number: Decimal | None) -> str | None:
        return None if number is None else plain(number)

    payload = {
        "difference": str(row.public_id),
        "account": row.account_id,
        "kind": str(row.kind),
        "symbol": row.symbol,
        "ours": text(row.ours),
        "theirs": text(row.theirs),
        "pauses": row.pauses,
    }
    if kind == "difference_found" and row.kind in ALARMING:
        payload["severity"] = "HIGH"
    return Fact(kind, row.tenant_id, at, payload | more)


# --- Fills of strangers --------------------------------------------------------------------------


def take_foreign(reports: Mapping[int, Sequence[FillReport]], accounts: Mapping[int, Account], now: datetime) -> None:
    """Keep fills of orders that are not ours (account id → reports), each once, and open the difference that they make."""
    ids = sorted({report.venue_fill_id for found in reports.values() for report in found})
    seen = {(f.account_id, f.venue_fill_id) for f in fast.select_ids(ForeignFill, ids, column="venue_fill_id")}
    rows = standing(sorted(reports))
    for account_id, found in sorted(reports.items()):
        account = accounts[account_id]
        fresh = {r.venue_fill_id: r for r in found if (account_id, r.venue_fill_id) not in seen}
        known = markets(account.venue, {report.symbol for report in fresh.values()})
        for symbol in sorted({report.symbol for report in fresh.values()}):
            told = [report for report in fresh.values() if report.symbol == symbol]
            row = next((d for d in rows[account_id] if d.place == (symbol, POSITION) and d.state == State.OPEN), None)
            if row is None:
                sight = Sight(Kind.UNKNOWN_FILL, symbol, POSITION, None, None, pauses=_touches(told, known.get(symbol)))
                row = begun(account, sight, known.get(symbol), 0, now)
                store([row])
            fast.insert([_foreign(row, report) for report in told])


def _touches(told: Sequence[FillReport], instrument_id: int | None) -> bool:
    """Whether strangers' fills may have taken of what we hold: what is bought from stock is the person's own, and the next look says so."""
    if instrument_id is None or any(report.side is Side.SELL for report in told):
        return True
    return instruments([instrument_id])[instrument_id].kind != InstrumentKind.SPOT


def _foreign(row: Discrepancy, report: FillReport) -> ForeignFill:
    return ForeignFill(
        tenant_id=row.tenant_id,
        account_id=row.account_id,
        discrepancy=row,
        venue_fill_id=report.venue_fill_id,
        venue_order_id=report.venue_order_id or report.client_order_id,
        symbol=report.symbol,
        side=report.side.value,
        quantity=report.quantity,
        price=report.price,
        fee=report.fee,
        fee_currency=report.fee_currency,
        time=report.time,
    )
