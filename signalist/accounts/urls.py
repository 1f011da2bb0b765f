"""Addresses of the keys that accounts trade with."""

from __future__ import annotations

from django.urls import path

from signalist.accounts import health_pages, pages

urlpatterns = [
    path("connections/", pages.connections, name="connections"),
    path("connections/accounts/", health_pages.account_health, name="account_health"),
    path("connections/accounts/<uuid:public_id>/", health_pages.account_answer, name="account_answer"),
    path("connections/accounts/<uuid:public_id>/ask/", health_pages.account_ask, name="account_ask"),
    path("connections/new/<slug:venue>/", pages.connection_new, name="connection_new"),
    path("connections/<uuid:public_id>/", pages.connection, name="connection"),
    path("connections/<uuid:public_id>/rename/", pages.connection_rename, name="connection_rename"),
    path("connections/<uuid:public_id>/replace/", pages.connection_replace, name="connection_replace"),
    path("connections/<uuid:public_id>/revoke/", pages.connection_revoke, name="connection_revoke"),
]
