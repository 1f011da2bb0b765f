"""Addresses of security events."""

from __future__ import annotations

from django.urls import path

from signalist.security import pages

urlpatterns = [
    path("security/log-ins/", pages.log_ins, name="log_ins"),
    path("security/incidents/<str:token>/", pages.incident_confirm, name="incident_confirm"),
]
