"""Staff's view of users, workspaces and who belongs to them. Sealed secrets are nowhere."""

from __future__ import annotations

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from django.contrib import admin, messages
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django_q.tasks import async_task

from signalist.display.admin import ReadOnly
from tenants.models import Membership, Tenant, User
from tenants.staff.actions import NotDone, set_flag
from tenants.step_up import ask_password, stepped_up

# What opens somebody's account is for nobody's eyes, and providers are named by settings alone. What leads to an account (an address
# that resets its password, a log-in elsewhere) and what staff may do is nothing to edit by hand.
admin.site.unregister([Authenticator, SocialApp, SocialToken, SocialAccount, EmailAddress, Group])


@admin.register(EmailAddress)
class EmailAddressAdmin(ReadOnly):
    list_display = ["email", "user", "primary", "verified"]
    list_filter = ["primary", "verified"]
    list_select_related = ["user"]
    search_fields = ["email"]


@admin.register(User)
class UserAdmin(ReadOnly):
    """To be read. Two things a superuser sets, with a proof and on record; who is let in at all is a matter of the page of people."""

    list_display = ["email", "full_name", "is_active", "is_staff", "trading_enabled"]
    list_filter = ["is_active", "is_staff", "trading_enabled"]
    search_fields = ["email", "full_name"]
    fields = ["email", "username", "full_name", "phone", "time_zone", "is_active", "is_staff", "trading_enabled"]
    actions = ["make_staff", "end_staff", "allow_trading", "forbid_trading"]

    def has_set_permission(self, request: HttpRequest) -> bool:
        """Superusers alone."""
        return bool(request.user.is_active and request.user.is_superuser)

    @admin.action(description="Make staff", permissions=["set"])
    def make_staff(self, request: HttpRequest, chosen: QuerySet[User]) -> HttpResponse | None:
        return self._set(request, chosen, "is_staff", to=True)

    @admin.action(description="Staff no more", permissions=["set"])
    def end_staff(self, request: HttpRequest, chosen: QuerySet[User]) -> HttpResponse | None:
        return self._set(request, chosen, "is_staff", to=False)

    @admin.action(description="Allow trading with real money", permissions=["set"])
    def allow_trading(self, request: HttpRequest, chosen: QuerySet[User]) -> HttpResponse | None:
        return self._set(request, chosen, "trading_enabled", to=True)

    @admin.action(description="Forbid trading with real money", permissions=["set"])
    def forbid_trading(self, request: HttpRequest, chosen: QuerySet[User]) -> HttpResponse | None:
        return self._set(request, chosen, "trading_enabled", to=False)

    def _set(self, request: HttpRequest, chosen: QuerySet[User], flag: str, *, to: bool) -> HttpResponse | None:
        if not stepped_up(request):
            words = "What somebody may do wants a proof that it is you. Nothing was done yet: choose it once more."
            return ask_password(request, request.get_full_path(), words)
        assert isinstance(request.user, User)
        try:
            changed = sum(set_flag(request.user, user, flag, to=to) for user in chosen)
            messages.success(request, f"{changed} changed.")
        except NotDone as problem:
            messages.error(request, str(problem))
        return None


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
