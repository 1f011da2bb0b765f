"""Staff's view of users. Rows with a tenant get their pages with the console."""

from __future__ import annotations

from django.contrib import admin

from tenants.models import User


@admin.register(User)
class UserAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # cannot be given at run time
    list_display = ["email", "full_name", "is_active", "is_staff", "trading_enabled"]
    list_filter = ["is_active", "is_staff", "trading_enabled"]
    search_fields = ["email", "full_name"]
    fields = ["email", "username", "full_name", "phone", "time_zone", "is_active", "is_staff", "trading_enabled"]
