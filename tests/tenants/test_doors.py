"""The two doors to tenant data: outside nothing is reached, inside only one's own, and a door stays the same within a transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from signalist.accounts.models import Account
from tenants.doors import Door, OutsideTenant, across_tenants, acting_for, current, own_memberships
from tenants.guard import tenant_statement
from tenants.models import Membership, Role, Tenant
from tests.cast import Cast

pytestmark = pytest.mark.django_db


def _account(tenant: Tenant, name: str) -> Account:
    return Account(tenant=tenant, name=name, venue="paper", venue_ref=f"{tenant.name}-{name}", currency="USD")


@pytest.fixture
def accounts(cast: Cast) -> dict[str, Account]:
    """Acme has two accounts, Globex one."""
    with across_tenants("tests", one_transaction=True):
        made = {
            "first": _account(cast.acme, "first"),
            "second": _account(cast.acme, "second"),
            "theirs": _account(cast.globex, "theirs"),
        }
        for account in made.values():
            account.save()
    return made


def _sql(statement: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


def _names() -> list[str]:
    with across_tenants("tests"):
        return list(Account.objects.order_by("name").values_list("name", flat=True))


# --- Outside -------------------------------------------------------------------------------------

ORM: dict[str, Callable[[Cast], object]] = {
    "reading": lambda cast: list(Account.objects.all()),
    "getting": lambda cast: Account.objects.get(name="first"),
    "counting": lambda cast: Account.objects.count(),
    "creating": lambda cast: Account.objects.create(tenant=cast.acme, name="new"),
    "saving a new row": lambda cast: _account(cast.acme, "new").save(),
    "creating in bulk": lambda cast: Account.objects.bulk_create([_account(cast.acme, "new")]),
    "updating": lambda cast: Account.objects.update(name="changed"),
    "deleting": lambda cast: Account.objects.all().delete(),
    "asking in raw SQL": lambda cast: list(Account.objects.raw("SELECT * FROM accounts_account")),
    "reading tenants": lambda cast: list(Tenant.objects.all()),
    "creating a tenant": lambda cast: Tenant.objects.create(name="new"),
    "a user's memberships": lambda cast: list(cast.theo.memberships.all()),
    "refreshing a tenant": lambda cast: cast.acme.refresh_from_db(),
    "deleting a user with memberships": lambda cast: cast.theo.delete(),
}


@pytest.mark.parametrize("attempt", ORM.values(), ids=ORM)
def test_outside_nothing_is_reached_through_the_orm(
    attempt: Callable[[Cast], object], cast: Cast, accounts: dict[str, Account]
) -> None:
    with pytest.raises(OutsideTenant):
        attempt(cast)
    assert _names() == ["first", "second", "theirs"]


@pytest.mark.parametrize("change", ["save", "delete", "refresh_from_db"])
def test_a_row_that_was_read_inside_is_not_touched_outside(accounts: dict[str, Account], change: str) -> None:
    with pytest.raises(OutsideTenant):
        getattr(accounts["first"], change)()
    assert _names() == ["first", "second", "theirs"]


def test_what_a_row_points_to_is_not_fetched_outside(accounts: dict[str, Account]) -> None:
    with across_tenants("tests"):
        fresh = Account.objects.get(name="first")
    with pytest.raises(OutsideTenant):
        _ = fresh.tenant


def test_a_query_that_was_made_inside_is_not_run_outside(cast: Cast, accounts: dict[str, Account]) -> None:
    with acting_for(cast.acme.pk):
        rows = Account.objects.filter(name="first")
        both = rows.union(Account.objects.filter(name="second"))
    for query in (rows, both):
        with pytest.raises(OutsideTenant):
            list(query)


STATEMENTS = [
    "SELECT name FROM accounts_account",
    "select * from accounts_account",
    'SELECT "name" FROM "accounts_account"',
    "  \n SELECT 1 WHERE EXISTS (SELECT 1 FROM accounts_account)",
    "INSERT INTO accounts_account (name) VALUES ('new')",
    "UPDATE accounts_account SET name = 'changed'",
    "DELETE FROM accounts_account",
    "WITH mine AS (SELECT name FROM accounts_account) SELECT * FROM mine",
    "(SELECT name FROM accounts_account) UNION (SELECT name FROM accounts_account)",
    "EXPLAIN SELECT name FROM accounts_account",
    "/* CREATE */ SELECT name FROM accounts_account",
    "-- DROP\nDELETE FROM accounts_account",
    "TRUNCATE accounts_account",
    "REPLACE INTO accounts_account (name) VALUES ('new')",
    "COPY accounts_account TO STDOUT",
    "TABLE accounts_account",
    "SELECT e.kind FROM django_session s, events_event e",
]


@pytest.mark.parametrize("statement", STATEMENTS)
def test_outside_nothing_is_reached_in_sql(statement: str, accounts: dict[str, Account]) -> None:
    with pytest.raises(OutsideTenant):
        _sql(statement)
    assert _names() == ["first", "second", "theirs"]


def test_several_statements_at_once_are_refused_too(accounts: dict[str, Account]) -> None:
    with pytest.raises(OutsideTenant), connection.cursor() as cursor:
        cursor.executemany("UPDATE accounts_account SET name = %s", [("a",), ("b",)])
    assert _names() == ["first", "second", "theirs"]


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1",
        "SELECT id FROM tenants_user",
        "SELECT id FROM django_session",
        "SELECT 'accounts_accounts'",
        "CREATE INDEX by_name ON accounts_account (name)",
        "ALTER TABLE accounts_account RENAME TO accounts_account",
        "DROP TABLE IF EXISTS accounts_account",
        'PRAGMA table_info("accounts_account")',
    ],
)
def test_what_touches_no_tenants_rows_needs_no_door(statement: str) -> None:
    assert not tenant_statement().search(statement)


# --- Inside --------------------------------------------------------------------------------------


def test_inside_only_ones_own_rows_are_seen(cast: Cast, accounts: dict[str, Account]) -> None:
    with acting_for(cast.acme.pk):
        assert [a.name for a in Account.objects.order_by("name")] == ["first", "second"]
        assert not Account.objects.filter(pk=accounts["theirs"].pk).exists()
        assert list(Tenant.objects.all()) == [cast.acme]
        assert Membership.objects.count() == 3
        assert list(cast.gus.memberships.all()) == []
    with acting_for(cast.globex.pk):
        assert [a.name for a in Account.objects.all()] == ["theirs"]
        assert Membership.objects.get().user == cast.gus


def test_inside_only_ones_own_rows_are_changed(cast: Cast, accounts: dict[str, Account]) -> None:
    with acting_for(cast.globex.pk):
        assert Account.objects.update(name="changed") == 1
        assert Account.objects.filter(name="first").delete() == (0, {})
    assert _names() == ["changed", "first", "second"]


def test_across_tenants_all_rows_are_seen_for_a_purpose(accounts: dict[str, Account]) -> None:
    with across_tenants("counting"):
        assert Account.objects.count() == 3
        assert Tenant.objects.count() == 2
    with pytest.raises(ValueError, match="needs a purpose"), across_tenants(""):
        pass


def test_a_user_may_look_up_the_workspaces_they_belong_to(cast: Cast) -> None:
    with own_memberships(cast.theo.pk):
        (membership,) = Membership.objects.select_related("tenant")
        assert list(Tenant.objects.all()) == [cast.acme]
        assert list(Account.objects.all()) == []
    assert (membership.user, membership.tenant, membership.role) == (cast.theo, cast.acme, Role.TRADER)


# --- Rows of others ------------------------------------------------------------------------------


def test_a_row_of_another_tenant_is_not_written(cast: Cast, accounts: dict[str, Account]) -> None:
    with acting_for(cast.globex.pk):
        with pytest.raises(OutsideTenant):
            accounts["first"].save()
        with pytest.raises(OutsideTenant):
            accounts["first"].delete()
        with pytest.raises(OutsideTenant):
            Account.objects.create(tenant=cast.acme, name="new")
        with pytest.raises(OutsideTenant):
            Account.objects.bulk_create([_account(cast.globex, "ours"), _account(cast.acme, "new")])
        with pytest.raises(OutsideTenant):
            Account.objects.get_or_create(venue="paper", venue_ref="new", defaults={"tenant": cast.acme})
    assert _names() == ["first", "second", "theirs"]


def test_rows_of_another_tenant_are_passed_over_by_a_bulk_update(cast: Cast, accounts: dict[str, Account]) -> None:
    rows = list(accounts.values())
    for row in rows:
        row.name = f"changed {row.name}"
    with acting_for(cast.globex.pk):
        assert Account.objects.bulk_update(rows, ["name"]) == 1
    assert _names() == ["changed theirs", "first", "second"]


def test_a_row_is_not_handed_to_another_tenant(cast: Cast, accounts: dict[str, Account]) -> None:
    with acting_for(cast.acme.pk):
        for change in ({"tenant": cast.globex}, {"tenant_id": cast.globex.pk}):
            with pytest.raises(OutsideTenant):
                Account.objects.update(**change)
        assert Account.objects.update(tenant=cast.acme) == 2
    with acting_for(cast.globex.pk):
        assert Account.objects.count() == 1


def test_a_row_of_another_tenant_is_not_taken_over(cast: Cast, accounts: dict[str, Account]) -> None:
    stolen = accounts["first"]
    stolen.tenant = cast.globex
    with acting_for(cast.globex.pk), pytest.raises(IntegrityError), transaction.atomic():
        stolen.save()
    with acting_for(cast.acme.pk):
        assert Account.objects.filter(pk=stolen.pk).exists()


# --- The door itself -----------------------------------------------------------------------------

DOORS: list[Callable[[Cast], AbstractContextManager[None]]] = [
    lambda cast: acting_for(cast.acme.pk),
    lambda cast: acting_for(cast.globex.pk),
    lambda cast: across_tenants("tests"),
    lambda cast: across_tenants("another purpose"),
    lambda cast: own_memberships(cast.theo.pk),
]


@pytest.mark.parametrize("inner", range(5))
@pytest.mark.parametrize("outer", range(5))
def test_a_door_is_not_changed_inside_a_transaction(cast: Cast, outer: int, inner: int) -> None:
    with DOORS[outer](cast):
        before = current()
        if outer == inner:
            with DOORS[inner](cast):
                assert current() == before
        else:
            with pytest.raises(OutsideTenant, match="cannot be changed inside a transaction"), DOORS[inner](cast):
                pytest.fail("the door was changed")
        assert current() == before
    assert current() is None


@pytest.mark.django_db(transaction=True)
def test_between_transactions_the_engine_may_act_for_one_tenant(cast: Cast, accounts: dict[str, Account]) -> None:
    with across_tenants("engine"):
        assert Account.objects.count() == 3
        with acting_for(cast.globex.pk):
            assert Account.objects.count() == 1
        assert Account.objects.count() == 3


def test_one_door_after_another_inside_a_transaction(cast: Cast, accounts: dict[str, Account]) -> None:
    """A test runs in one, and so may a command: what was announced for the first door must not serve the next."""
    assert connection.in_atomic_block
    _sql("SELECT 1")
    for tenant, count in ((cast.acme, 2), (cast.globex, 1), (cast.acme, 2)):
        with acting_for(tenant.pk):
            assert _sql(f"SELECT count(*) FROM accounts_account WHERE tenant_id = {tenant.pk}") == [(count,)]
    with across_tenants("tests"):
        assert _sql("SELECT count(*) FROM accounts_account") == [(3,)]


@contextmanager
def _failing(door: AbstractContextManager[None]) -> Iterator[None]:
    """Go through the door and fail behind it."""
    try:
        with door:
            yield
            raise ZeroDivisionError
    except ZeroDivisionError:
        return


@pytest.mark.parametrize("door", range(5))
def test_after_an_exception_the_door_is_shut(cast: Cast, door: int) -> None:
    with _failing(DOORS[door](cast)):
        assert current() is not None
    assert current() is None
    with pytest.raises(OutsideTenant):
        Account.objects.count()


def test_after_an_exception_inside_the_outer_door_is_still_open(cast: Cast, accounts: dict[str, Account]) -> None:
    with acting_for(cast.acme.pk):
        with _failing(acting_for(cast.acme.pk)):
            pass
        assert current() == Door(tenant_id=cast.acme.pk)
        assert Account.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_what_was_done_behind_a_door_that_failed_is_undone(cast: Cast, accounts: dict[str, Account]) -> None:
    with _failing(acting_for(cast.acme.pk)):
        Account.objects.update(name="changed")
    assert _names() == ["first", "second", "theirs"]


def test_a_statement_that_breaks_the_transaction_is_heard_through_the_door(accounts: dict[str, Account]) -> None:
    accounts["first"].pk = None
    with pytest.raises(IntegrityError), transaction.atomic(), across_tenants("tests"):
        accounts["first"].save(force_insert=True)
    assert _names() == ["first", "second", "theirs"]


@pytest.mark.django_db(transaction=True)
def test_a_door_is_open_for_one_thread_only(cast: Cast) -> None:
    def elsewhere() -> object:
        try:
            return Account.objects.count()
        except OutsideTenant:
            return "refused"
        finally:
            connection.close()

    with across_tenants("tests"), ThreadPoolExecutor(1) as thread:
        assert thread.submit(elsewhere).result() == "refused"


async def test_tasks_that_take_turns_keep_their_doors_apart() -> None:
    async def act(tenant_id: int) -> list[Door | None]:
        seen = []
        with across_tenants(f"tenant {tenant_id}"):
            for _ in range(3):
                await asyncio.sleep(0)
                seen.append(current())
        return [*seen, current()]

    answers = await asyncio.gather(*(act(n) for n in range(3)))
    assert answers == [[Door(purpose=f"tenant {n}")] * 3 + [None] for n in range(3)]
