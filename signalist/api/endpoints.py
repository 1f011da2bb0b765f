"""The endpoints under /api/v1/, all of them reading. What belongs to another workspace is not there: 404."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import Http404, HttpRequest

from signalist.accounts.models import Account
from signalist.api import resources
from signalist.api.answers import listed, plain
from signalist.api.endpoint import reads
from signalist.api.gate import Caller
from signalist.trading.models import Execution, Order, Position, Subscription, Trade

Said = dict[str, Any]
_FOLLOWED = ("account", "subscription", "instrument")


@reads()
def me(request: HttpRequest, who: Caller) -> Said:
    """The key, its owner's role, and the workspace."""
    key, tenant = who.key, who.membership.tenant
    return {
        "workspace": plain({"id": tenant.public_id, "name": tenant.name, "base_currency": tenant.base_currency}),
        "user": plain({"id": key.user.public_id, "name": key.user.full_name, "role": who.membership.role}),
        "key": plain({"id": key.public_id, "name": key.name, "scopes": key.scopes, "expires_at": key.expires_at}),
    }


@reads("accounts:read")
def accounts(request: HttpRequest, who: Caller) -> Said:
    """The workspace's accounts."""
    return listed(request, Account.objects.select_related("balance"), resources.account)


@reads("accounts:read")
def account(request: HttpRequest, who: Caller, public_id: uuid.UUID) -> Said:
    """One of them."""
    return _one(Account.objects.select_related("balance").filter(public_id=public_id), resources.account)


@reads("subscriptions:read")
def subscriptions(request: HttpRequest, who: Caller) -> Said:
    """What accounts follow, and their books by hand."""
    return listed(request, _subscriptions(), resources.subscription)


@reads("subscriptions:read")
def subscription(request: HttpRequest, who: Caller, public_id: uuid.UUID) -> Said:
    """One of them."""
    return _one(_subscriptions().filter(public_id=public_id), resources.subscription)


@reads("positions:read")
def positions(request: HttpRequest, who: Caller) -> Said:
    """Positions; `open=true` those that are open."""
    rows = Position.objects.select_related(*_FOLLOWED)
    return listed(request, rows.filter(is_open=True) if request.GET.get("open") == "true" else rows, resources.position)


@reads("positions:read")
def position(request: HttpRequest, who: Caller, position_id: int) -> Said:
    """One of them."""
    return _one(Position.objects.select_related(*_FOLLOWED).filter(pk=position_id), resources.position)


@reads("orders:read")
def orders(request: HttpRequest, who: Caller) -> Said:
    """Orders."""
    return listed(request, Order.objects.select_related(*_FOLLOWED), resources.order)


@reads("orders:read")
def order(request: HttpRequest, who: Caller, client_order_id: uuid.UUID) -> Said:
    """One of them, by the id under which it went to its venue."""
    rows = Order.objects.select_related(*_FOLLOWED).filter(client_order_id=str(client_order_id))
    return _one(rows, resources.order)


@reads("trades:read")
def trades(request: HttpRequest, who: Caller) -> Said:
    """Closed trades."""
    return listed(request, Trade.objects.select_related(*_FOLLOWED), resources.trade)


@reads("signals:read")
def signals(request: HttpRequest, who: Caller) -> Said:
    """The signals that concerned the workspace's subscriptions, with what was decided on each."""
    rows = Execution.objects.filter(signal__isnull=False).select_related("signal", "subscription")
    return listed(request, rows, resources.decision)


def _subscriptions() -> Any:
    return Subscription.objects.select_related("account", "strategy", "instrument")


def _one(rows: Any, shown: Any) -> Said:
    row = rows.first()
    if row is None:
        raise Http404
    said: Said = plain(shown(row))
    return said
