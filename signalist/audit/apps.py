"""The audit log's app: its tables are closed again after every migration."""

from __future__ import annotations

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class AuditConfig(AppConfig):
    name = "signalist.audit"

    def ready(self) -> None:
        from signalist.audit.triggers import after_migrate

        post_migrate.connect(after_migrate, sender=self, dispatch_uid="signalist.audit.triggers")
