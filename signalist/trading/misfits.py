"""Folds the reports of many accounts, and halts those whose books cannot hold what their venue reports, so that it concerns nobody else.

Their reports are read again with every round, since the cursor stays where it was: for as long as an account is halted for that it
is folded by itself, and what is known is not said again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime

from django.db import IntegrityError, transaction

from signalist.accounts.models import Account, AccountState
from signalist.db import fast
from signalist.domain.errors import DomainError
from signalist.events.outbox import emit
from signalist.logs import logger
from signalist.trading.folding import fold
from signalist.trading.halting import halted
from signalist.venues.base import Reports

log = logger(__name__)

MISFIT = "the venue's reports do not fit the books: "


def fold_each(
    reports: Mapping[int, Reports], accounts: Mapping[int, Account], now: datetime, *, one_by_one: bool = True
) -> int:
    """Fold all accounts at once; where the books of one cannot hold what its venue reports, fold each by itself and halt that one.

    Called inside one transaction with the accounts locked; returns how many fills were new. Not `one_by_one`, what the books cannot hold is
    raised (DomainError, IntegrityError) for the caller to begin anew: so that folds in which everything fits need no savepoint.
    """
    if not one_by_one and not any(_is_misfit(accounts[key]) for key in reports):
        return fold(reports, accounts, now)
    fitting = {key: report for key, report in reports.items() if not _is_misfit(accounts[key])}
    apart = [key for key in reports if key not in fitting]
    fills = 0
    try:
        if fitting:
            with _whole(accounts):
                fills += fold(fitting, accounts, now)
    except (DomainError, IntegrityError):
        log.warning("accounts_folded_one_by_one", accounts=len(fitting))
        apart = list(reports)
    for key in sorted(apart):
        try:
            with _whole(accounts):
                fills += fold({key: reports[key]}, accounts, now)
        except (DomainError, IntegrityError) as error:
            # Its first line: what a database adds to it may be another at each time.
            halt(accounts[key], MISFIT + str(error).partition("\n")[0], now)
    return fills


def halt(account: Account, reason: str, now: datetime) -> None:
    """Stop trading on an account whose books and venue differ, and say why; resumed by hand."""
    if (fact := halted(account, reason, now)) is not None:
        fast.update([account], ("state", "state_reason"))
        emit([fact])


def _is_misfit(account: Account) -> bool:
    return account.state == AccountState.HALTED and account.state_reason.startswith(MISFIT)


@contextmanager
def _whole(accounts: Mapping[int, Account]) -> Iterator[None]:
    """All of a fold or nothing, also of what it changed in `accounts`."""
    before = {key: (account.state, account.state_reason) for key, account in accounts.items()}
    try:
        with transaction.atomic():
            yield
    except BaseException:
        for key, account in accounts.items():
            account.state, account.state_reason = before[key]
        raise
