"""Addresses of staff's pages about people."""

from __future__ import annotations

from django.urls import path

from tenants.staff import pages

urlpatterns = [
    path("staff/", pages.people, name="staff"),
    path("staff/powers/", pages.powers, name="staff_powers"),
    path("staff/powers/end/", pages.give_back, name="staff_powers_end"),
    path("staff/look-away/", pages.look_away, name="staff_look_away"),
    path("staff/people/<uuid:public_id>/", pages.one, name="staff_person"),
    path("staff/people/<uuid:public_id>/state/", pages.set_state, name="staff_set_state"),
    path("staff/people/<uuid:public_id>/look/", pages.look, name="staff_look"),
]
