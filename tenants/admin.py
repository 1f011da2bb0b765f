"""Staff's view of users, workspaces and who belongs to them. Sealed secrets are nowhere."""

from __future__ import annotations

from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialApp, SocialToken
from django.contrib import admin

from signalist.display.admin import ReadOnly
from tenants.models import Membership, Tenant, User

# What opens somebody's account is for nobody's eyes, and providers are named by settings alone.
admin.site.unregister([Authenticator, SocialApp, SocialToken])


@admin.register(User)
class UserAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # cannot be given at run time
    list_display = ["email", "full_name", "is_active", "is_staff", "trading_enabled"]
    list_filter = ["is_active", "is_staff", "trading_enabled"]
    search_fields = ["email", "full_name"]
    fields = ["email", "username", "full_name", "phone", "time_zone", "is_active", "is_staff", "trading_enabled"]


@admin.register(Tenant)
class TenantAdmin(ReadOnly):
    list_display = ["name", "public_id", "base_currency", "created_at"]
    search_fields = ["name"]


@admin.register(Membership)
class MembershipAdmin(ReadOnly):
    list_display = ["user", "tenant", "role", "is_active", "created_at"]
    list_filter = ["role", "is_active"]
    list_select_related = ["user", "tenant"]
