"""What a copy of somebody's data holds: one section for each kind of row, with its columns by name.

Columns are listed, never "all of them": what is added to a table later is in no export until somebody has thought about it. No section
names a sealed secret, a digest or a password's hash. What a person has said and done is theirs to have; what is the workspace's goes by the
table of permissions, as it does on pages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from signalist.accounts.models import Account
from signalist.api.models import ApiKey
from signalist.audit.models import Entry, Subject
from signalist.audit.words import in_words
from signalist.markets.stream_models import StreamSession
from signalist.risk.models import TenantSwitchChange
from signalist.trading.models import DailyResult, Execution, Fill, Instruction, Order, Position, Subscription, Trade
from tenants.doors import viewing
from tenants.models import Credential, Membership, User
from tenants.permissions import permits

AT_ONCE = 500
Rows = Callable[[int, int], QuerySet[Any]]
RECORDS = ("reports.export",)
CONNECTIONS = ("reports.export", "credentials.view")


@dataclass(frozen=True, slots=True)
class Section:
    """Rows of one kind: a function of (tenant, user) and the columns by the name that the copy gives them.

    `needs`: the permissions that who gets it must all have; none for what is the person's own. `told`: what a batch is before it goes
    into the copy, made behind the same door.
    """

    name: str
    rows: Rows
    columns: Mapping[str, str]
    needs: tuple[str, ...] = ()
    told: Callable[[list[dict[str, Any]]], list[dict[str, Any]]] = list

    def is_for(self, membership: Membership) -> bool:
        """Whether the member may have it."""
        return all(permits(membership, permission) for permission in self.needs)

    def read(self, tenant_id: int, user_id: int) -> Iterator[list[dict[str, Any]]]:
        """The rows, oldest first, some at a time; each batch is read behind a door of its own, so that no transaction lasts."""
        last = 0
        while True:
            with viewing(tenant_id):
                found = self.rows(tenant_id, user_id).filter(pk__gt=last).order_by("pk")
                batch = list(found.values_list("pk", *self.columns.values())[:AT_ONCE])
                said = self.told([dict(zip(self.columns, values[1:], strict=True)) for values in batch])
            if not batch:
                return
            last = batch[-1][0]
            yield said


def _columns(names: str, **others: str) -> dict[str, str]:
    return {name: name for name in names.split()} | others


_PLACE = {
    "account": "account__public_id",
    "subscription": "subscription__public_id",
    "instrument": "instrument__symbol",
}


def _own_entries(tenant_id: int, user_id: int) -> QuerySet[Any]:
    subject = Subject.objects.filter(user_id=user_id).values("pseudonym")
    return Entry.objects.filter(tenant_id=tenant_id, subject__in=subject)


def _with_words(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """With what the person has typed, which stands apart from its entry."""
    details = in_words([line["details"] for line in lines])
    return [line | {"details": said} for line, said in zip(lines, details, strict=True)]


SECTIONS = (
    Section(
        "person",
        lambda tenant, user: User.objects.filter(pk=user),
        _columns("email full_name phone time_zone joined_at last_login", id="public_id"),
    ),
    Section(
        "membership",
        lambda tenant, user: Membership.objects.filter(tenant_id=tenant, user_id=user),
        _columns("role created_at", workspace="tenant__name"),
    ),
    Section(
        "api_keys",
        lambda tenant, user: ApiKey.objects.filter(tenant_id=tenant, user_id=user),
        _columns("name begins scopes hourly_limit uses last_used_at last_used_from created_at expires_at revoked_at"),
    ),
    Section(
        "stream_sessions",
        lambda tenant, user: StreamSession.objects.filter(tenant_id=tenant, user_id=user),
        _columns("client regions instruments changes address agent opened_at changed_at ended_at", id="public_id"),
    ),
    Section(
        "connections",
        lambda tenant, user: Credential.objects.filter(tenant_id=tenant),
        _columns("venue label rights validity egress created_at sealed_at revoked_at revoked_why", id="public_id"),
        CONNECTIONS,
    ),
    Section(
        "accounts",
        lambda tenant, user: Account.objects.filter(tenant_id=tenant),
        _columns("name venue venue_ref currency state state_reason created_at", id="public_id"),
        RECORDS,
    ),
    Section(
        "subscriptions",
        lambda tenant, user: Subscription.objects.filter(tenant_id=tenant),
        _columns(
            "status capital risk_fraction notional_fraction leverage started_at paused_at ended_at",
            id="public_id",
            account="account__public_id",
            strategy="strategy__slug",
            instrument="instrument__symbol",
        ),
        RECORDS,
    ),
    Section(
        "commands",
        lambda tenant, user: Instruction.objects.filter(tenant_id=tenant, by_id=user),
        _columns("kind reason order_type quantity risk_fraction price stop target leverage created_at", id="public_id"),
    ),
    Section(
        "decisions",
        lambda tenant, user: Execution.objects.filter(tenant_id=tenant),
        _columns(
            "id kind status rule quantity created_at decided_at",
            signal="signal__public_id",
            subscription="subscription__public_id",
        ),
        RECORDS,
    ),
    Section(
        "orders",
        lambda tenant, user: Order.objects.filter(tenant_id=tenant),
        _columns("leg side type quantity price trigger status filled filled_value fees reason created_at updated_at")
        | {"id": "client_order_id"}
        | _PLACE,
        RECORDS,
    ),
    Section(
        "fills",
        lambda tenant, user: Fill.objects.filter(tenant_id=tenant),
        _columns(
            "side quantity price fee fee_currency booked_fee time", id="venue_fill_id", order="order__client_order_id"
        ),
        RECORDS,
    ),
    Section(
        "positions",
        lambda tenant, user: Position.objects.filter(tenant_id=tenant),
        _columns(
            "id direction is_open quantity entry_quantity entry_value exit_quantity exit_value fees opened_at closed_at"
        )
        | _PLACE,
        RECORDS,
    ),
    Section(
        "trades",
        lambda tenant, user: Trade.objects.filter(tenant_id=tenant),
        _columns(
            "id direction quantity entry_price exit_price gross fees net currency exit_type opened_at closed_at",
            position="position_id",
        )
        | _PLACE,
        RECORDS,
    ),
    Section(
        "daily_results",
        lambda tenant, user: DailyResult.objects.filter(tenant_id=tenant),
        _columns("day trades wins gross fees net", subscription="subscription__public_id"),
        RECORDS,
    ),
    Section(
        "switches",
        lambda tenant, user: TenantSwitchChange.objects.filter(tenant_id=tenant, by_id=user),
        _columns("layer before state reason at"),
    ),
    Section(
        "audit", _own_entries, _columns("at action target result details session correlation_id"), told=_with_words
    ),
)
