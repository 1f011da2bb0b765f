"""Staff's view of users, workspaces and who belongs to them. Sealed secrets are nowhere."""

from __future__ import annotations

from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialApp, SocialToken
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django_q.tasks import async_task

from signalist.display.admin import ReadOnly
from tenants.models import Membership, Tenant, User
from tenants.step_up import ask_password, stepped_up

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
    actions = ["revoke_keys"]

    @admin.action(description="Revoke all keys of venues (after a leak)", permissions=["view"])
    def revoke_keys(self, request: HttpRequest, queryset: QuerySet[Tenant]) -> HttpResponse | None:
        """Leave it to the job runner; wants the password."""
        if not stepped_up(request):
            words = "Revoking keys wants your password. Nothing was done yet: choose it once more."
            return ask_password(request, request.get_full_path(), words)
        for tenant in queryset:
            async_task(
                "signalist.risk.jobs.revoke_keys", tenant.pk, str(request.user), task_name=f"revoke keys {tenant.pk}"
            )
        messages.success(request, "Their keys are revoked within seconds, and their accounts take no entries.")
        return None


@admin.register(Membership)
class MembershipAdmin(ReadOnly):
    list_display = ["user", "tenant", "role", "is_active", "created_at"]
    list_filter = ["role", "is_active"]
    list_select_related = ["user", "tenant"]
