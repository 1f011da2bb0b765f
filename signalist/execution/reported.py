"""What venues report of accounts becomes rows: read from each account's cursor, folded once, under the account's lock."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from django.db import IntegrityError

from signalist.accounts.models import Account
from signalist.db import fast
from signalist.db.units import unit
from signalist.db.wakes import free_on_commit, ring_on_commit
from signalist.domain.errors import DomainError
from signalist.execution import leases
from signalist.trading import naming
from signalist.trading.misfits import fold_each
from signalist.trading.models import AccountBalance
from signalist.venues.base import Reports

REPORTED_ANEW = timedelta(minutes=1)
"""So often it is noted that an account was reported on, though nothing was new."""


def read_up_to(account_ids: Collection[int], engine: uuid.UUID | None) -> list[tuple[Account, str]]:
    """Those of these accounts that are `engine`'s, each with the cursor from which it is read on."""
    accounts = leases.mine(fast.select_ids(Account, sorted(account_ids)), engine).values()
    cursors = {
        b.account_id: b.cursor for b in fast.select_ids(AccountBalance, sorted(account_ids), column="account_id")
    }
    return [(account, cursors.get(account.pk, "")) for account in accounts]


def write_reports(reports: dict[int, tuple[str, Reports]], now: datetime, engine: uuid.UUID | None = None) -> int:
    """Fold the reports of accounts that are still `engine`'s and whose cursor is where they were asked from."""
    stored = _balances(reports)
    telling = sorted(key for key, (_, answer) in reports.items() if _tells(answer, stored.get(key), now))
    if not telling:
        return 0
    try:
        return _folded(telling, reports, now, engine, one_by_one=False)
    except (DomainError, IntegrityError):
        return _folded(telling, reports, now, engine, one_by_one=True)


def _folded(
    telling: Sequence[int],
    reports: Mapping[int, tuple[str, Reports]],
    now: datetime,
    engine: uuid.UUID | None,
    *,
    one_by_one: bool,
) -> int:
    with unit("reconcile.reports"):
        accounts = leases.mine(fast.select_ids(Account, telling, lock="update"), engine)
        cursors = {key: balance.cursor for key, balance in _balances(accounts).items()}
        current = {key: reports[key][1] for key in accounts if cursors.get(key, "") == reports[key][0]}
        for key in naming.waiting(current, now):
            del current[key]
        if not current:
            return 0
        fills = fold_each(current, accounts, now, one_by_one=one_by_one)
        ring_on_commit("protect", "measure")
        free_on_commit("decide", "place")
    return fills


def _balances(account_ids: Iterable[int]) -> dict[int, AccountBalance]:
    return {b.account_id: b for b in fast.select_ids(AccountBalance, sorted(account_ids), column="account_id")}


def _tells(answer: Reports, stored: AccountBalance | None, now: datetime) -> bool:
    """Whether a report holds anything new: most of those that are asked for in case a stream was mute hold nothing."""
    if stored is None or answer.orders or answer.fills or answer.cursor != stored.cursor:
        return True
    money = answer.balance
    return (money.total, money.available) != (stored.total, stored.available) or now - stored.at >= REPORTED_ANEW
