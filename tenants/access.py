"""Who may open a page: the decorators that views begin with."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from signalist.audit.writing import record
from tenants.doors import is_only_looking
from tenants.models import Membership, Tenant, User
from tenants.permissions import PERMISSIONS, permits, permits_some

View = Callable[..., HttpResponse]

Whose = Callable[..., Model | None]
"""What an address is about, from the parts of the address; None where that is nothing that can be shared."""


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


def needs(permission: str, of: Whose | None = None) -> Callable[[View], View]:
    """Only for members whose role has the permission (see `tenants.permissions`), or with whom the thing that the address is about was
    shared: `of` finds it. Refuses others with 403 and records it (ACC-13)."""

    def decorated(view: View) -> View:
        @wraps(view)
        def guarded(request: Any, *args: Any, **kwargs: Any) -> HttpResponse:
            require(request, permission, of and (lambda: of(*args, **kwargs)))
            return view(request, *args, **kwargs)

        return _declared(member(guarded), permission)

    return decorated


def needs_some(permission: str, rows: Callable[[], Any]) -> Callable[[View], View]:
    """Only for members who may do that with any of `rows`. The view offers them, and takes, those `within` the permission alone."""

    def decorated(view: View) -> View:
        @wraps(view)
        def guarded(request: Any, *args: Any, **kwargs: Any) -> HttpResponse:
            if not permits_some(request.membership, permission, rows()):
                require(request, permission)
            return view(request, *args, **kwargs)

        return _declared(member(guarded), permission)

    return decorated


def _declared(view: View, permission: str) -> View:
    """Where a test finds which right an address asks for."""
    view.permission = permission  # type: ignore[attr-defined]
    return view


def require(request: MemberRequest, permission: str, thing: Callable[[], Model | None] | None = None) -> None:
    """Refuse a member who may not, by role or with this thing, with 403, and record it, as `needs` does for a whole page."""
    if allowed(request, permission, thing):
        return
    refuse(request, permission)
    words = PERMISSIONS[permission].words.lower()
    raise PermissionDenied(f"Your role in this workspace does not include: {words}. An administrator can change that.")


def allowed(request: MemberRequest, permission: str, thing: Callable[[], Model | None] | None = None) -> bool:
    """Whether the member may do that, by role or with this thing, which is looked for only where it matters."""
    return permits(request.membership, permission) or (
        thing is not None and permits(request.membership, permission, thing())
    )


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
