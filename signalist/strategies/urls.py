"""Addresses of authors and reviewers."""

from __future__ import annotations

from django.urls import path

from signalist.strategies import pages

urlpatterns = [
    path("authoring/", pages.strategies, name="authoring"),
    path("authoring/new/", pages.create, name="create_strategy"),
    path("authoring/<slug:slug>/", pages.strategy, name="own_strategy"),
    path("authoring/<slug:slug>/write/", pages.write, name="write_version"),
    path("authoring/<slug:slug>/<int:number>/", pages.version, name="version"),
    path("authoring/<slug:slug>/<int:number>/<slug:what>/", pages.change, name="change_version"),
]
