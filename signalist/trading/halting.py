"""The house halts an account whose books cannot be kept, and says so. The kill switch's history is a floor above, and listens."""

from __future__ import annotations

from datetime import datetime

from django.dispatch import Signal

from signalist.accounts.models import Account, AccountState
from signalist.events.outbox import Fact

house_halted = Signal()
"""Sent in the transaction that halts: `account` as it stands now, `before` its state until then, `now`."""


def halted(account: Account, reason: str, now: datetime) -> Fact | None:
    """Halt an account, whose row is locked and which the caller saves, and say why; None, and nothing to save, where it is halted for that
    reason already."""
    before = account.state, account.state_reason
    account.state, account.state_reason = AccountState.HALTED.value, reason[:200]
    if (account.state, account.state_reason) == before:
        return None
    house_halted.send(sender=Account, account=account, before=before[0], now=now)
    return Fact("account_halted", account.tenant_id, now, {"account": account.pk, "reason": reason, "severity": "HIGH"})
