"""The kill switch as pages and the command show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from signalist.accounts.models import Account, AccountState
from signalist.risk.models import Layer, SharedSwitch, SharedSwitchChange, TenantSwitch, TenantSwitchChange
from signalist.risk.restraints import STRICTNESS
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


def thrown() -> list[Thrown]:
    """The switches that are thrown behind the open door, the outermost first. Three queries."""
    shared = SharedSwitch.objects.exclude(state=AccountState.ACTIVE).select_related("strategy").order_by("pk")
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


def strictest_state(found: Sequence[Thrown]) -> str:
    """The strictest state of any; ACTIVE where none is thrown."""
    return max((one.state for one in found), key=STRICTNESS.index, default=AccountState.ACTIVE.value)


def changes(limit: int = 50) -> list[TenantSwitchChange | SharedSwitchChange]:
    """The newest changes behind the open door, newest first, those of the platform and of strategies among them."""
    own = TenantSwitchChange.objects.select_related("account", "subscription__strategy").order_by("-pk")[:limit]
    shared = SharedSwitchChange.objects.select_related("strategy").order_by("-pk")[:limit]
    found: list[TenantSwitchChange | SharedSwitchChange] = [*own, *shared]
    return sorted(found, key=lambda change: change.at, reverse=True)[:limit]


@dataclass(frozen=True, slots=True)
class Lever:
    """A layer that the workspace may set itself, and how it stands."""

    layer: str
    public_id: str
    what: str
    state: str
    reason: str
    who: str


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
    """The board of the tenant behind the open door; of strategies those that it follows. A constant number of queries.

    Its subscriptions are listed while they are stopped.
    """
    found = thrown()
    live = Subscription.objects.filter(strategy__isnull=False).exclude(status=SubscriptionStatus.ENDED)
    followed = set(live.values_list("strategy__name", flat=True))
    above = tuple(
        one for one in found if one.layer == Layer.PLATFORM or (one.layer == Layer.STRATEGY and one.what in followed)
    )
    over_all = [one for one in found if one.layer in (Layer.PLATFORM, Layer.TENANT)]
    rows = TenantSwitch.objects.select_related("subscription__strategy", "subscription__account", "tenant")
    switches = {row.subscription_id: row for row in rows.order_by("pk")}
    own = switches.pop(None, None)
    state, reason, who = (own.state, own.reason, own.who) if own else (AccountState.ACTIVE.value, "", "")
    levers = [Lever("tenant", str(tenant.public_id), f"{tenant.name}, all accounts", state, reason, who)]
    levers += [
        Lever("account", str(account.public_id), account.name, account.state, account.state_reason, "")
        for account in Account.objects.order_by("name", "pk")
    ]
    for row in switches.values():
        if row.subscription is not None and row.state != AccountState.ACTIVE:
            key, words = str(row.subscription.public_id), _own_words(row)
            levers.append(Lever("subscription", key, words, row.state, row.reason, row.who))
    return Board(above, tuple(levers), tuple(changes(20)), strictest_state(over_all))
