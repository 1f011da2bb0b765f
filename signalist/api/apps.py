"""The app's registration; from here on it hears when an account's owner comes."""

from __future__ import annotations

from django.apps import AppConfig


class ApiConfig(AppConfig):
    name = "signalist.api"

    def ready(self) -> None:
        from signalist.api.hearing import listen

        listen()
