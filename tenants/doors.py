"""The doors to tenant data: `acting_for(tenant)` (`viewing` where nothing but pages reads) and `across_tenants(purpose)`.

A query on a tenant table outside either raises `OutsideTenant`, on both databases. On PostgreSQL the doors also drive
row-level security: the guard tells the database who is behind the door at the first statement of each transaction.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar, Token
from dataclasses import dataclass
from functools import cache
from types import TracebackType
from typing import Any

from django.db import transaction

from signalist.db import here


class OutsideTenant(RuntimeError):
    """Tenant data was touched without saying for whom."""


class ShutToWriting(RuntimeError):
    """A tenant's rows were to be changed by somebody who only looks."""


@dataclass(frozen=True, slots=True)
class Door:
    """Who is behind the door: one tenant, or a purpose that goes across all, or one user looking at their own memberships, or a guest
    with an invitation (`token`, the hash of its link's)."""

    tenant_id: int | None = None
    purpose: str = ""
    user_id: int | None = None
    token: str = ""


_ANNOUNCEMENT = (
    "SELECT set_config('app.tenant_id', %s, true), set_config('app.across', %s, true), set_config('app.user_id', %s, true), "
    "set_config('app.invitation', %s, true)"
)
# psycopg's TransactionStatus IDLE and INTRANS. A transaction that failed hears nothing; its rollback takes back what was announced.
_LISTENING = (0, 2)

_door: ContextVar[Door | None] = ContextVar("door", default=None)
_looking: ContextVar[bool] = ContextVar("looking", default=False)


def current() -> Door | None:
    """The open door, if any."""
    return _door.get()


def required() -> Door:
    """The open door. Raises OutsideTenant when none is."""
    door = _door.get()
    if door is None:
        raise OutsideTenant("Tenant data is reached through acting_for(tenant) or across_tenants(purpose) only.")
    return door


@contextmanager
def acting_for(tenant_id: int) -> Iterator[None]:
    """Read and write the rows of one tenant, in one transaction. Another tenant inside it is refused."""
    with _Opened(Door(tenant_id=tenant_id)), transaction.atomic():
        _shut_where_looking()
        yield


@contextmanager
def viewing(tenant_id: int) -> Iterator[None]:
    """Read the rows of one tenant, for a page or a push. Behind it an action may open a transaction of its own.

    On PostgreSQL everything inside is one transaction, announced once; on SQLite, where each transaction takes the one write
    lock, each statement reads by itself.
    """
    on_postgresql = transaction.get_connection().vendor == "postgresql"
    with _Opened(Door(tenant_id=tenant_id)), transaction.atomic() if on_postgresql else nullcontext():
        _shut_where_looking()
        yield


def across_tenants(purpose: str, *, one_transaction: bool = False) -> AbstractContextManager[None]:
    """Read and write the rows of all tenants for a named purpose (the engine, staff, a migration)."""
    if not purpose:
        raise ValueError("across_tenants needs a purpose in a word or two.")
    return _in_one_transaction(purpose) if one_transaction else _Opened(_for_purpose(purpose))


@cache
def _for_purpose(purpose: str) -> Door:
    return Door(purpose=purpose)


@contextmanager
def _in_one_transaction(purpose: str) -> Iterator[None]:
    with _Opened(_for_purpose(purpose)), transaction.atomic():
        yield


@contextmanager
def own_memberships(user_id: int) -> Iterator[None]:
    """Read the memberships of one user, before a tenant is chosen (log-in, workspace switcher)."""
    with _Opened(Door(user_id=user_id)):
        yield


@contextmanager
def holding_invitation(token_hash: str) -> Iterator[None]:
    """Read the one invitation whose link somebody holds."""
    with _Opened(Door(token=token_hash)):
        yield


@contextmanager
def only_looking() -> Iterator[None]:
    """Nothing inside changes a tenant's rows, whatever doors it opens: the guard refuses, and on PostgreSQL the transaction of each door
    to one tenant is read only, so that the database refuses every row, and what the guard cannot read in a statement."""
    token = _looking.set(True)
    try:
        yield
    finally:
        _looking.reset(token)


def _shut_where_looking() -> None:
    """Make the transaction that has just begun read only where somebody only looks. Inside another it ends with its savepoint
    (PostgreSQL, SET TRANSACTION; a subtransaction gives its parent back what that was)."""
    connection = transaction.get_connection()
    if _looking.get() and connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION READ ONLY")


def is_only_looking() -> bool:
    """Whether what runs now may change nothing."""
    return _looking.get()


def door_to_the_log(tenant_id: int | None) -> AbstractContextManager[None]:
    """Around an entry of the audit log: the door that is open, if it is not another tenant's, else one for that entry."""
    door = _door.get()
    if door is None or (door.user_id is not None and not transaction.get_connection().in_atomic_block):
        return across_tenants("audit") if tenant_id is None else acting_for(tenant_id)
    if tenant_id is not None and door.tenant_id not in (None, tenant_id):
        raise OutsideTenant("What is recorded here belongs to another tenant than the one behind the door.")
    return nullcontext()


def announce(connection: Any, door: Door | None) -> None:
    """Tell PostgreSQL who is behind the door, for the rest of the transaction; SQLite has no ear for it."""
    raw = connection.connection
    if connection.vendor == "postgresql" and raw is not None and raw.info.transaction_status in _LISTENING:
        behind = door or Door()
        raw.execute(
            _ANNOUNCEMENT, [str(behind.tenant_id or ""), behind.purpose, str(behind.user_id or ""), behind.token]
        )


class _Opened:
    """Stand behind `door`; a class because an engine opens one for every unit.

    The same door inside itself changes nothing; another one is refused inside a transaction.
    """

    def __init__(self, door: Door) -> None:
        self._door = door
        self._token: Token[Door | None] | None = None
        self._announced: Any = None

    def __enter__(self) -> None:
        before, connection = _door.get(), here.connection()
        if before is self._door or before == self._door:
            return
        under_way = connection.in_atomic_block
        if before is not None and under_way:
            raise OutsideTenant("The door cannot be changed inside a transaction; close the one that is open first.")
        self._token = _door.set(self._door)
        if under_way:  # its first statement, at which the guard announces, may be past
            self._announced = connection
            try:
                announce(connection, self._door)
            except BaseException:
                self.__exit__(None, None, None)
                raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        token, announced = self._token, self._announced
        self._token = self._announced = None
        if token is None:
            return
        _door.reset(token)
        if announced is not None:
            announce(announced, None)


def leave_open(purpose: str) -> None:
    """Open the door across tenants with no end: for a migrate run, whose beginning and end are two signals."""
    _door.set(Door(purpose=purpose))


def shut() -> None:
    """End what `leave_open` began."""
    _door.set(None)
