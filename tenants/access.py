"""Who may open a page: the decorators that views begin with."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from signalist.audit.writing import record
from tenants.doors import is_only_looking
from tenants.models import Membership, Tenant, User
from tenants.permissions import PERMISSIONS, permits

View = Callable[..., HttpResponse]

TRADING_ROLES = PERMISSIONS["orders.give"].roles


class MemberRequest(HttpRequest):
    """A request as `member` lets it through: a person, in a workspace."""

    user: User
    tenant: Tenant
    membership: Membership
    memberships: list[Membership]
    refusal_recorded: bool
    htmx: Any


def member(view: View) -> View:
    """Only for members of a workspace: others are asked to log in, or shown how to open a workspace."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        if getattr(request, "tenant", None) is None:
            return redirect("workspace_missing")
        return view(request, *args, **kwargs)

    return guarded


def needs(permission: str) -> Callable[[View], View]:
    """Only for members whose role has the permission (see `tenants.permissions`); refuses others with 403 and records it (ACC-13)."""

    def decorated(view: View) -> View:
        @wraps(view)
        def guarded(request: Any, *args: Any, **kwargs: Any) -> HttpResponse:
            require(request, permission)
            return view(request, *args, **kwargs)

        return member(guarded)

    return decorated


def require(request: MemberRequest, permission: str) -> None:
    """Refuse a member whose role does not have the permission with 403, and record it, as `needs` does for a whole page."""
    if permits(request.membership, permission):
        return
    refuse(request, permission)
    words = PERMISSIONS[permission].words.lower()
    raise PermissionDenied(f"Your role in this workspace does not include: {words}. An administrator can change that.")


def refuse(request: MemberRequest, permission: str) -> None:
    """Record that somebody tried what their role does not allow. A look at somebody's workspace is on record as a whole."""
    request.refusal_recorded = True
    if is_only_looking():
        return
    record(
        "access.refused",
        tenant_id=request.tenant.pk,
        user_id=request.user.pk,
        target=permission,
        result="refused",
        details={"role": request.membership.role, "path": request.path, "method": request.method or ""},
    )


may_trade = needs("orders.give")
