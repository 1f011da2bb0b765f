"""Whose account an address is about: what a member may do there by a right to that account alone (`tenants.access.needs`)."""

from __future__ import annotations

import uuid
from typing import Any

from signalist.accounts.models import Account
from signalist.trading.models import Order, Position, Subscription


def all_accounts() -> Any:
    """The workspace's accounts, in the order in which they are offered."""
    return Account.objects.order_by("name", "pk")


def of_account(public_id: uuid.UUID) -> Account | None:
    """The account itself."""
    return Account.objects.filter(public_id=public_id).first()


def of_difference(account_id: uuid.UUID, public_id: uuid.UUID) -> Account | None:
    """The account whose books differ. Whether the difference is one of its, the page finds out."""
    return of_account(account_id)


def of_position(position_id: int, leg: str = "") -> Account | None:
    """The account that holds the position."""
    row = Position.objects.select_related("account").filter(pk=position_id).first()
    return row.account if row is not None else None


def of_order(client_order_id: uuid.UUID) -> Account | None:
    """The account that the order was given for."""
    row = Order.objects.select_related("account").filter(client_order_id=str(client_order_id)).first()
    return row.account if row is not None else None


def of_subscription(public_id: uuid.UUID) -> Account | None:
    """The account that follows."""
    row = Subscription.objects.select_related("account").filter(public_id=public_id).first()
    return row.account if row is not None else None


def of_switch(layer: str, public_id: uuid.UUID) -> Account | None:
    """The account that is switched, or whose subscription; nobody's alone is a switch over the whole workspace."""
    if layer == "account":
        return of_account(public_id)
    return of_subscription(public_id) if layer == "subscription" else None
