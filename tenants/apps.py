"""Puts the guard on every connection and the row-level security behind every migration."""

from __future__ import annotations

from django.apps import AppConfig
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate, pre_migrate


class TenantsConfig(AppConfig):
    name = "tenants"

    def ready(self) -> None:
        from signalist.audit import writing
        from signalist.db import scope
        from tenants.doors import current, door_to_the_log
        from tenants.guard import attach, has_nothing_to_do
        from tenants.rls import after_migrate, before_migrate

        def behind_the_door() -> int | None:
            door = current()
            return None if door is None else door.tenant_id

        scope.asks(behind_the_door, has_nothing_to_do)
        writing.opens_doors(door_to_the_log)
        connection_created.connect(attach, dispatch_uid="tenants.guard")
        pre_migrate.connect(before_migrate, dispatch_uid="tenants.rls.before")
        post_migrate.connect(after_migrate, dispatch_uid="tenants.rls")
        self._follow_sessions()

    def _follow_sessions(self) -> None:
        from allauth.account import signals as account
        from django.contrib.auth.signals import user_logged_in, user_logged_out

        from tenants.security import sessions, taking_over

        user_logged_in.connect(sessions.began, dispatch_uid="tenants.sessions.began")
        user_logged_out.connect(sessions.over, dispatch_uid="tenants.sessions.over")
        for renewal in (account.password_changed, account.password_set, account.password_reset):
            renewal.connect(sessions.renewed, dispatch_uid="tenants.sessions.renewed")
        account.password_reset.connect(taking_over.reset_by_mail, dispatch_uid="tenants.taking_over.reset")
