"""Addresses of positions, orders, trades and decisions."""

from __future__ import annotations

from django.urls import path

from signalist.trading import pages

urlpatterns = [
    path("positions/", pages.positions, name="positions"),
    path("positions/<int:position_id>/", pages.position, name="position"),
    path("positions/<int:position_id>/close/", pages.position_close, name="position_close"),
    path("orders/", pages.orders, name="orders"),
    path("orders/<uuid:client_order_id>/", pages.order, name="order"),
    path("trades/", pages.trades, name="trades"),
    path("books/", pages.books, name="books"),
    path("books/<uuid:public_id>/", pages.account, name="account_books"),
    path("books/<uuid:account_id>/<uuid:public_id>/", pages.difference, name="difference"),
    path("books/<uuid:account_id>/<uuid:public_id>/answer/", pages.difference_answer, name="difference_answer"),
    path("decisions/", pages.decisions, name="decisions"),
    path("decisions/<uuid:public_id>/", pages.signal, name="signal"),
    path("authors/signals/<uuid:public_id>/", pages.authored, name="authored_signal"),
]
