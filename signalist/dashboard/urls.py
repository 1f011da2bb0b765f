"""Addresses of the landing page, the dashboard and the state of health."""

from __future__ import annotations

from django.urls import path

from signalist.dashboard import pages

urlpatterns = [
    path("", pages.landing, name="landing"),
    path("dashboard/", pages.dashboard, name="dashboard"),
    path("health", pages.state_of_health, name="health"),
]
