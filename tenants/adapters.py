"""How allauth meets our people: log-in by another provider, and the proofs that a person may give."""

from __future__ import annotations

from typing import Any

from allauth.account.utils import filter_users_by_email
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialApp, SocialLogin
from django.http import Http404, HttpRequest
from django.shortcuts import render

from signalist.logs import logger
from tenants.models import User

log = logger(__name__)


class OtherProvider(DefaultSocialAccountAdapter):  # type: ignore[misc]  # allauth comes without types
    """Log-in by Google or another OpenID provider. Who is known here by an address that the provider has not verified stays apart."""

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Raise ImmediateHttpResponse with a page that says what to do, where the provider's word is not enough to let somebody in."""
        if sociallogin.is_existing or sociallogin.state.get("process") == "connect":
            return
        addresses = [address.email for address in sociallogin.email_addresses]
        problem = "nameless" if not addresses else "taken" if any(map(_is_taken, addresses)) else ""
        if problem:
            context = {
                "problem": problem,
                "address": next(iter(addresses), ""),
                "provider": sociallogin.provider.app.name,
            }
            page = render(request, "socialaccount/refused.html", context, status=409)
            raise ImmediateHttpResponse(page)

    def get_app(self, request: HttpRequest, provider: str, client_id: str | None = None) -> SocialApp:
        """Raises Http404 where no provider is set."""
        try:
            return super().get_app(request, provider, client_id)
        except SocialApp.DoesNotExist:
            raise Http404("No other provider is set.") from None

    def populate_user(self, request: HttpRequest, sociallogin: SocialLogin, data: Any) -> User:
        """The name is one field here."""
        user: User = super().populate_user(request, sociallogin, data)
        said = sociallogin.account.extra_data.get("name")
        user.full_name = said[:100] if isinstance(said, str) else ""
        return user

    def on_authentication_error(
        self,
        request: HttpRequest,
        provider: Any,
        error: Any = None,
        exception: Exception | None = None,
        extra_context: Any = None,
    ) -> None:
        """Tell the log what the page keeps to itself."""
        log.warning("provider_log_in_failed", error=str(error), why=type(exception).__name__ if exception else "")


def _is_taken(address: str) -> bool:
    return bool(filter_users_by_email(address))
