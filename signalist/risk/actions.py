"""Throwing the kill switch: check, write, keep a row of who, when and why, and say so, in one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from signalist.accounts.models import Account, AccountState
from signalist.audit.writing import record
from signalist.db.wakes import ring_on_commit
from signalist.domain.errors import DomainError
from signalist.events.outbox import Fact, emit
from signalist.risk.models import REASON, Layer, SharedSwitch, SharedSwitchChange, TenantSwitch, TenantSwitchChange
from signalist.risk.restraints import STRICTNESS
from signalist.strategies.models import Strategy
from signalist.trading import stop_tries
from signalist.trading.models import Execution, ExecutionStatus, Subscription
from tenants.models import Tenant, User


@dataclass(frozen=True, slots=True)
class Where:
    """A layer and what it is about: nothing for the platform, else the strategy, tenant, account or subscription."""

    layer: Layer
    strategy: Strategy | None = None
    tenant_id: int | None = None
    account: Account | None = None
    subscription: Subscription | None = None
    name: str = ""

    @classmethod
    def platform(cls) -> Where:
        """Everything."""
        return cls(Layer.PLATFORM, name="platform")

    @classmethod
    def of_strategy(cls, strategy: Strategy) -> Where:
        """Everybody who follows it."""
        return cls(Layer.STRATEGY, strategy=strategy, name=strategy.slug)

    @classmethod
    def of_tenant(cls, tenant: Tenant) -> Where:
        """All accounts of a workspace."""
        return cls(Layer.TENANT, tenant_id=tenant.pk, name=str(tenant.public_id))

    @classmethod
    def of_account(cls, account: Account) -> Where:
        """One account."""
        return cls(Layer.ACCOUNT, tenant_id=account.tenant_id, account=account, name=str(account.public_id))

    @classmethod
    def of_subscription(cls, subscription: Subscription) -> Where:
        """One subscription."""
        name = str(subscription.public_id)
        return cls(Layer.SUBSCRIPTION, tenant_id=subscription.tenant_id, subscription=subscription, name=name)


class NotReleased(DomainError):
    """The layer stays as strict as it is: whoever asked may throw the switch, and may not release it."""


class HeldByOperator(NotReleased):
    """The operator has thrown the switch, so only the operator releases it."""


@dataclass(frozen=True, slots=True)
class Asking:
    """Who sets a switch: `who` is shown, `by` the person, `operator` whether it is the operator of the platform, who alone releases what
    the operator has thrown. `may_release`: whether it may become less strict at all."""

    who: str = ""
    by: User | None = None
    operator: bool = False
    may_release: bool = True

    def check(self, before: str, state: AccountState, *, held: bool) -> None:
        """Raise NotReleased where going from `before` to `state` is not theirs; `held`: whether the operator holds the switch."""
        if STRICTNESS.index(state) >= STRICTNESS.index(before):
            return
        if held and not self.operator:
            raise HeldByOperator("The operator of the platform has stopped this; only the operator resumes it.")
        if not self.may_release:
            raise NotReleased(f"It stays {before}.")

    def holds(self, state: AccountState, *, held: bool) -> bool:
        """Whether the operator holds the switch after it was set to `state`."""
        return state != AccountState.ACTIVE and (held or self.operator)


def switch(
    where: Where,
    state: AccountState,
    reason: str,
    now: datetime,
    *,
    who: str = "",
    by: User | None = None,
    only_stricter: bool = False,
    operator: bool = False,
    may_release: bool = True,
) -> bool:
    """Set a layer to `state` and tell; whether that changed anything. Takes effect with its commit: every engine reads the rows itself.

    `who` is shown (by default the name of `by`). `only_stricter`: leave what is as strict already as it was thrown; a
    rule of the house never loosens what a person has set. Raises DomainError without a reason: one who stops or resumes says why. What the
    `operator` has thrown nobody else makes less strict: HeldByOperator; and nobody without `may_release`: NotReleased.
    """
    reason, who = (
        " ".join(reason.split())[:REASON],
        (who or ((by.full_name or by.email) if by is not None else ""))[:100],
    )
    if not reason:
        raise DomainError("Say why: whoever finds the switch thrown has to decide whether it may be released.")
    asking = Asking(who, by, operator, may_release)
    with transaction.atomic():
        if only_stricter and STRICTNESS.index(_stands(where)) >= STRICTNESS.index(state.value):
            return False
        before = (
            _set_account(where, state, reason, asking) if where.account else _set_row(where, state, reason, asking, now)
        )
        if before == (state, reason) or before[0] == state == AccountState.ACTIVE:
            return False
        _keep(where, before[0], state, reason, now, who, by)
        payload: dict[str, Any] = {"layer": where.layer.value, "what": where.name, "state": state.value}
        payload |= {"before": before[0], "reason": reason, "by": who}
        emit([Fact("kill_switched", where.tenant_id, now, payload)])
        record(
            "kill_switch.thrown" if state != AccountState.ACTIVE else "kill_switch.released",
            tenant_id=where.tenant_id,
            user_id=None if by is None else by.pk,
            target=f"{where.layer.value} {where.name}",
            details={"before": before[0], "state": state.value, "operator": operator},
            words=reason,
        )
        if before[0] == AccountState.HALTED != state:
            _let_out(where)
        ring_on_commit("place", "decide", "protect")
    return True


def _let_out(where: Where) -> None:
    """Have the exits that waited for the end of a halt looked at now; what another layer halts still is put off again.

    `decide` locks what it decides before the accounts, and with its own switch an account is locked by now. So what is being decided
    is passed over: it waits for that account, and finds it released. Other layers lock no account, and wait for a decision that may have
    read the halt.
    """
    of_layer: dict[Layer, dict[str, Any]] = {
        Layer.STRATEGY: {"subscription__strategy": where.strategy},
        Layer.TENANT: {"tenant_id": where.tenant_id},
        Layer.ACCOUNT: {"account": where.account},
        Layer.SUBSCRIPTION: {"subscription": where.subscription},
    }
    about = of_layer.get(where.layer, {})
    waiting = Execution.objects.filter(status=ExecutionStatus.PENDING, not_before__isnull=False, **about)
    locking = waiting.order_by("pk").select_for_update(of=("self",), no_key=True, skip_locked=where.account is not None)
    locked = list(locking.values_list("pk", flat=True))
    if where.account is not None:
        waiting = waiting.filter(pk__in=locked)
    waiting.update(not_before=None)


def _stands(where: Where) -> str:
    """How a layer stands, its row locked where there is one."""
    if where.account is not None:
        return Account.objects.select_for_update(no_key=True).get(pk=where.account.pk).state
    rows: Any = (
        SharedSwitch.objects if where.tenant_id is None else TenantSwitch.objects.filter(tenant_id=where.tenant_id)
    )
    about = {"strategy": where.strategy} if where.tenant_id is None else {"subscription": where.subscription}
    row = rows.filter(layer=where.layer.value, **about).select_for_update().first()
    return AccountState.ACTIVE.value if row is None else str(row.state)


def _set_account(where: Where, state: AccountState, reason: str, asking: Asking) -> tuple[str, str]:
    """The account's own row, under its lock; how it stood before."""
    assert where.account is not None
    account = Account.objects.select_for_update(no_key=True).get(pk=where.account.pk)
    before, held = (account.state, account.state_reason), account.stopped_by_operator
    asking.check(account.state, state, held=held)
    said = f"{reason} ({asking.who})" if asking.who else reason
    account.state, account.state_reason = state.value, "" if state == AccountState.ACTIVE else said[:REASON]
    account.stopped_by_operator = asking.holds(state, held=held)
    account.save(update_fields=["state", "state_reason", "stopped_by_operator"])
    if state == AccountState.ACTIVE:
        stop_tries.start_anew(account)  # what halted it may have left a position without its stop
    where.account.state, where.account.state_reason = account.state, account.state_reason
    return before[0], reason if before[1] == said else ""


def _set_row(where: Where, state: AccountState, reason: str, asking: Asking, now: datetime) -> tuple[str, str]:
    """The switch's row, made when it is first thrown, under its lock; how it stood before."""
    fresh: dict[str, Any] = {"layer": where.layer.value, "at": now}
    row: SharedSwitch | TenantSwitch
    if where.tenant_id is None:
        made, _ = SharedSwitch.objects.get_or_create(layer=where.layer.value, strategy=where.strategy, defaults=fresh)
        row = SharedSwitch.objects.select_for_update().get(pk=made.pk)
    else:
        own, _ = TenantSwitch.objects.get_or_create(
            layer=where.layer.value, tenant_id=where.tenant_id, subscription=where.subscription, defaults=fresh
        )
        row = TenantSwitch.objects.select_for_update().get(pk=own.pk)
    before, columns = (row.state, row.reason), ["state", "reason", "who", "at"]
    held = isinstance(row, TenantSwitch) and row.stopped_by_operator
    asking.check(row.state, state, held=held)
    row.state, row.reason, row.who, row.at = state.value, reason, asking.who, now
    if isinstance(row, TenantSwitch):
        row.stopped_by_operator = asking.holds(state, held=held)
        columns.append("stopped_by_operator")
    row.save(update_fields=columns)
    return before


def _keep(
    where: Where, before: str, state: AccountState, reason: str, now: datetime, who: str, by: User | None
) -> None:
    """The row of who, when and why, which nobody changes."""
    common: dict[str, Any] = {"layer": where.layer.value, "before": before, "state": state.value, "reason": reason}
    common |= {"who": who, "by": by, "at": now}
    if where.tenant_id is None:
        SharedSwitchChange.objects.create(strategy=where.strategy, **common)
    else:
        TenantSwitchChange.objects.create(
            tenant_id=where.tenant_id, account=where.account, subscription=where.subscription, **common
        )
