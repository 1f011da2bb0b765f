"""Carries out what people have answered to differences: called by the stage `compare`, inside its transaction, with the account locked."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime

from signalist.accounts.models import Account
from signalist.db import fast
from signalist.db.wakes import ring_on_commit
from signalist.domain.money import ZERO
from signalist.execution import leases
from signalist.execution.verdicts import write_off
from signalist.trading import noting
from signalist.trading.adopting import adopt
from signalist.trading.changed_orders import settle_changed
from signalist.trading.discrepancies import AccountLook, Answer, Discrepancy, Kind, State
from signalist.trading.models import Order

_ASKED = "answer <> '' AND state = 'OPEN' AND {mine} ORDER BY id"


def asked(engine: uuid.UUID | None) -> list[tuple[Discrepancy, Account]]:
    """What was answered for accounts that `engine` holds and is not carried out yet; one query where there is nothing."""
    held, holder = leases.of(engine)
    rows = fast.select(Discrepancy, _ASKED.format(mine=held), holder)
    accounts = {a.pk: a for a in fast.select_ids(Account, sorted({row.account_id for row in rows}))}
    return [(row, accounts[row.account_id]) for row in rows]


def is_done_at_venue(row: Discrepancy) -> bool:
    """Whether what was answered is a request to the venue, before anything is written. Our own orders `place` takes down, as ever."""
    return row.answer == Answer.CANCEL and row.kind != Kind.ORDER_CHANGED


def carry_out(done_at_venue: Mapping[int, str], engine: uuid.UUID | None, now: datetime) -> set[int]:
    """Carry out answers: difference id → what the venue said against it, empty for nothing. Returns the accounts to look at again."""
    rows = fast.select_ids(Discrepancy, sorted(done_at_venue))
    locked = fast.select_ids(Account, sorted({row.account_id for row in rows}), lock="update")
    accounts = leases.mine(locked, engine)
    current = fast.select_ids(Discrepancy, sorted(done_at_venue), "answer <> '' AND state = 'OPEN'", lock="update")
    for row in (row for row in current if row.account_id in accounts):
        problem = done_at_venue[row.pk] or _carried_out(row, accounts[row.account_id], now)
        if problem or row.answer == Answer.CHECK:
            row.answer, row.answer_problem = "", problem[:200]
            fast.update([row], ("answer", "answer_problem"))
        else:
            noting.close([row], State.KEPT if _stays(row) else State.RESOLVED, _resolution(row), now)
    if current:
        ring_on_commit("protect", "measure", "decide", "place")
    return {row.account_id for row in current} & accounts.keys()


def _carried_out(row: Discrepancy, account: Account, now: datetime) -> str:
    """Do what is to be done in our books; returns why it could not be."""
    if row.answer == Answer.ADOPT:
        return adopt(row, account, now)
    if row.kind == Kind.ORDER_CHANGED:
        return settle_changed(row, now)
    if row.kind == Kind.ORDER_IN_DOUBT:
        _about_doubt(row, now)
    elif row.answer == Answer.GIVE_UP:
        return _given_up(row, now)
    if row.answer == Answer.KEEP and row.kind == Kind.BALANCE_GAP:
        _take_in(row)
    return ""


def _given_up(row: Discrepancy, now: datetime) -> str:
    """Count a lost order as over; what it has filled stays. Returns why it could not be."""
    found = [
        o for o in fast.select_ids(Order, [row.subject], column="client_order_id") if o.account_id == row.account_id
    ]
    if not found or any(not (order.state.is_open or order.state.is_final) for order in found):
        return "The order is in doubt again and being asked about, so it cannot be given up now."
    write_off([order for order in found if order.state.is_open], "given up by hand", now)
    return ""


def _about_doubt(row: Discrepancy, now: datetime) -> None:
    """Look again now, or give up an order of which nobody can tell whether the venue has it: what it holds beyond our books then shows as
    differences of its own."""
    doubtful = fast.select_ids(Order, [row.subject], "status = 'UNKNOWN'", column="client_order_id", lock="update")
    if row.answer == Answer.GIVE_UP:
        write_off(doubtful, "given up by hand", now)
        return
    for order in doubtful:
        order.not_before = None
    fast.update(doubtful, ("not_before",))
    ring_on_commit("look_up")


def _take_in(row: Discrepancy) -> None:
    """Money that came or went past us: what the next looks go by moves with it."""
    for look in fast.select_ids(AccountLook, [row.account_id], column="account_id"):
        if look.base is not None:
            look.base += (row.theirs or ZERO) - (row.ours or ZERO)
            fast.update([look], ("base",))


def _stays(row: Discrepancy) -> bool:
    return row.answer == Answer.KEEP and row.kind not in (Kind.BALANCE_GAP, Kind.ORDER_CHANGED)


def _resolution(row: Discrepancy) -> str:
    if row.kind == Kind.ORDER_CHANGED:
        return "taken over as it was changed" if row.answer == Answer.KEEP else "taken down"
    return {
        Answer.ADOPT: "booked as closed by hand",
        Answer.CANCEL: "cancelled at the venue",
        Answer.GIVE_UP: "given up: the venue does not have it",
        Answer.KEEP: "taken in" if row.kind == Kind.BALANCE_GAP else "left alone as the user's own",
    }[Answer(row.answer)]
