"""The table of rights to single strategies: their sources are their authors' alone, but for whom an author shares one with."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from tenants.grants import Grant, Right


class StrategyGrant(Grant):
    """A member of a workspace in which the author is one reads a strategy's source, or writes versions of it, in that workspace."""

    kind: ClassVar[str] = "strategy"
    rights: ClassVar[tuple[Right, ...]] = (
        Right("read", "read_source", "See its source", frozenset({"strategies.read"})),
        Right("write", "write_versions", "Write versions of it", frozenset({"strategies.read", "strategies.write"})),
    )

    content_object = models.ForeignKey("strategies.Strategy", on_delete=models.CASCADE, related_name="grants")

    def __str__(self) -> str:
        return f"strategy {self.content_object_id} for {self.user_id}"

    @classmethod
    def of_owner(cls, user_id: int) -> models.Q:
        """Those to strategies of this author: they end when the author leaves the workspace."""
        return models.Q(content_object__author_id=user_id)
