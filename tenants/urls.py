"""Addresses of people about themselves."""

from __future__ import annotations

from django.urls import path

from tenants import pages

urlpatterns = [
    path("profile/", pages.profile, name="profile"),
    path("preferences/theme/", pages.theme, name="theme"),
    path("workspace/", pages.workspace_missing, name="workspace_missing"),
]
