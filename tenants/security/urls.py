"""Addresses about a person's own safety. What allauth lists in pages of its own stands on ours."""

from __future__ import annotations

from django.urls import path
from django.views.generic import RedirectView

from tenants.security import pages

urlpatterns = [
    path("security/", pages.security, name="security"),
    path("security/confirm/", pages.confirm_by_provider, name="confirm_by_provider"),
    path("security/sessions/end/", pages.end_session, name="end_session"),
    path("accounts/2fa/", RedirectView.as_view(pattern_name="security")),
    path("accounts/2fa/webauthn/", RedirectView.as_view(pattern_name="security")),
]
