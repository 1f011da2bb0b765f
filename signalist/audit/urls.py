"""Addresses of the audit log."""

from __future__ import annotations

from django.urls import path

from signalist.audit import pages

urlpatterns = [
    path("audit/", pages.audit, name="audit"),
    path("audit/export/", pages.audit_export, name="audit_export"),
]
