"""Row-level security on PostgreSQL: roles, grants and policies, made after every migration from the models themselves.

Group roles (no log-in, never superuser): `signalist_web` sees the tenant that its transaction names, `signalist_engine` every
row of the money path, `signalist_tail` reads events. Tables are ENABLEd and FORCEd, so the owner is held too; the owner may go
across tenants only through the door that says so. Where the connection may not create roles and they do not exist, the
policies by setting still stand, and `manage.py check --deploy` says what is missing.
"""

from __future__ import annotations

from typing import Any

from django.apps import apps as installed
from django.apps.registry import Apps
from django.db import connections, models

from tenants.doors import current, leave_open, shut
from tenants.roles import ENGINE, TAIL, WEB
from tenants.security.forgetting import make_function

_SETTINGS = {
    "tenant": "NULLIF(current_setting('app.tenant_id', true), '')::bigint",
    "user": "NULLIF(current_setting('app.user_id', true), '')::bigint",
}
# The engine has no business with log-ins; web has none with the paper venue's books, which belong to another party, nor with what
# engines note of venues.
_LOG_INS = ("tenants_loginsession", "tenants_staffsession")
# Guardian's own tables, which name no tenant: nobody uses them (`tenants.grants`).
_UNTYPED = "guardian_"
_NOT_FOR_ENGINE = (
    "django_session",
    "django_admin_log",
    "auth_",
    "account_",
    "socialaccount_",
    "mfa_",
    _UNTYPED,
    *_LOG_INS,
)
_NOT_FOR_WEB = ("accounts_paper", "accounts_venue", _UNTYPED)
# The switches over everybody are thrown by `manage.py kill`, as the engine; pages show them.
# The chain of the audit log is the engine's; the web appends entries.
# What engines carry out: pages ask for it, and cannot say that it was done.
_ONLY_ADDED_BY_WEB = ("risk_switchrequest", "accounts_inquiry")
_ONLY_READ_BY_WEB = ("risk_shared", "audit_link", "audit_head", "accounts_accounthealth")
# An author is told how many followers did what with a signal, and the middle of their slippage and delay.
_COUNTED_FOR_AUTHORS = ("trading_execution", "trading_order", "trading_fill")
# What the engine's role deletes of a log-in when its owner is deleted, knowing no more of it than whose it is: column by column.
_ERASED_BY_ENGINE = {
    "account_emailconfirmation": "id, email_address_id",
    "account_emailaddress": "id, user_id",
    "socialaccount_socialtoken": "id, account_id",
    "socialaccount_socialaccount": "id, user_id",
    "mfa_authenticator": "id, user_id, type, data",
}
# Where staff wrote why they needed their powers, the name of somebody who is deleted goes.
_NAMED_FOR_ENGINE = {"tenants_staffsession": "reason"}
# What a rotation of the signing key writes anew: sealed, with a key that the database does not have.
_RESEALED_BY_ENGINE = {"mfa_authenticator": "data"}
_MIGRATION = "migration"


def tenant_models(registry: Apps) -> list[type[models.Model]]:
    """The models whose rows belong to a tenant."""
    return [model for model in registry.get_models() if getattr(model, "tenant_policy", None)]


def before_migrate(**kwargs: Any) -> None:
    """Migrations move the rows of all tenants (receiver of `pre_migrate`)."""
    if current() is None:
        leave_open(_MIGRATION)


def after_migrate(sender: Any, using: str, **kwargs: Any) -> None:
    """Secure the tables and shut the door, once per migrate run (receiver of `post_migrate`, acting for the last app)."""
    if sender is not [app for app in installed.get_app_configs() if app.models_module][-1]:
        return
    if connections[using].vendor == "postgresql":
        secure(using)
    door = current()
    if door is not None and door.purpose == _MIGRATION:
        shut()


def secure(using: str = "default") -> None:
    """Make roles where allowed, then grants and policies for all tables that exist. Safe to repeat."""
    connection = connections[using]
    with connection.cursor() as cursor:
        for role in (WEB, ENGINE, TAIL):
            _make_role(cursor, role)
        cursor.execute("SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)", [[WEB, ENGINE, TAIL]])
        present = {row[0] for row in cursor.fetchall()}
        tables = set(connection.introspection.table_names(cursor))
        for model in tenant_models(installed):
            if model._meta.db_table in tables:
                _police(cursor, model, present)
        for role in sorted(present):
            _grant(cursor, role, tables)
        make_function(cursor, tables, present)


def _make_role(cursor: Any, role: str) -> None:
    cursor.execute("SELECT rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user")
    if not cursor.fetchone()[0]:
        return
    cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role])
    if cursor.fetchone() is None:
        cursor.execute(f"CREATE ROLE {role} NOLOGIN NOSUPERUSER NOBYPASSRLS")


def _police(cursor: Any, model: type[models.Model], present: set[str]) -> None:
    table = model._meta.db_table
    seen = getattr(model, "tenant_policy", "false").format(**_SETTINGS)
    # What a tenant sees may be more than what it may change: a user's own memberships, events that belong to nobody.
    own = f"{'id' if table == 'tenants_tenant' else 'tenant_id'} = {_SETTINGS['tenant']}"
    policies = {
        "tenant_rows": ("ALL", "PUBLIC", own),
        "tenant_sees": ("SELECT", "PUBLIC", seen),
        "owner_across": ("ALL", "CURRENT_USER", "current_setting('app.across', true) <> ''"),
    }
    if ENGINE in present:
        policies["engine_rows"] = ("ALL", ENGINE, getattr(model, "engine_policy", "true"))
    if TAIL in present and table == "events_event":
        policies["tail_rows"] = ("SELECT", TAIL, "true")
    if WEB in present and (purposes := getattr(model, "web_purposes", _web_purposes(table))):
        policies["web_across"] = ("SELECT", WEB, f"current_setting('app.across', true) IN ({purposes})")
    if append := getattr(model, "append_policy", ""):
        rule = append.format(**_SETTINGS, across="current_setting('app.across', true)")
        policies["anybody_appends"] = ("INSERT", "PUBLIC", rule)
    cursor.execute(f'ALTER TABLE "{table}" ENABLE ROW LEVEL SECURITY')
    cursor.execute(f'ALTER TABLE "{table}" FORCE ROW LEVEL SECURITY')
    for name, (command, role, rule) in policies.items():
        using = "" if command == "INSERT" else f"USING ({rule})"
        check = "" if command == "SELECT" else f"WITH CHECK ({rule})"
        cursor.execute(f'DROP POLICY IF EXISTS {name} ON "{table}"')
        cursor.execute(f'CREATE POLICY {name} ON "{table}" FOR {command} TO {role} {using} {check}')
    cursor.execute(f'DROP POLICY IF EXISTS engine_retires ON "{table}"')
    if ENGINE in present and (old := getattr(model, "engine_may_delete", "")):
        # Restrictive: what the other policies admit, this one must admit too.
        cursor.execute(f'CREATE POLICY engine_retires ON "{table}" AS RESTRICTIVE FOR DELETE TO {ENGINE} USING ({old})')


def _web_purposes(table: str) -> str:
    """For which purposes the web may read this table across tenants: staff's admin, the live tail of the event log, authors' counts."""
    if table == "tenants_credential":
        return ""
    if table in _COUNTED_FOR_AUTHORS:
        return "'staff', 'author'"
    return "'staff', 'live'" if table == "events_event" else "'staff'"


def _grant(cursor: Any, role: str, tables: set[str]) -> None:
    cursor.execute(f"GRANT USAGE ON SCHEMA public TO {role}")
    if role == TAIL:
        cursor.execute(f"GRANT SELECT ON events_event TO {TAIL}")
        return
    hidden = _NOT_FOR_WEB if role == WEB else _NOT_FOR_ENGINE
    ledgers = {m._meta.db_table for m in installed.get_models() if getattr(m, "append_only", False)}
    retired = {m._meta.db_table for m in installed.get_models() if getattr(m, "engine_may_delete", "")}
    named = {m._meta.db_table: m.names_people for m in installed.get_models() if hasattr(m, "names_people")}
    for table in sorted(tables):
        cursor.execute(f'REVOKE ALL ON "{table}" FROM {role}')
        if role == ENGINE and table in _ERASED_BY_ENGINE:
            cursor.execute(f'GRANT SELECT ({_ERASED_BY_ENGINE[table]}), DELETE ON "{table}" TO {role}')
        if role == ENGINE and (what := _NAMED_FOR_ENGINE.get(table)):
            cursor.execute(f'GRANT SELECT (id, user_id, {what}), UPDATE ({what}) ON "{table}" TO {role}')
        if role == ENGINE and table in _RESEALED_BY_ENGINE:
            cursor.execute(f'GRANT UPDATE ({_RESEALED_BY_ENGINE[table]}) ON "{table}" TO {role}')
        if table.startswith(hidden):
            continue
        rights = "SELECT, INSERT, UPDATE, DELETE"
        if role == WEB and table.startswith(_ONLY_READ_BY_WEB):
            rights = "SELECT"
        elif role == WEB and table in _ONLY_ADDED_BY_WEB:
            rights = "SELECT, INSERT"
        elif table in ledgers:
            rights = "SELECT, INSERT, DELETE" if role == ENGINE and table in retired else "SELECT, INSERT"
        elif table == "django_migrations":
            rights = "SELECT"
        cursor.execute(f'GRANT {rights} ON "{table}" TO {role}')
        if role == ENGINE and table in named:
            cursor.execute(f'GRANT UPDATE ({named[table]}) ON "{table}" TO {role}')
    cursor.execute(f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {role}")


def become_engine(using: str = "default") -> bool:
    """Take on the engine's role; see `become`. Where the role does not exist, the owner's own policy admits the door."""
    return become(ENGINE, using)


def become(role: str, using: str = "default") -> bool:
    """Take on a group role for all coming connections, where the log-in may; whether it did.

    Even a superuser is then held by the policies.
    """
    connection = connections[using]
    if connection.vendor != "postgresql":
        return False
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s AND pg_has_role(current_user, oid, 'MEMBER')", [role])
        if cursor.fetchone() is None:
            return False
    options = connections.settings[using]["OPTIONS"]
    if options.get("pool"):
        # Taking it on after connecting, Django asks the pool for the very connection that is being made, and waits for ever.
        options["options"] = f"{options.get('options', '')} -c role={role}".strip()
    else:
        options["assume_role"] = role
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]  # what it opened before has not taken on the role
    return True


class OverPrivileged(RuntimeError):
    """The database role is above row-level security, so that no policy would ever fire."""


def refuse_privileged(using: str = "default") -> None:
    """Raise OverPrivileged if the role in force is a superuser or bypasses row-level security."""
    connection = connections[using]
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user, rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user")
        name, above = cursor.fetchone()
    if above:
        raise OverPrivileged(
            f"The database role {name!r} is above row-level security; set DATABASE_ROLE={ENGINE} or connect as a role without "
            "SUPERUSER and BYPASSRLS."
        )
