"""Addresses of security events."""

from __future__ import annotations

from django.urls import path

from signalist.security import pages

urlpatterns = [
    path("security/", pages.security, name="security"),
    path("security/confirm/<str:token>/", pages.incident_confirm, name="incident_confirm"),
]
