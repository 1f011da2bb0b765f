"""A real OpenID provider on loopback, and a visitor who follows its redirects with a browser's form."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import requests
from allauth.socialaccount.providers.google import views
from django.conf import settings
from django.test import Client, override_settings
from oidc_provider_mock import User, run_server_in_thread


@dataclass
class Provider:
    """The provider at work; `address` is its root."""

    address: str

    def settings(self) -> dict[str, Any]:
        """What a deployment would set to use it."""
        google = settings.SOCIALACCOUNT_PROVIDERS["google"] | {
            "APPS": [{"name": "Acme ID", "client_id": "signalist", "secret": "a secret for tests only"}]
        }
        return {"SOCIALACCOUNT_PROVIDERS": {"google": google}, "FORM_TARGETS": [self.address]}

    def log_in(self, client: Client, sub: str, process: str = "login", after: str = "") -> Any:
        """Press the button, log in at the provider as `sub` (an empty one declines), and come back; our answer."""
        asked = client.post(f"/accounts/google/login/?process={process}" + (f"&next={after}" if after else ""))
        assert asked.status_code == 302, asked.content.decode()
        there = asked.headers["Location"]
        assert there.startswith(f"{self.address}/oauth2/authorize?")
        said = {"sub": sub} if sub else {"action": "deny"}
        back = requests.post(there, data=said, allow_redirects=False, timeout=10)
        assert back.status_code in (302, 303), back.text
        where = urlsplit(back.headers["Location"])
        # RFC 6749, 4.1.2.1, has a provider send the state back with an error, too; this one forgets it.
        state = "" if "state=" in where.query else "&" + re.findall(r"state=[^&]+", there)[0]
        return client.get(f"{where.path}?{where.query}{state}")


@contextmanager
def provider_at_work(**people: dict[str, Any]) -> Iterator[Provider]:
    """Start the provider with people by their `sub`."""
    known = [User(sub=sub, claims=claims) for sub, claims in people.items()]
    with run_server_in_thread(user_claims=known) as server:
        yield Provider(f"http://127.0.0.1:{server.server_port}")


@contextmanager
def used(provider: Provider) -> Iterator[Provider]:
    """Have our log-in use it. allauth reads a provider's addresses once, at import."""
    with (
        mock.patch.object(views.GoogleOAuth2Adapter, "authorize_url", f"{provider.address}/oauth2/authorize"),
        mock.patch.object(views.GoogleOAuth2Adapter, "access_token_url", f"{provider.address}/oauth2/token"),
        mock.patch.object(views, "ID_TOKEN_ISSUER", provider.address),
        override_settings(**provider.settings()),
    ):
        yield provider
