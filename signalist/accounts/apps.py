"""The app's registration; a newcomer is welcomed with a workspace and a paper account."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "signalist.accounts"

    def ready(self) -> None:
        from allauth.account.signals import user_signed_up

        user_signed_up.connect(_welcome, dispatch_uid="signalist.accounts.welcome")


def _welcome(sender: Any, user: Any, request: Any = None, **kwargs: Any) -> None:
    from signalist.accounts.actions import welcome

    # Who comes by an invitation joins a workspace that there is.
    if request is None or request.session.get("invitation", "").lower() != user.email.lower():
        welcome(user)
