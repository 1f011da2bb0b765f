"""Addresses of the API, and of the pages of its keys."""

from __future__ import annotations

from django.urls import path

from signalist.api import endpoints, markets, pages
from signalist.api.endpoint import nothing_here

urlpatterns = [
    path("api-keys/", pages.api_keys, name="api_keys"),
    path("api-keys/<uuid:public_id>/rotate/", pages.api_key_rotate, name="api_key_rotate"),
    path("api-keys/<uuid:public_id>/revoke/", pages.api_key_revoke, name="api_key_revoke"),
    path("api/v1/me", endpoints.me, name="api_me"),
    path("api/v1/accounts", endpoints.accounts, name="api_accounts"),
    path("api/v1/accounts/<uuid:public_id>", endpoints.account, name="api_account"),
    path("api/v1/subscriptions", endpoints.subscriptions, name="api_subscriptions"),
    path("api/v1/subscriptions/<uuid:public_id>", endpoints.subscription, name="api_subscription"),
    path("api/v1/positions", endpoints.positions, name="api_positions"),
    path("api/v1/positions/<int:position_id>", endpoints.position, name="api_position"),
    path("api/v1/orders", endpoints.orders, name="api_orders"),
    path("api/v1/orders/<uuid:client_order_id>", endpoints.order, name="api_order"),
    path("api/v1/trades", endpoints.trades, name="api_trades"),
    path("api/v1/signals", endpoints.signals, name="api_signals"),
    path("api/v1/instruments", markets.instruments, name="api_instruments"),
    path("api/v1/instruments/<int:instrument_id>/candles", markets.candles, name="api_candles"),
    path("api/v1/prices", markets.prices, name="api_prices"),
    path("api/v1/indicators", markets.indicators, name="api_indicators"),
    path("api/<path:rest>", nothing_here, name="api_nothing"),
]
