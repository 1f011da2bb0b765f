"""What a person changes about who they are and where they belong."""

from __future__ import annotations

from zoneinfo import available_timezones

from django.db import connection

from tenants.doors import across_tenants, acting_for
from tenants.models import Membership, Role, Tenant, User

THEMES = ("system", "light", "dark")


def open_workspace(user: User, name: str = "") -> Membership:
    """Open a workspace whose only member, its ADMIN, is `user`."""
    tenant = Tenant(name=(name or f"{user.full_name or user.email.partition('@')[0]}'s workspace")[:100])
    if connection.vendor == "postgresql":
        # A row is written behind the door of its tenant, so the tenant's number is drawn before there is a tenant.
        with across_tenants("sign-up"), connection.cursor() as cursor:
            cursor.execute("SELECT nextval(pg_get_serial_sequence('tenants_tenant', 'id'))")
            tenant.pk = cursor.fetchone()[0]
        with acting_for(tenant.pk):
            return _opened(tenant, user)
    with across_tenants("sign-up", one_transaction=True):
        return _opened(tenant, user)


def _opened(tenant: Tenant, user: User) -> Membership:
    tenant.save(force_insert=True)
    membership: Membership = Membership.objects.create(tenant=tenant, user=user, role=Role.ADMIN, is_owner=True)
    return membership


def change_profile(user: User, full_name: str, time_zone: str) -> None:
    """Change the name and the time zone that times are shown in. Raises ValueError for an unknown zone."""
    if time_zone not in available_timezones():
        raise ValueError(f"{time_zone!r} is not a time zone; choose one from the list.")
    user.full_name, user.time_zone = full_name, time_zone
    user.save(update_fields=["full_name", "time_zone"])


def choose_theme(user: User, theme: str) -> None:
    """Remember the theme for all of the user's browsers. Raises ValueError for an unknown one."""
    if theme not in THEMES:
        raise ValueError(f"{theme!r} is not a theme.")
    user.preferences = {**user.preferences, "theme": theme}
    user.save(update_fields=["preferences"])
