"""The live app."""

from __future__ import annotations

from django.apps import AppConfig


class LiveConfig(AppConfig):
    name = "signalist.live"

    def ready(self) -> None:
        from django.contrib.auth.signals import user_logged_out

        from signalist.live.farewells import session_ends

        user_logged_out.connect(session_ends, dispatch_uid="signalist.live.session_ends")
