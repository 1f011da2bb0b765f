"""Addresses of what people command."""

from __future__ import annotations

from django.urls import path

from signalist.execution.pages import closing, commands, orders, quality, tickets

urlpatterns = [
    path("orders/new/", tickets.ticket, name="ticket"),
    path("orders/<uuid:client_order_id>/cancel/", orders.cancel, name="order_cancel"),
    path("orders/<uuid:client_order_id>/modify/", orders.modify, name="order_modify"),
    path("positions/<int:position_id>/<str:leg>/", orders.level, name="position_level"),
    path("close/", closing.choose, name="close_many"),
    path("close/account/<uuid:public_id>/", closing.account, name="close_account"),
    path("close/subscription/<uuid:public_id>/", closing.subscription, name="close_subscription"),
    path("execution/", quality.quality, name="quality"),
    path("commands/", commands.commands, name="commands"),
    path("commands/<uuid:public_id>/", commands.command, name="command"),
]
