"""The app that holds the template tags."""

from __future__ import annotations

from django.apps import AppConfig


class DisplayConfig(AppConfig):
    name = "signalist.display"
