"""A look at somebody's workspace: what they see, as a reader who can change nothing, whatever their role."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from signalist.audit.writing import record
from tenants.doors import only_looking, viewing
from tenants.models import Membership, Role
from tenants.selectors import chosen, memberships_of
from tenants.staff.powers import VIEW_AS, powers_of, to_the_powers

# Here staff is themselves: their own log-in, and the end of the look.
_OWN = ("/staff/", "/admin/", "/accounts/", "/security/", "/preferences/", "/invitations/", "/health", "/static/")


def is_a_look(request: Any) -> bool:
    """Whether this log-in looks at somebody's workspace with this request."""
    return bool(request.session.get(VIEW_AS)) and not request.path.startswith(_OWN)


def answered(request: Any, following: Callable[[HttpRequest], HttpResponse]) -> HttpResponse:
    """The page as the person sees it. What would change something is refused, and recorded in the workspace's own log."""
    seen = request.session[VIEW_AS]
    if powers_of(request) is None:
        request.session.pop(VIEW_AS)
        return to_the_powers(request)
    membership = _membership(seen["user"], seen["tenant"])
    if membership is None:
        request.session.pop(VIEW_AS)
        return to_the_powers(request)
    membership.role, membership.is_owner = Role.READONLY, False
    request.tenant, request.membership = membership.tenant, membership
    request.viewed_as = seen["name"]
    if request.method not in ("GET", "HEAD", "OPTIONS"):
        record(
            "access.refused",
            tenant_id=membership.tenant_id,
            user_id=request.user.pk,
            target="staff.view",
            result="refused",
            details={"path": request.path, "method": request.method},
        )
        return only_looking_page(request)
    with only_looking(), viewing(membership.tenant_id):
        return following(request)


def only_looking_page(request: Any) -> HttpResponse:
    """What staff is told that tries to change something from there."""
    return render(request, "tenants/staff/only_looking.html", status=403)


def _membership(user_id: int, tenant: str) -> Membership | None:
    found = [own for own in memberships_of(user_id) if str(own.tenant.public_id) == tenant]
    return chosen(found, tenant)
