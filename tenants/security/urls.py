"""Addresses about a person's own safety. What allauth lists in pages of its own stands on ours."""

from __future__ import annotations

from allauth.account.views import password_set
from django.contrib.auth.decorators import login_required
from django.urls import path
from django.views.generic import RedirectView

from tenants.security import pages
from tenants.step_up import steps_up

# Who came by a provider may give themselves a password; whoever found their screen unlocked may not.
_set_password = login_required(steps_up("A password opens your account. Nothing was done yet.")(password_set))

urlpatterns = [
    path("security/", pages.security, name="security"),
    path("security/confirm/", pages.confirm_by_provider, name="confirm_by_provider"),
    path("security/sessions/end/", pages.end_session, name="end_session"),
    path("accounts/password/set/", _set_password, name="account_set_password"),
    path("accounts/2fa/", RedirectView.as_view(pattern_name="security")),
    path("accounts/2fa/webauthn/", RedirectView.as_view(pattern_name="security")),
]
