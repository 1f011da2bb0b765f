"""Staff's view of trading accounts, only to read; the paper venue's books belong to another party and are not here."""

from __future__ import annotations

from django.contrib import admin

from signalist.accounts.models import Account
from signalist.display.admin import ReadOnly


@admin.register(Account)
class AccountAdmin(ReadOnly):
    list_display = ["name", "tenant", "venue", "currency", "state", "state_reason", "created_at"]
    list_filter = ["venue", "state"]
    list_select_related = ["tenant"]
    exclude = ["credential"]
