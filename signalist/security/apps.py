"""The app's registration; what happens at the doors is heard from here on."""

from __future__ import annotations

from django.apps import AppConfig


class SecurityConfig(AppConfig):
    name = "signalist.security"

    def ready(self) -> None:
        from signalist.security.hearing import listen

        listen()
