"""The app's registration."""

from __future__ import annotations

from django.apps import AppConfig


class ApiConfig(AppConfig):
    name = "signalist.api"

    def ready(self) -> None:
        from signalist.api import hearing

        hearing.listen()
