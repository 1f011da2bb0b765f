"""How allauth meets our people: log-in by another provider, and the proofs that a person may give."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.utils import filter_users_by_email
from allauth.core import context
from allauth.core.exceptions import ImmediateHttpResponse, ReauthenticationRequired
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialApp, SocialLogin
from django.http import Http404, HttpRequest
from django.shortcuts import render
from django.urls import reverse

from signalist.logs import logger
from tenants import second_factors
from tenants.models import User
from tenants.security.taking_over import forget_claims, hand_to_owner, is_proven
from tenants.step_up import BY_PROVIDER, stepped_up, way_of

log = logger(__name__)

# Adding, removing and preferring an address; connecting and disconnecting a provider.
_OPENS_THE_ACCOUNT = ("allauth.account", "allauth.socialaccount")


class OurAccounts(DefaultAccountAdapter):  # type: ignore[misc]  # allauth comes without types
    """Log-in with a password, and what is asked again before critical actions."""

    def get_reauthentication_methods(self, user: Any) -> list[dict[str, Any]]:
        """Who has a second factor is asked for that; who has neither it nor a password logs in anew where they come from."""
        found: list[dict[str, Any]] = super().get_reauthentication_methods(user)
        factors = [method for method in found if method["id"] != "reauthenticate"]
        if found or not user.is_authenticated:
            # The first is where they are sent: who has a passkey and no app may never have seen the recovery codes.
            return sorted(factors, key=lambda method: method["url"] != reverse(way_of(user))) or found
        return [{"id": BY_PROVIDER, "description": "Log in again", "url": reverse(BY_PROVIDER)}]

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        """What opens the account, its addresses and its providers, wants the house's own proof: a stolen session must not be enough.

        allauth asks nobody who has no password. Raises ReauthenticationRequired for whoever has not just proven who they are.
        """
        request = context.request
        ours = app in _OPENS_THE_ACCOUNT
        if (ours or way_of(request.user) == BY_PROVIDER) and not stepped_up(request):
            raise ReauthenticationRequired
        return not ours and bool(super().is_reauthentication_required(app=app, **kwargs))


class SecondFactors(DefaultMFAAdapter):  # type: ignore[misc]  # allauth comes without types
    """Authenticator apps, passkeys and recovery codes; what makes codes is sealed in the database."""

    def encrypt(self, text: str) -> str:
        return second_factors.seal(text)

    def decrypt(self, encrypted_text: str) -> str:
        return second_factors.opened(encrypted_text)

    def get_totp_issuer(self) -> str:
        return "Signalist"

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        entity: dict[str, str] = super().get_public_key_credential_rp_entity()
        return entity | {"name": "Signalist"}


class OtherProvider(DefaultSocialAccountAdapter):  # type: ignore[misc]  # allauth comes without types
    """Log-in by Google or another OpenID provider. Who is known here by an address that the provider has not verified stays apart."""

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Raise ImmediateHttpResponse with a page that says what to do, where the provider's word is not enough to let somebody in.

        Where it is, and nobody had proven the address before, whatever else opens the account ends.
        """
        if sociallogin.state.get("process") == "connect":
            return
        if sociallogin.is_existing:
            user = sociallogin.user
            if not sociallogin.account.pk and not is_proven(user, user.email):  # found by the address
                hand_to_owner(user, but=request.session.session_key)
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

    def authenticate_by_email(self, sociallogin: SocialLogin) -> tuple[Any, str] | None:
        """Who belongs to an address that the provider has verified: never somebody who only names it beside their own."""
        if sociallogin.state.get("process") != "connect":
            for address in sociallogin.email_addresses:
                if address.verified:
                    forget_claims(address.email)
        found: tuple[Any, str] | None = super().authenticate_by_email(sociallogin)
        return found

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
