"""Every address of the site, as anybody and as an owner who is staff: whatever it answers, it carries the headers that protect a page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from tests.cast import PASSWORD, Cast

pytestmark = pytest.mark.django_db
ANYTHING = {
    "uuid": "00000000-0000-4000-8000-000000000000",
    "int": "1",
    "slug": "nothing",
    "str": "nothing",
    "path": "x",
}
STRICT = ("default-src 'none'", "script-src 'self'", "base-uri 'none'", "frame-ancestors 'none'", "form-action 'self'")


def addresses(patterns: list[Any] | None = None, before: str = "/") -> Iterator[str]:
    """Every address of the URL map, with something in the place of what it asks for; of the administration its doors alone."""
    for each in patterns if patterns is not None else get_resolver().url_patterns:
        here = before + _filled_in(str(each.pattern))
        if isinstance(each, URLPattern):
            yield here
        elif isinstance(each, URLResolver) and here != "/admin/":
            yield from addresses(each.url_patterns, here)
    if patterns is None:
        yield from ("/admin/", "/admin/tenants/user/", "/no/such/page")


def _filled_in(route: str) -> str:
    plain = re.sub(r"<(?:(\w+):)?\w+>", lambda found: ANYTHING[found[1] or "str"], route)
    return re.sub(r"\(\?P<\w+>[^)]*\)+", "x-1", plain).replace("^", "").replace("$", "").replace("\\Z", "")


def faults(answer: Any) -> list[str]:
    """What is wrong with an answer's headers and cookies."""
    told, found = answer.headers, []
    policy = told.get("Content-Security-Policy", "")
    is_admin = answer.wsgi_request.path.startswith("/admin/")
    found += [f"no {part}" for part in STRICT if f"{part};" not in f"{policy};"]
    if "unsafe-eval" in policy or ("unsafe-inline" in policy and not is_admin):
        found.append(policy)
    wanted = {
        "X-Frame-Options": "DENY",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
    }
    found += [f"{name}: {told.get(name)}" for name, value in wanted.items() if told.get(name) != value]
    if not told.get("Cache-Control"):
        found.append("may be cached")
    for cookie in answer.cookies.values():
        if not (cookie["httponly"] and cookie["secure"] and cookie["samesite"] == "Lax") and cookie.value:
            found.append(f"the cookie {cookie.key}")
    return found


def test_every_answer_carries_them_and_no_page_breaks(cast: Cast, settings: Any) -> None:
    settings.SECURE_HSTS_SECONDS, settings.SECURE_HSTS_INCLUDE_SUBDOMAINS = 31_536_000, True
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    cast.olivia.is_staff = cast.olivia.is_superuser = True
    cast.olivia.save()
    clients = {"nobody": Client(), "the owner": Client()}
    clients["the owner"].post("/accounts/login/", {"login": "olivia@example.com", "password": PASSWORD}, secure=True)
    clients["the owner"].post("/accounts/reauthenticate/", {"password": PASSWORD}, secure=True)
    clients["the owner"].post("/staff/powers/", {"reason": "a look at all"}, secure=True)
    wrong, seen = {}, {200: 0}
    for address in sorted(set(addresses())):
        for who, client in clients.items():
            answer = client.get(address, secure=True)
            seen[answer.status_code] = seen.get(answer.status_code, 0) + 1
            if answer.status_code >= 500 or (found := faults(answer)):
                wrong[f"{address} for {who}"] = answer.status_code if answer.status_code >= 500 else found
            if address == "/accounts/logout/":
                assert client.session.get("_auth_user_id") or who == "nobody"
    assert wrong == {}
    assert seen[200] >= 45 and sum(seen.values()) > 170, seen
