"""Staff's view of the money path, across tenants and only to read."""

from __future__ import annotations

from django.contrib import admin

from signalist.display.admin import ReadOnly
from signalist.trading.discrepancies import Discrepancy
from signalist.trading.models import (
    Execution,
    Fill,
    Instruction,
    Order,
    OrderAttempt,
    Position,
    Subscription,
    Trade,
)


@admin.register(Subscription)
class SubscriptionAdmin(ReadOnly):
    list_display = ["public_id", "tenant", "account", "strategy", "instrument", "status", "capital", "started_at"]
    list_filter = ["status", "strategy"]
    list_select_related = ["tenant", "account", "strategy", "instrument"]


@admin.register(Instruction)
class InstructionAdmin(ReadOnly):
    list_display = ["created_at", "tenant", "kind", "account", "reason", "by"]
    list_filter = ["kind"]
    list_select_related = ["tenant", "account", "by"]


@admin.register(Execution)
class ExecutionAdmin(ReadOnly):
    list_display = ["created_at", "tenant", "kind", "status", "rule", "quantity", "price", "decided_at"]
    list_filter = ["status", "kind"]
    list_select_related = ["tenant"]
    raw_id_fields = ["subscription", "account", "signal", "instruction"]


@admin.register(Order)
class OrderAdmin(ReadOnly):
    list_display = ["created_at", "tenant", "instrument", "leg", "side", "quantity", "status", "client_order_id"]
    list_filter = ["status", "leg"]
    list_select_related = ["tenant", "instrument"]
    search_fields = ["=client_order_id", "=venue_order_id"]


@admin.register(OrderAttempt)
class OrderAttemptAdmin(ReadOnly):
    list_display = ["sent_at", "tenant", "action", "number", "success", "error_type", "latency_ms"]
    list_filter = ["action", "success"]
    list_select_related = ["tenant"]


@admin.register(Fill)
class FillAdmin(ReadOnly):
    list_display = ["time", "tenant", "side", "quantity", "price", "fee", "fee_currency"]
    list_select_related = ["tenant"]


@admin.register(Position)
class PositionAdmin(ReadOnly):
    list_display = ["opened_at", "tenant", "instrument", "direction", "quantity", "stop", "target", "is_open"]
    list_filter = ["is_open", "direction"]
    list_select_related = ["tenant", "instrument"]


@admin.register(Trade)
class TradeAdmin(ReadOnly):
    list_display = ["closed_at", "tenant", "instrument", "direction", "quantity", "net", "currency", "exit_type"]
    list_filter = ["exit_type", "currency"]
    list_select_related = ["tenant", "instrument"]


@admin.register(Discrepancy)
class DiscrepancyAdmin(ReadOnly):
    list_display = ["first_seen_at", "tenant", "account", "kind", "symbol", "ours", "theirs", "state", "resolution"]
    list_filter = ["state", "kind"]
    list_select_related = ["tenant", "account"]
    raw_id_fields = ["account", "instrument", "answered_by"]
