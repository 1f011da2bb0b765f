"""The kill switch as pages and the command show it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q

from signalist.accounts.models import Account, AccountState
from signalist.risk.models import Layer, SharedSwitch, SharedSwitchChange, TenantSwitch, TenantSwitchChange
from signalist.risk.restraints import STRICTNESS, restraints
from signalist.trading.models import Subscription, SubscriptionStatus
from tenants.models import Tenant


@dataclass(frozen=True, slots=True)
class Thrown:
    """A switch that is thrown, with what it is about in words; `at` is None where the account's row does not say."""

    layer: str
    what: str
    state: str
    reason: str
    who: str
    at: datetime | None

    def __str__(self) -> str:
        by = f" by {self.who}" if self.who else ""
        at = f" at {self.at:%Y-%m-%d %H:%M:%S} UTC" if self.at else ""
        return f"{self.state:8} {self.layer.lower()} {self.what}{at}{by}: {self.reason or 'no reason was given'}"


def thrown(strategies: Collection[int] | None = None) -> list[Thrown]:
    """The switches that are thrown behind the open door, the outermost first; of strategies those among `strategies` (None: all). Three
    queries."""
    shared = SharedSwitch.objects.exclude(state=AccountState.ACTIVE).select_related("strategy").order_by("pk")
    if strategies is not None:
        shared = shared.filter(Q(strategy__isnull=True) | Q(strategy__in=strategies))
    own = TenantSwitch.objects.exclude(state=AccountState.ACTIVE).order_by("pk")
    found = [
        Thrown(s.layer, s.strategy.name if s.strategy else "everything", s.state, s.reason, s.who, s.at) for s in shared
    ]
    found += [
        Thrown(s.layer, _own_words(s), s.state, s.reason, s.who, s.at)
        for s in own.select_related("tenant", "subscription__strategy", "subscription__account")
    ]
    halted = Account.objects.exclude(state=AccountState.ACTIVE).order_by("pk")
    found += [Thrown(Layer.ACCOUNT.value, str(a), a.state, a.state_reason, "", None) for a in halted]
    outermost = [layer.value for layer in Layer]
    return sorted(found, key=lambda one: outermost.index(one.layer))


def _own_words(row: TenantSwitch) -> str:
    if row.subscription is None:
        return row.tenant.name
    strategy = row.subscription.strategy
    return f"{'orders by hand' if strategy is None else strategy.name} on {row.subscription.account.name}"


def halts(tenant_ids: Collection[int]) -> Callable[[Account, Subscription | None], str]:
    """Says of an account of these tenants, or of what one subscription holds in it, why nothing would be closed there now; "" where it
    would. One query, whatever is asked."""
    thrown_now = restraints(tenant_ids)

    def halt_over(account: Account, subscription: Subscription | None) -> str:
        strategy_id = None if subscription is None else subscription.strategy_id
        over = thrown_now.strictest(account, strategy_id, 0 if subscription is None else subscription.pk)
        if over is None or not over.is_halt:
            return ""
        by = f", by {over.who}" if over.who else ""
        return f"{over.layer.lower()}{by}: {over.reason or 'no reason was given'}"

    return halt_over


def strictest_state(found: Sequence[Thrown]) -> str:
    """The strictest state of any; ACTIVE where none is thrown."""
    return max((one.state for one in found), key=STRICTNESS.index, default=AccountState.ACTIVE.value)


def changes(
    limit: int = 50, strategies: Collection[int] | None = None
) -> list[TenantSwitchChange | SharedSwitchChange]:
    """The newest changes behind the open door, newest first, those of the platform and of `strategies` (None: all) among them."""
    own = TenantSwitchChange.objects.select_related("account", "subscription__strategy").order_by("-pk")[:limit]
    shared = SharedSwitchChange.objects.select_related("strategy").order_by("-pk")
    if strategies is not None:
        shared = shared.filter(Q(strategy__isnull=True) | Q(strategy__in=strategies))
    found: list[TenantSwitchChange | SharedSwitchChange] = [*own, *shared[:limit]]
    return sorted(found, key=lambda change: change.at, reverse=True)[:limit]


@dataclass(frozen=True, slots=True)
class Lever:
    """A layer that the workspace may set itself, and how it stands; what the `operator` has thrown it may only make stricter."""

    layer: str
    public_id: str
    what: str
    state: str
    reason: str
    who: str
    operator: bool


@dataclass(frozen=True, slots=True)
class Board:
    """The kill switch as a workspace sees it: what others have thrown over it, its own levers, and what was changed lately.

    `state` is that of everything: of the platform and the workspace the stricter.
    """

    above: tuple[Thrown, ...]
    levers: tuple[Lever, ...]
    changes: tuple[TenantSwitchChange | SharedSwitchChange, ...]
    state: str


def board(tenant: Tenant) -> Board:
    """The board of the tenant behind the open door. A constant number of queries. Its subscriptions are listed while they are stopped,
    strategies where it follows them; `state` is what holds for all of it."""
    following = Subscription.objects.exclude(status=SubscriptionStatus.ENDED).filter(strategy__isnull=False)
    followed = set(following.values_list("strategy_id", flat=True))
    found = thrown(followed)
    shared = [Layer.PLATFORM.value, Layer.STRATEGY.value]
    above = tuple(one for one in found if one.layer in shared)
    rows = TenantSwitch.objects.select_related("subscription__strategy", "subscription__account", "tenant")
    switches = {row.subscription_id: row for row in rows.order_by("pk")}
    own = switches.pop(None, None)
    own = own or TenantSwitch(tenant=tenant)
    levers = [_lever("tenant", tenant.public_id, f"{tenant.name}, all accounts", own)]
    levers += [
        Lever(
            "account",
            str(account.public_id),
            account.name,
            account.state,
            account.state_reason,
            "",
            account.stopped_by_operator,
        )
        for account in Account.objects.order_by("name", "pk")
    ]
    for row in switches.values():
        if row.subscription is not None and row.state != AccountState.ACTIVE:
            levers.append(_lever("subscription", row.subscription.public_id, _own_words(row), row))
    whole = [one for one in found if one.layer in (Layer.PLATFORM.value, Layer.TENANT.value)]
    return Board(above, tuple(levers), tuple(changes(20, followed)), strictest_state(whole))


def _lever(layer: str, key: uuid.UUID, what: str, row: TenantSwitch) -> Lever:
    return Lever(layer, str(key), what, row.state, row.reason, row.who, row.stopped_by_operator)
