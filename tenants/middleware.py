"""Sets the tenant once, at the edge: every view of a member runs behind the door of the workspace that they are in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse

from tenants.doors import across_tenants, viewing
from tenants.selectors import chosen, memberships_of

STAFF_PATH = "/admin/"
AUTHORS_PATH = "/authors/"
CONNECTIONS_PATH = "/connections/"
MY_DATA_PATHS = ("/my-data/", "/downloads/")
API_PATH = "/api/"
# Where another provider is asked, which must not be done inside a transaction.
PROVIDERS_PATH = "/accounts/google/"
# Where a guest comes in, from whichever workspace they are in.
INVITATIONS_PATH = "/invitations/"
# Pages that open doors of their own.
OWN_DOORS = (AUTHORS_PATH, CONNECTIONS_PATH, *MY_DATA_PATHS, PROVIDERS_PATH, INVITATIONS_PATH)


class TenantMiddleware:
    """Puts `tenant` and `membership` on the request (None without a log-in or a workspace) and opens the door.

    The staff's admin goes across tenants, to read: `across_tenants("staff")`. An author's pages are about all followers of a
    strategy and open a door of their own, which shows counts. So do the pages of connections: they ask venues, and nobody waits for a
    network with a transaction open. Programs say with their key which workspace they mean, whoever is
    logged in beside them. Who leaves may be in several workspaces.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._next = get_response

    def __call__(self, request: Any) -> HttpResponse:
        request.tenant = request.membership = None
        request.memberships = []
        if request.path.startswith(API_PATH) or not request.user.is_authenticated:
            return self._next(request)
        if request.path.startswith(STAFF_PATH):
            with across_tenants("staff"):
                return self._next(request)
        request.memberships = memberships_of(request.user.pk)
        membership = chosen(request.memberships, request.session.get("tenant"))
        if membership is None:
            return self._next(request)
        request.tenant, request.membership = membership.tenant, membership
        if request.path.startswith(OWN_DOORS):
            return self._next(request)
        with viewing(membership.tenant_id):
            return self._next(request)
