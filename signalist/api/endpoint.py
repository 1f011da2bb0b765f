"""What every endpoint begins with: the method, the key, its scope, and the door of its workspace; and how errors end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from signalist.api.answers import NOT_FOUND, Refusal
from signalist.api.gate import Caller, caller
from tenants.doors import viewing

Answer = Mapping[str, Any]
Endpoint = Callable[..., Answer]


def reads(scope: str | None = None) -> Callable[[Endpoint], Callable[..., HttpResponse]]:
    """An endpoint that is asked with GET by a key with `scope` (None: any key). It is called behind the door of the key's workspace with
    the request and its Caller, and returns what is said as JSON; Http404 and Refusal become errors."""

    def decorated(endpoint: Endpoint) -> Callable[..., HttpResponse]:
        @csrf_exempt  # a key is no cookie: no browser sends it along by itself
        @wraps(endpoint)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            try:
                if request.method not in ("GET", "HEAD"):
                    raise Refusal(405, "method_not_allowed", "This address is only read.", {"Allow": "GET, HEAD"})
                who = caller(request)
                return _answered(endpoint, request, who, scope, args, kwargs)
            except Refusal as refusal:
                return refusal.answer()

        return guarded

    return decorated


def _answered(
    endpoint: Endpoint, request: HttpRequest, who: Caller, scope: str | None, args: Any, kwargs: Any
) -> HttpResponse:
    try:
        if scope is not None and scope not in who.key.scopes:
            raise Refusal(403, "forbidden", f"This key has no scope {scope}; make one that has.")
        with viewing(who.key.tenant_id):
            response: HttpResponse = JsonResponse(dict(endpoint(request, who, *args, **kwargs)))
    except Refusal as refusal:
        response = refusal.answer()
    except Http404:
        response = NOT_FOUND.answer()
    except PermissionDenied as denied:
        response = Refusal(403, "forbidden", str(denied)).answer()
    for name, value in who.headers.items():
        response.headers.setdefault(name, value)
    return response


@csrf_exempt
def nothing_here(request: HttpRequest, rest: str = "") -> HttpResponse:
    """Any other address under the API's."""
    return NOT_FOUND.answer()
