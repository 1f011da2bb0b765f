"""Row-level security on PostgreSQL: every tenant's rows behind a policy that binds, and each role what it needs and no more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.db import ProgrammingError, connection, connections, transaction

from signalist.accounts.models import Account, PaperAccount
from signalist.clock import utc_now
from signalist.events.models import Event
from tenants.doors import across_tenants, acting_for, own_memberships
from tenants.models import Credential, Membership, Tenant
from tenants.rls import OverPrivileged, become_engine, refuse_privileged, secure, tenant_models
from tenants.roles import ENGINE, TAIL, WEB
from tests.cast import Cast

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db]

ROLES = [WEB, ENGINE, TAIL]
TABLES = sorted(model._meta.db_table for model in tenant_models(apps))
MODELS = {model._meta.db_table: model for model in tenant_models(apps)}


@contextmanager
def role(name: str) -> Iterator[None]:
    """Be this role, as far as the database is concerned."""
    _sql(f"SET ROLE {name}")
    try:
        yield
    finally:
        _sql("RESET ROLE")


def _sql(statement: str, *parameters: Any) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []


def _past_the_guard(statement: str) -> list[Any]:
    """Ask the database itself, without the guard that would refuse or announce."""
    cursor = connection.connection.execute(statement)
    return list(cursor.fetchall())


def _refused(statement: str, *parameters: Any, why: str) -> None:
    with pytest.raises(ProgrammingError, match=why), transaction.atomic():
        _sql(statement, *parameters)


@pytest.fixture
def rows(cast: Cast) -> dict[str, Any]:
    """Acme: an account with a credential, and a credential that no account uses. Globex: the same. An event each, and one of nobody."""
    made: dict[str, Any] = {}
    with across_tenants("tests", one_transaction=True):
        for name, tenant in (("acme", cast.acme), ("globex", cast.globex)):
            used = Credential.objects.create(tenant=tenant, venue="kraken", label="used", key_version=1)
            Credential.objects.create(tenant=tenant, venue="kraken", label="idle", key_version=1)
            made[name] = Account.objects.create(
                tenant=tenant, name=name, venue="kraken", venue_ref=name, currency="USD", credential=used
            )
            Event.objects.create(tenant_id=tenant.pk, kind=f"told {name}", at=utc_now())
        Event.objects.create(tenant_id=None, kind="candle_closed", at=utc_now())
        PaperAccount.objects.create(ref="A", currency="USD", cash=1)
    return made


# --- Every table ---------------------------------------------------------------------------------


def test_there_are_tables_of_tenants() -> None:
    assert {"tenants_membership", "tenants_credential", "accounts_account", "trading_order", "events_event"} <= set(
        TABLES
    )


@pytest.mark.parametrize("table", TABLES)
def test_every_table_of_tenants_is_under_forced_row_level_security(table: str) -> None:
    found = _sql("SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = %s::regclass", table)
    assert found == [(True, True)]


@pytest.mark.parametrize("table", TABLES)
def test_every_table_of_tenants_has_its_policies_for_reading_and_writing(table: str) -> None:
    policies = _sql(
        "SELECT policyname, cmd, permissive, with_check IS NOT NULL FROM pg_policies WHERE tablename = %s", table
    )
    changing = {"tenant_rows", "owner_across", "engine_rows"}
    seeing = {"tenant_sees"} | ({"tail_rows"} if table == "events_event" else set())
    appending = {"anybody_appends"} if table in ("audit_entry", "audit_words") else set()
    seeing |= {"web_across"} if table != "tenants_credential" else set()
    retiring = {"engine_retires"} if table == "events_event" else set()
    assert {name for name, *_ in policies} == changing | seeing | retiring | appending
    for name, *rest in policies:
        if name in retiring:
            assert rest == ["DELETE", "RESTRICTIVE", False]
            continue
        if name in appending:
            assert rest == ["INSERT", "PERMISSIVE", True]
            continue
        assert rest == (["ALL", "PERMISSIVE", True] if name in changing else ["SELECT", "PERMISSIVE", False])


def test_no_table_with_a_tenant_was_forgotten() -> None:
    with_a_tenant = _sql(
        "SELECT table_name FROM information_schema.columns WHERE table_schema = 'public' AND column_name = 'tenant_id'"
    )
    assert {table for (table,) in with_a_tenant} | {"tenants_tenant"} == set(TABLES)


def test_securing_once_more_changes_nothing() -> None:
    def state() -> list[Any]:
        return _sql("SELECT tablename, policyname, roles, cmd, qual, with_check FROM pg_policies ORDER BY 1, 2")

    before = state()
    secure()
    assert state() == before


# --- Roles ---------------------------------------------------------------------------------------


def test_no_role_is_above_the_policies() -> None:
    found = _sql("SELECT rolname, rolsuper, rolbypassrls, rolcanlogin FROM pg_roles WHERE rolname = ANY(%s)", ROLES)
    assert sorted(found) == sorted((name, False, False, False) for name in ROLES)
    ours = _sql("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname IN (session_user, current_user)")
    assert ours == [(False,)]


def test_a_role_above_the_policies_is_refused_at_the_start() -> None:
    refuse_privileged()
    # Nobody here may make a superuser; a table of that name before the catalogue's own speaks for one.
    _sql(
        "CREATE TEMPORARY TABLE pg_roles AS SELECT rolname, false AS rolsuper, true AS rolbypassrls FROM pg_catalog.pg_roles"
    )
    with pytest.raises(OverPrivileged, match="is above row-level security; set DATABASE_ROLE=signalist_engine"):
        refuse_privileged()


# --- Nothing announced ---------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["owner", WEB])
def test_without_an_announcement_no_row_is_seen(rows: dict[str, Any], who: str) -> None:
    with role(WEB if who == WEB else "NONE"):
        for table in set(TABLES) - {"events_event"}:
            assert _past_the_guard(f"SELECT count(*) FROM {table}") == [(0,)], table
        assert _past_the_guard("SELECT kind FROM events_event") == [("candle_closed",)]
        assert connection.connection.execute("UPDATE accounts_account SET name = 'x'").rowcount == 0
        assert connection.connection.execute("DELETE FROM accounts_account").rowcount == 0


@pytest.mark.django_db(transaction=True)
def test_the_announcement_ends_with_its_transaction(cast: Cast, rows: dict[str, Any]) -> None:
    with acting_for(cast.acme.pk):
        assert _sql("SELECT current_setting('app.tenant_id')") == [(str(cast.acme.pk),)]
    assert _past_the_guard("SELECT current_setting('app.tenant_id', true)") in ([("",)], [(None,)])
    assert _past_the_guard("SELECT count(*) FROM accounts_account") == [(0,)]


def test_the_announcement_ends_with_its_door_inside_a_longer_transaction(cast: Cast, rows: dict[str, Any]) -> None:
    with acting_for(cast.acme.pk):
        assert _past_the_guard("SELECT count(*) FROM accounts_account") == [(1,)]
    assert _past_the_guard("SELECT count(*) FROM accounts_account") == [(0,)]


def test_a_rollback_inside_the_door_does_not_change_who_is_behind_it(cast: Cast, rows: dict[str, Any]) -> None:
    with acting_for(cast.acme.pk):
        _refused("INSERT INTO accounts_account DEFAULT VALUES", why="violates")
        assert _sql("SELECT name FROM accounts_account") == [("acme",)]
    with acting_for(cast.globex.pk):
        assert _sql("SELECT name FROM accounts_account") == [("globex",)]


@pytest.mark.django_db(transaction=True)
def test_a_single_statement_is_announced_too(rows: dict[str, Any]) -> None:
    with across_tenants("tests"):
        assert not connection.in_atomic_block
        assert Account.objects.count() == 2
        assert {account.name for account in Account.objects.iterator(chunk_size=1)} == {"acme", "globex"}
        assert Account.objects.update(currency="EUR") == 2


# --- Web -----------------------------------------------------------------------------------------


def test_web_sees_the_announced_tenant_and_no_other(cast: Cast, rows: dict[str, Any]) -> None:
    with role(WEB):
        for tenant, name in ((cast.acme, "acme"), (cast.globex, "globex")):
            with acting_for(tenant.pk):
                assert _sql("SELECT name FROM accounts_account") == [(name,)]
                assert _sql("SELECT id FROM tenants_tenant") == [(tenant.pk,)]
                assert _sql("SELECT DISTINCT tenant_id FROM tenants_membership") == [(tenant.pk,)]
                assert _sql("SELECT label FROM tenants_credential ORDER BY 1") == [("idle",), ("used",)]
                assert _sql("SELECT kind FROM events_event ORDER BY 1") == [("candle_closed",), (f"told {name}",)]


def test_web_does_not_write_rows_of_another_tenant(cast: Cast, rows: dict[str, Any]) -> None:
    policy = "violates row-level security policy"
    insert = (
        "INSERT INTO accounts_account (public_id, tenant_id, name, venue, venue_ref, currency, state, state_reason, lease_token,"
        " stopped_by_operator, created_at, is_play_money, own_fees)"
        " VALUES (gen_random_uuid(), %s, 'new', 'paper', 'new', 'USD', 'ACTIVE', '', 0, false, now(), false, '{}')"
    )
    with role(WEB), acting_for(cast.acme.pk):
        _refused(insert, cast.globex.pk, why=policy)
        _refused("UPDATE accounts_account SET tenant_id = %s", cast.globex.pk, why=policy)
        assert _sql("UPDATE accounts_account SET name = 'x' WHERE tenant_id = %s RETURNING id", cast.globex.pk) == []
        assert _sql("DELETE FROM accounts_account WHERE tenant_id = %s RETURNING id", cast.globex.pk) == []
        _sql(insert, cast.acme.pk)
        assert _sql("SELECT count(*) FROM accounts_account") == [(2,)]


def test_web_does_not_go_across_tenants_whatever_it_says(rows: dict[str, Any]) -> None:
    with role(WEB), across_tenants("curiosity"):
        assert _sql("SELECT count(*) FROM accounts_account") == [(0,)]
        assert _sql("SELECT count(*) FROM tenants_credential") == [(0,)]


def test_web_lets_a_user_see_their_own_memberships_and_workspaces(cast: Cast, rows: dict[str, Any]) -> None:
    with acting_for(cast.globex.pk):
        Membership.objects.create(tenant=cast.globex, user=cast.theo)
    with role(WEB):
        with own_memberships(cast.theo.pk):
            assert set(_sql("SELECT user_id, tenant_id FROM tenants_membership")) == {
                (cast.theo.pk, cast.acme.pk),
                (cast.theo.pk, cast.globex.pk),
            }
            assert _sql("SELECT name FROM tenants_tenant ORDER BY 1") == [("Acme",), ("Globex",)]
            assert _sql("SELECT count(*) FROM accounts_account") == [(0,)]
        with own_memberships(cast.gus.pk):
            assert list(Tenant.objects.values_list("name", flat=True)) == ["Globex"]


def test_web_sees_more_than_it_may_change(cast: Cast, rows: dict[str, Any]) -> None:
    """A user's own memberships, and events that belong to nobody."""
    policy = "violates row-level security policy"
    with role(WEB):
        with own_memberships(cast.theo.pk):
            assert _sql("UPDATE tenants_membership SET role = 'ADMIN' RETURNING id") == []
            assert _sql("DELETE FROM tenants_membership RETURNING id") == []
            assert _sql("UPDATE tenants_tenant SET name = 'mine' RETURNING id") == []
        with acting_for(cast.acme.pk):
            insert = "INSERT INTO events_event (tenant_id, kind, version, payload, at, is_alarm) VALUES (%s, 'told', 1, '{}', now(), FALSE)"
            _refused(insert, None, why=policy)
            _refused(insert, cast.globex.pk, why=policy)
            _sql(insert, cast.acme.pk)
            assert _sql("SELECT count(*) FROM events_event") == [(3,)]


@pytest.mark.parametrize(
    "table", ["trading_fill", "trading_foreignfill", "events_event", "audit_entry", "audit_link", "audit_words"]
)
def test_a_ledger_is_only_appended_to(table: str) -> None:
    for name in (WEB, ENGINE):
        with role(name), across_tenants("tests"):
            _refused(f"UPDATE {table} SET id = id", why="permission denied")
            if (name, table) != (ENGINE, "events_event"):
                _refused(f"DELETE FROM {table}", why="permission denied")


def test_the_engine_takes_only_events_out_of_the_log_that_are_older_than_a_week(rows: dict[str, Any]) -> None:
    with across_tenants("tests", one_transaction=True):
        young = Event.objects.order_by("pk").first()
        old = Event.objects.create(kind="told", at=utc_now() - timedelta(days=7, minutes=1))
        Event.objects.create(kind="told", at=utc_now() - timedelta(days=6, hours=23))
    with role(ENGINE), across_tenants("tests"):
        assert _sql("DELETE FROM events_event RETURNING id") == [(old.pk,)]
        assert young is not None and _sql("SELECT count(*) FROM events_event WHERE id = %s", young.pk) == [(1,)]


def test_web_has_no_business_with_the_paper_venues_books(rows: dict[str, Any]) -> None:
    with role(WEB):
        _refused("SELECT * FROM accounts_paperaccount", why="permission denied")
        _refused("SELECT * FROM accounts_papertape", why="permission denied")


@pytest.mark.parametrize("table", ["risk_sharedswitch", "risk_sharedswitchchange"])
def test_web_reads_the_switches_over_everybody_and_throws_none(table: str) -> None:
    with role(WEB), across_tenants("staff"):
        assert _sql(f"SELECT count(*) FROM {table}") == [(0,)]
        _refused(f"INSERT INTO {table} (layer) VALUES ('PLATFORM')", why="permission denied")
        _refused(f"UPDATE {table} SET state = 'ACTIVE'", why="permission denied")
        _refused(f"DELETE FROM {table}", why="permission denied")
    with role(ENGINE), across_tenants("tests"):
        _sql("UPDATE risk_sharedswitch SET state = 'ACTIVE'")


# --- Owner ---------------------------------------------------------------------------------------


def test_the_owner_of_the_tables_is_held_too_and_goes_across_only_through_the_door(
    cast: Cast, rows: dict[str, Any]
) -> None:
    assert set(_sql("SELECT tableowner = current_user FROM pg_tables WHERE tablename = ANY(%s)", TABLES)) == {(True,)}
    with acting_for(cast.acme.pk):
        assert _sql("SELECT name FROM accounts_account") == [("acme",)]
    with across_tenants("backup"):
        assert _sql("SELECT count(*) FROM accounts_account") == [(2,)]


# --- Engine --------------------------------------------------------------------------------------


def test_the_engine_sees_all_rows_of_the_money_path(rows: dict[str, Any]) -> None:
    with role(ENGINE):
        assert _past_the_guard("SELECT name FROM accounts_account ORDER BY 1") == [("acme",), ("globex",)]
        assert _past_the_guard("SELECT count(*) FROM events_event") == [(3,)]
        assert _past_the_guard("SELECT count(*) FROM accounts_paperaccount") == [(1,)]
        assert connection.connection.execute("UPDATE accounts_account SET state = 'HALTED'").rowcount == 2


@pytest.mark.parametrize("table", TABLES)
def test_the_engine_may_write_every_table_of_tenants_and_only_append_to_the_ledgers(table: str) -> None:
    rights = (
        "SELECT has_table_privilege(%s, %s, r) "
        "FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) WITH ORDINALITY AS a (r, n) ORDER BY n"
    )
    append_only = {
        "trading_fill",
        "trading_foreignfill",
        "trading_stopmove",
        "events_event",
        "risk_tenantswitchchange",
        "audit_entry",
        "audit_link",
        "audit_words",
    }
    appended, retired = table in append_only, table == "events_event"
    assert _sql(rights, ENGINE, table) == [(True,), (True,), (not appended,), (not appended or retired,)]


@pytest.mark.parametrize("table", ["django_session", "django_admin_log", "auth_group", "auth_permission"])
def test_the_engine_has_no_business_with_sign_ins(table: str) -> None:
    with role(ENGINE):
        _refused(f"SELECT * FROM {table}", why="permission denied")
        _refused(f"DELETE FROM {table}", why="permission denied")


def test_the_engine_sees_a_credential_only_where_an_account_uses_it(rows: dict[str, Any]) -> None:
    question = "SELECT label FROM tenants_credential"
    with role(ENGINE):
        assert _past_the_guard(question) == [("used",), ("used",)]
    with across_tenants("tests"):
        Account.objects.filter(name="globex").update(credential=None)
    with role(ENGINE):
        assert _past_the_guard(question) == [("used",)]


# --- Tail ----------------------------------------------------------------------------------------


def test_the_tail_reads_all_events(rows: dict[str, Any]) -> None:
    with role(TAIL):
        assert _past_the_guard("SELECT count(*) FROM events_event") == [(3,)]


def test_the_tail_reads_nothing_else_and_writes_nowhere() -> None:
    def tables_with(right: str) -> list[Any]:
        return _sql(
            "SELECT relname FROM pg_class WHERE relkind IN ('r', 'v') AND relnamespace = 'public'::regnamespace "
            "AND has_table_privilege(%s, oid, %s)",
            TAIL,
            right,
        )

    assert tables_with("SELECT") == [("events_event",)]
    assert tables_with("INSERT, UPDATE, DELETE, TRUNCATE") == []


# --- Becoming the engine -------------------------------------------------------------------------


@pytest.fixture
def as_engine(transactional_db: None, rows: dict[str, Any]) -> Iterator[None]:
    """This process has become the engine; afterwards it is itself again."""
    assert become_engine()
    yield
    del connections.settings["default"]["OPTIONS"]["assume_role"]
    connection.close()


@pytest.mark.django_db(transaction=True)
def test_a_process_that_became_the_engine_is_held_by_its_policies(as_engine: None) -> None:
    assert _sql("SELECT current_user") == [(ENGINE,)]
    with across_tenants("engine"):
        assert Account.objects.count() == 2
        assert list(Credential.objects.values_list("label", flat=True)) == ["used", "used"]
    _refused("SELECT * FROM django_session", why="permission denied")


@pytest.mark.django_db(transaction=True)
def test_every_coming_connection_is_the_engines_too(as_engine: None) -> None:
    connection.close()
    assert _sql("SELECT current_user") == [(ENGINE,)]


@pytest.mark.django_db(transaction=True)
def test_the_engine_that_acts_for_one_tenant_sees_that_tenant_through_the_orm(as_engine: None, cast: Cast) -> None:
    with acting_for(cast.acme.pk):
        assert [account.name for account in Account.objects.all()] == ["acme"]
