"""Who may open a page: the decorators that views begin with."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from tenants.models import Membership, Role, Tenant, User

View = Callable[..., HttpResponse]

TRADING_ROLES = frozenset({Role.ADMIN.value, Role.TRADER.value})


class MemberRequest(HttpRequest):
    """A request as `member` lets it through: a person, in a workspace."""

    user: User
    tenant: Tenant
    membership: Membership
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


def may_trade(view: View) -> View:
    """Only for members who may change what is traded (ADMIN, TRADER); refuses others with 403."""

    @wraps(view)
    def guarded(request: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.membership.role not in TRADING_ROLES:
            raise PermissionDenied("Your role in this workspace shows everything but changes nothing.")
        return view(request, *args, **kwargs)

    return member(guarded)
