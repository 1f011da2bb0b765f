"""What the house itself halts stands in the kill switch's history like what people throw: a row that nobody changes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from signalist.accounts.models import Account
from signalist.audit.writing import record
from signalist.risk.models import Layer, TenantSwitchChange

THE_HOUSE = "the house"


def keep(sender: type[Account], *, account: Account, before: str, now: datetime, **kwargs: Any) -> None:
    """Receiver of `house_halted`, in the transaction that halts."""
    TenantSwitchChange.objects.create(
        tenant_id=account.tenant_id,
        layer=Layer.ACCOUNT.value,
        account=account,
        before=before,
        state=account.state,
        reason=account.state_reason,
        who=THE_HOUSE,
        at=now,
    )
    record(
        "kill_switch.thrown",
        tenant_id=account.tenant_id,
        user_id=None,
        target=str(account.public_id),
        details={"layer": Layer.ACCOUNT.value, "before": before, "state": account.state, "by": THE_HOUSE},
    )
