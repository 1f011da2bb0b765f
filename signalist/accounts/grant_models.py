"""The table of rights to single accounts, beside what a member's role allows."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from tenants.grants import Grant, Right


class AccountGrant(Grant):
    """Somebody whose role only looks trades on this one account. Every member sees every account of the workspace by role."""

    kind: ClassVar[str] = "account"
    rights: ClassVar[tuple[Right, ...]] = (
        Right(
            "trade",
            "trade_account",
            "Trade on it",
            frozenset({"orders.give", "subscriptions.change", "differences.answer", "trading.stop"}),
        ),
    )

    content_object = models.ForeignKey("accounts.Account", on_delete=models.CASCADE, related_name="grants")

    def __str__(self) -> str:
        return f"account {self.content_object_id} for {self.user_id}"
