"""Leases of accounts: which engine decides for an account and talks to its venue.

The lease stands in the account's own row, so that whoever has locked the row knows it without another query. An engine holds its leases
as long as it is seen; one that was not seen for `SILENT_AFTER` has lost them, whether it is dead, frozen or cut off, and may not write a
byte to a venue long before (`MAY_SEND`). A lease fences our rows, not the venue: what turns up there later is adopted.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil
from typing import Any

from django.db import connection
from django.db.models import Count, F, Q, QuerySet

from signalist.accounts.models import Account
from signalist.clock import Clock
from signalist.db import fast
from signalist.db.units import unit
from signalist.execution.engines import living_engines
from signalist.trading.models import Order

SLACK = 1.1
"""An engine gives accounts away when it has more than its share by this factor: a few more or less are no reason to move."""
AT_ONCE = 2000
# One look at the account's row for each row that is passed. As a set of accounts it would be joined, and a planner that does not know
# yet how a table has grown walks all accounts for each row.
_HELD = "(SELECT lease_owner FROM accounts_account WHERE accounts_account.id = account_id) = %s"


@dataclass(frozen=True, slots=True)
class Taken:
    """Accounts that were taken over: `left_behind` were another engine's, which may have had something under way there."""

    fresh: tuple[int, ...] = ()
    left_behind: tuple[int, ...] = ()

    @property
    def all(self) -> tuple[int, ...]:
        return self.fresh + self.left_behind


def acquire(engine: uuid.UUID, clock: Clock) -> Taken:
    """Take accounts that nobody who lives holds, up to this engine's share of all. `clock` is the machine's."""
    living = {process.pk for process in living_engines(clock)} | {engine}
    with unit("leases.acquire"):
        counts = _counts()
        mine, total = counts.get(engine, 0), sum(counts.values())
        if all(owner in living for owner in counts) or mine >= (share := ceil(total / len(living))):
            return Taken()
        free = _locking(Account.objects.filter(Q(lease_owner__isnull=True) | ~Q(lease_owner__in=living)).order_by("pk"))
        rows = list(free.values_list("pk", "lease_owner")[: min(share - mine, AT_ONCE)])
        # With the rows in hand: while this engine was slow, others may have begun to live and have taken them.
        begun = {process.pk for process in living_engines(clock)}
        rows = [(key, owner) for key, owner in rows if owner not in begun]
        Account.objects.filter(pk__in=[key for key, _ in rows]).update(
            lease_owner=engine, lease_token=F("lease_token") + 1
        )
    fresh = tuple(key for key, owner in rows if owner is None)
    return Taken(fresh, tuple(key for key, owner in rows if owner is not None))


def share_out(engine: uuid.UUID, clock: Clock) -> int:
    """Give accounts away where this engine has far more than its share and others live; those with nothing under way. Returns how many."""
    living = {process.pk for process in living_engines(clock)} | {engine}
    if len(living) == 1:
        return 0
    with unit("leases.share_out"):
        counts = _counts()
        total, mine = sum(counts.values()), counts.get(engine, 0)
        share = ceil(total / len(living))
        if mine <= max(share * SLACK, share + 1):
            return 0
        busy = Order.objects.filter(Q(busy=True) | Q(status__in=["SENDING", "UNKNOWN"])).values("account_id")
        # In the order in which every stage locks accounts; one that somebody works on right now is not idle.
        idle = _locking(Account.objects.filter(lease_owner=engine).exclude(pk__in=busy).order_by("pk"))
        keys = list(idle.values_list("pk", flat=True)[: mine - share])
        return Account.objects.filter(pk__in=keys, lease_owner=engine).update(lease_owner=None)


def give_up(engine: uuid.UUID) -> None:
    """This engine stops in good order: its accounts are free."""
    with unit("leases.give_up"):
        fast.select_ids(Account, list(held(engine)), lock="update")
        Account.objects.filter(lease_owner=engine).update(lease_owner=None)


def shares() -> list[int]:
    """How many accounts each engine holds that holds any; those that nobody holds do not count."""
    return [count for owner, count in _counts().items() if owner is not None]


def _counts() -> dict[uuid.UUID | None, int]:
    """How many accounts each engine holds, and nobody (None): one query for all that is to be known."""
    return dict(Account.objects.values_list("lease_owner").annotate(Count("pk")).order_by())


def _locking(accounts: QuerySet[Account]) -> QuerySet[Account]:
    """Those of them that nobody has locked, locked, where the database can say so."""
    if connection.features.has_select_for_update_skip_locked:
        return accounts.select_for_update(skip_locked=True, no_key=True)
    return accounts


def held(engine: uuid.UUID) -> dict[int, int]:
    """The accounts that this engine holds, in order, each with the token of its lease."""
    return dict(Account.objects.filter(lease_owner=engine).order_by("pk").values_list("pk", "lease_token"))


def of(engine: uuid.UUID | None) -> tuple[str, list[Any]]:
    """The condition on `account_id` that its account is held by `engine`, with its parameters; no condition where none is named.

    It keeps engines out of each other's way. What decides is the account's own row, once it is locked (`mine`).
    """
    if engine is None:
        return "TRUE", []
    return _HELD, [fast.prepared(Account, "lease_owner", engine)]


def mine(accounts: Iterable[Account], engine: uuid.UUID | None) -> dict[int, Account]:
    """Of accounts whose rows are locked: those that this engine still holds (all where none is named), by id.

    What it knows of the others is not to be written: somebody else may have learnt better meanwhile.
    """
    return {account.pk: account for account in accounts if engine is None or account.lease_owner == engine}
