"""Sets the tenant once, at the edge: every view of a member runs behind the door of the workspace that they are in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse

from tenants.doors import ShutToWriting, across_tenants, viewing
from tenants.selectors import chosen, memberships_of
from tenants.staff.looking import answered, is_a_look, only_looking_page
from tenants.staff.powers import powers_of, to_the_powers

STAFF_PATH = "/admin/"
AUTHORS_PATH = "/authors/"
CONNECTIONS_PATH = "/connections/"
MY_DATA_PATHS = ("/my-data/", "/downloads/")
API_PATH = "/api/"
# Where another provider is asked, which must not be done inside a transaction.
PROVIDERS_PATH = "/accounts/google/"
# A new password by mail ends keys and invitations in all of a person's workspaces.
RESET_PATH = "/accounts/password/reset/"
# Where a guest comes in, from whichever workspace they are in.
INVITATIONS_PATH = "/invitations/"
# Staff's pages about people go across all workspaces by doors of their own.
PEOPLE_PATH = "/staff/"
WITHOUT_A_DOOR = (
    PEOPLE_PATH,
    AUTHORS_PATH,
    CONNECTIONS_PATH,
    PROVIDERS_PATH,
    RESET_PATH,
    INVITATIONS_PATH,
    *MY_DATA_PATHS,
)


class TenantMiddleware:
    """Puts `tenant` and `membership` on the request (None without a log-in or a workspace) and opens the door.

    Staff that looks at a workspace sees it as a reader. The staff's admin wants staff's powers and goes across tenants, to read:
    `across_tenants("staff")`. An author's pages are about all followers of a strategy and open a door of their own, which shows
    counts. So do the pages of connections: they ask venues, and nobody waits for a network with a transaction open. Programs say with
    their key which workspace they mean, whoever is logged in beside them. Who leaves may be in several workspaces.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._next = get_response

    def __call__(self, request: Any) -> HttpResponse:
        request.tenant = request.membership = None
        request.memberships = []
        if request.path.startswith(API_PATH) or not request.user.is_authenticated:
            return self._next(request)
        if is_a_look(request):
            return answered(request, self._next)
        if request.path.startswith(STAFF_PATH):
            if request.user.is_staff and powers_of(request) is None:
                return to_the_powers(request)
            with across_tenants("staff"):
                return self._next(request)
        request.memberships = memberships_of(request.user.pk)
        membership = chosen(request.memberships, request.session.get("tenant"))
        if membership is None:
            return self._next(request)
        request.tenant, request.membership = membership.tenant, membership
        if request.path.startswith(WITHOUT_A_DOOR):
            return self._next(request)
        with viewing(membership.tenant_id):
            return self._next(request)

    def process_exception(self, request: Any, exception: Exception) -> HttpResponse | None:
        """A page that would write something while staff only looks is refused like a form."""
        return only_looking_page(request) if isinstance(exception, ShutToWriting) else None
