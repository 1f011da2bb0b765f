"""Addresses of the kill switch."""

from __future__ import annotations

from django.urls import path

from signalist.risk import pages

urlpatterns = [
    path("stop/", pages.stop, name="stop"),
    path("stop/<str:layer>/<uuid:public_id>/", pages.stop_set, name="stop_set"),
]
