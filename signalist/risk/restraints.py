"""What the kill switch says now, as the engine reads it: in the transaction of a decision, and right before an entry is sent.

ACTIVE takes everything. REDUCING takes exits only. HALTED sends nothing but cancels, and what protects: stops and targets stay at the
venue, follow the fills, and a stop that the engine itself watches still closes when it is reached. A halt never makes a position less
protected than it was.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from signalist.accounts.models import Account, AccountState
from signalist.db import fast
from signalist.domain.rules import Numbers
from signalist.risk.models import Layer, SharedSwitch, TenantSwitch

RULE = "kill_switch"
"""The rule by which the decision record names it."""
STRICTNESS = [AccountState.ACTIVE.value, AccountState.REDUCING.value, AccountState.HALTED.value]
_OUTERMOST = [layer.value for layer in Layer]
_THROWN = "state <> 'ACTIVE'"
Key = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Restraint:
    """A switch that is thrown: `state` is REDUCING or HALTED; why, and by whom where that is known."""

    layer: str
    state: str
    reason: str
    who: str = ""

    @property
    def is_halt(self) -> bool:
        return self.state == AccountState.HALTED

    @property
    def numbers(self) -> Numbers:
        """For the decision record."""
        return {"layer": self.layer.lower(), "state": self.state, "reason": self.reason, "by": self.who}

    def __str__(self) -> str:
        why = f": {self.reason}" if self.reason else ""
        return f"kill switch, {self.layer.lower()} {self.state}{why}"


@dataclass(frozen=True, slots=True)
class Restraints:
    """The switches that are thrown, by (layer, id); the platform's id is 0."""

    thrown: dict[Key, Restraint] = field(default_factory=dict)

    def strictest(self, account: Account, strategy_id: int | None, subscription_id: int) -> Restraint | None:
        """The strictest switch over a subscription, the outermost of those that are equally strict; None where none is thrown.

        `strategy_id` is None for what an account does by hand.
        """
        own = Restraint(Layer.ACCOUNT.value, account.state, account.state_reason)
        keys = [
            (Layer.PLATFORM.value, 0),
            (Layer.STRATEGY.value, strategy_id or 0),
            (Layer.TENANT.value, account.tenant_id),
            (Layer.SUBSCRIPTION.value, subscription_id),
        ]
        over = [self.thrown[key] for key in keys if key in self.thrown]
        if account.state != AccountState.ACTIVE:
            over.append(own)
        return strictest(over)

    @property
    def over_all(self) -> Restraint | None:
        """The strictest switch that is over all accounts of the tenants that were asked about."""
        return strictest([r for r in self.thrown.values() if r.layer in (Layer.PLATFORM, Layer.TENANT)])

    @property
    def of_strategies(self) -> bool:
        """Whether any strategy is restrained, so that it matters which one an order is of."""
        return any(layer == Layer.STRATEGY.value for layer, _ in self.thrown)


def strictest(found: Collection[Restraint]) -> Restraint | None:
    """The strictest of `found`, the outermost first; None where there is none."""
    order = sorted(found, key=lambda r: (-STRICTNESS.index(r.state), _OUTERMOST.index(r.layer)))
    return order[0] if order else None


def restraints(tenant_ids: Collection[int]) -> Restraints:
    """The switches thrown over these tenants, but for their accounts' own. One query."""
    mine, ids = fast.among("tenant_id", sorted(tenant_ids))
    shared, own = SharedSwitch._meta.db_table, TenantSwitch._meta.db_table
    found = fast.tuples(
        f"SELECT layer, COALESCE(strategy_id, 0), state, reason, who FROM {shared} WHERE {_THROWN}"
        " UNION ALL"
        f" SELECT layer, COALESCE(subscription_id, tenant_id), state, reason, who FROM {own} WHERE {_THROWN} AND {mine}",
        ids,
    )
    return Restraints({(layer, key): Restraint(layer, state, reason, who) for layer, key, state, reason, who in found})
