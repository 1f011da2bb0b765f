"""How a person's command becomes a row: once, whatever comes twice, with its event."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from signalist.accounts.models import Account
from signalist.audit.writing import record
from signalist.domain.errors import DomainError
from signalist.domain.orders import NAMESPACE
from signalist.events.outbox import Fact, emit
from signalist.trading.models import Instruction, InstructionKind
from signalist.trading.terms import Refused
from tenants.models import User

USED = "This form was used already, for something else. Nothing was done; open a new one."
"""What is said to a key that names another command."""


def command(
    kind: InstructionKind, account: Account, key: str, reason: str, now: datetime, by: User | None, **more: Any
) -> tuple[Instruction, bool]:
    """The command of this key, and whether it is new. `more` are further columns of a new one.

    Inside the transaction that carries it out. Raises DomainError where the key names another command already.
    """
    instruction, made = Instruction.objects.get_or_create(
        tenant_id=account.tenant_id,
        key=key,
        defaults={
            "public_id": uuid.uuid5(NAMESPACE, f"{account.public_id}:{key}"),
            "kind": kind,
            "account": account,
            "reason": reason,
            "by": by,
            "created_at": now,
            **more,
        },
    )
    if instruction.account_id != account.pk or instruction.kind != kind:
        raise DomainError(f"The key {key!r} already names another command; choose a new one.")
    return instruction, made


def same_command(kind: InstructionKind, account: Account, key: str, **wanted: Any) -> Instruction | None:
    """The command that the key names already, None where it names none: a form that is sent twice is one command.

    Raises Refused where that command is another one: of another kind or account, or with another value in a column of `wanted`.
    """
    found = Instruction.objects.filter(tenant_id=account.tenant_id, key=key).first()
    if found is None:
        return None
    if (found.kind, found.account_id) != (kind, account.pk) or any(
        getattr(found, name) != value for name, value in wanted.items()
    ):
        raise Refused("", USED)
    return found


def told(instruction: Instruction, now: datetime, **more: Any) -> None:
    """Write the event of a command that was given and, where a person gave it, the line of the audit log."""
    payload = {"instruction": str(instruction.public_id), "kind": str(instruction.kind), **more}
    if instruction.by_id is not None:
        record(
            f"command.{str(instruction.kind).lower()}",
            tenant_id=instruction.tenant_id,
            user_id=instruction.by_id,
            target=str(instruction.public_id),
            details={"account": str(instruction.account.public_id), "reason": instruction.reason, **more},
        )
    emit([Fact("instruction_given", instruction.tenant_id, now, payload)])
