"""Prepares every new connection."""

from __future__ import annotations

from django.apps import AppConfig
from django.db.backends.signals import connection_created

from signalist.db.connections import prepare


class DatabaseConfig(AppConfig):
    name = "signalist.db"
    label = "db"

    def ready(self) -> None:
        connection_created.connect(prepare, dispatch_uid="signalist.db.prepare")
