"""Addresses of what people may ask about their data."""

from __future__ import annotations

from django.urls import path

from signalist.privacy import pages

urlpatterns = [
    path("my-data/", pages.my_data, name="my_data"),
    path("my-data/files/", pages.my_files, name="my_files"),
    path("my-data/export/", pages.export, name="my_data_export"),
    path("my-data/delete/", pages.delete, name="my_data_delete"),
    path("downloads/<uuid:public_id>/", pages.download, name="download"),
]
