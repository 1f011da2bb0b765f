"""The venues' word on an account's money, as a fold writes it: in the account's currency, or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from signalist.accounts.models import Account
from signalist.db import fast
from signalist.trading.models import AccountBalance
from signalist.venues.base import Balance, Reports


def in_other_currency(balance: Balance, account: Account) -> bool:
    """Whether a venue tells money in another currency than the account's; one that names none means that."""
    return balance.currency not in ("", account.currency)


def written(reports: Mapping[int, Reports], accounts: Mapping[int, Account], now: datetime) -> fast.Insert:
    """The venues' words on the money. One in another currency than the account's is no word on it: what was known stands, only the cursor
    moves on, and the next comparison makes a difference of it."""
    foreign = {key for key in reports if in_other_currency(reports[key].balance, accounts[key])}
    known = fast.select_ids(AccountBalance, sorted(foreign), column="account_id")
    for balance in known:
        balance.cursor = reports[balance.account_id].cursor
    fast.update(known, ("cursor",))
    return fast.Insert(
        [
            fast.new(
                AccountBalance,
                tenant_id=accounts[account_id].tenant_id,
                account_id=account_id,
                total=report.balance.total,
                available=report.balance.available,
                cursor=report.cursor,
                at=now,
            )
            for account_id, report in sorted(reports.items())
            if account_id not in foreign
        ],
        "ON CONFLICT (account_id) DO UPDATE SET "
        "total = excluded.total, available = excluded.available, cursor = excluded.cursor, at = excluded.at",
    )
