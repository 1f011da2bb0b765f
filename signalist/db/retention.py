"""Letting go of old rows, in short transactions and so many in a run: what is left waits for the next run of the job."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import models, transaction

AT_ONCE = 2000
MOST = 100_000


def delete(
    old: models.QuerySet[Any],
    at_once: int = AT_ONCE,
    most: int = MOST,
    before: Callable[[list[Any]], object] | None = None,
) -> int:
    """Delete the rows of `old`, at least one batch and about `most` of them; returns how many are gone. `before` is called with the primary
    keys of each batch before it goes; where it raises, the batch stays."""
    deleted = 0
    while deleted < most:
        keys = list(old.values_list("pk", flat=True)[:at_once])
        if before is not None and keys:
            before(keys)
        gone = delete_keys(old.model, keys)
        deleted += gone
        if gone < at_once:  # it was the last batch, or the database keeps some of it
            break
    return deleted


def delete_keys(model: type[models.Model], keys: list[Any]) -> int:
    """Delete the rows with these primary keys in one transaction; returns how many the database let go."""
    if not keys:
        return 0
    with transaction.atomic():
        _, by_model = model._default_manager.filter(pk__in=keys).delete()
    return by_model.get(model._meta.label, 0)
