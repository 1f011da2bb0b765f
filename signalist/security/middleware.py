"""At the edge: how often somebody may ask, who is kept from logging in, and what an open incident holds back.

Nothing here ever keeps anybody from getting out of a position or from protecting one: the views of `PASSING` are neither counted nor
held, whatever else is going on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import Resolver404, resolve, reverse

from signalist.audit.origin import client_address
from signalist.audit.writing import record
from signalist.clock import monotonic, utc_now
from signalist.domain.login_risk import Response
from signalist.logs import logger
from signalist.security import incidents
from signalist.security.limits import Chunks, Verdict, take
from signalist.security.visitors import Visitor, network_of, put_name
from tenants.step_up import ask_password, stepped_up

Next = Callable[[HttpRequest], HttpResponse]
log = logger(__name__)

# Exits, protection, and the way to them.
PASSING = frozenset(
    "position_close order_cancel position_level close_many close_account close_subscription stop stop_set subscription_pause "
    "subscription_cancel positions position difference_answer account_reauthenticate mfa_reauthenticate "
    "mfa_reauthenticate_webauthn confirm_by_provider account_logout".split()
)
# What opens something, or makes more of it. Releasing a switch is held where it is decided what is less strict (`signalist.risk.pages`).
ENTRIES = frozenset("ticket subscribe subscription_terms subscription_resume order_modify newer_version".split())
# Of those, what is answered only to a form: the page on which the form stands, of the same thing.
STANDS_ON = {"subscription_resume": "subscription"}
AT_THE_DOOR = frozenset("account_login account_signup account_reset_password mfa_authenticate".split())
MARKETPLACE = frozenset({"marketplace", "strategy"})
UNCOUNTED = ("/health", "/static/")
API = "/api/"
# Under the API's address there is nothing of these names.
NOTHING = frozenset({"", "api_nothing"})


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request is about, as far as limits go. `user`: the person's key, None for who is not logged in."""

    view: str
    writes: bool
    user: int | None
    address: str

    @classmethod
    def of(cls, request: HttpRequest) -> Asked:
        try:
            view = resolve(request.path_info).view_name
        except Resolver404:
            view = ""
        user = request.user.pk if request.user.is_authenticated else None
        return cls(view, request.method not in ("GET", "HEAD", "OPTIONS"), user, client_address(request))

    @property
    def who(self) -> str:
        return f"address:{network_of(self.address)}" if self.user is None else f"user:{self.user}"

    @property
    def passes(self) -> bool:
        return self.user is not None and self.view in PASSING


class LimitsMiddleware:
    """Counts requests by address, user, tenant and kind, and answers 429 with the time to try again."""

    def __init__(self, get_response: Next) -> None:
        self._next = get_response
        self._often = Chunks()
        self._tenants: dict[int, int] = {}
        self._shut: dict[str, float] = {}

    def __call__(self, request: Any) -> HttpResponse:
        if not settings.RATE_LIMITED or request.path.startswith(UNCOUNTED):
            return self._next(request)
        if request.path.startswith(API) and "Authorization" in request.headers:
            return self._by_key(request)
        asked = Asked.of(request)
        if asked.passes:
            return self._next(request)
        try:
            verdicts = self._verdicts(request, asked)
            until = incidents.banned(asked.address, utc_now()) if _knocks(asked) else None
        except DatabaseError as error:
            # Whoever cannot be counted is let through: the limits guard the service, they are not what makes it safe.
            log.warning("requests_not_counted", error=str(error).strip())
            verdicts, until = [], None
        refused = next((verdict for verdict in verdicts if not verdict.allowed), None)
        if refused is not None:
            return _refused(request, asked, refused)
        if until is not None:
            left = max(1, int((until - utc_now()).total_seconds()))
            return too_often(request, left, {"Retry-After": str(left)})
        response = self._next(request)
        if asked.user is not None and getattr(request, "tenant", None) is not None:
            self._remember(asked.user, request.tenant.pk)
        if verdicts:
            tightest = min(verdicts, key=lambda verdict: verdict.remaining / verdict.limit.amount)
            for name, value in tightest.headers().items():
                response.headers.setdefault(name, value)
        return response

    def _by_key(self, request: HttpRequest) -> HttpResponse:
        """A program with a key, whose own hour is counted where the key is read (CON-122) and told in the answer. What no key was let in
        for counts for the address; good keys come through whatever others from there have sent."""
        network = network_of(client_address(request))
        left = self._shut.get(network, 0.0) - monotonic()
        if left > 0 and Asked.of(request).view in NOTHING:
            return _shut_out(request, left)
        response = self._next(request)
        if "RateLimit-Limit" in response.headers:
            return response
        if left > 0:
            return _shut_out(request, left)
        try:
            verdict = take("anonymous", f"keys:{network}")
        except DatabaseError as error:
            log.warning("requests_not_counted", error=str(error).strip())
            return response
        if not verdict.allowed:
            self._shut = {one: until for one, until in self._shut.items() if until > monotonic()}
            self._shut[network] = monotonic() + verdict.reset
        return response

    def _verdicts(self, request: HttpRequest, asked: Asked) -> list[Verdict]:
        """The verdicts on a request: of everybody's tier, and of the kind's own."""
        found = [self._often.take("anonymous" if asked.user is None else "user", asked.who)]
        # The workspace is known once the first request of a person was answered.
        if asked.user is not None and (tenant := self._tenants.get(asked.user)) is not None:
            found.append(self._often.take("tenant", f"tenant:{tenant}"))
        if _knocks(asked):
            wanted = str(request.POST.get("login") or request.POST.get("email") or asked.view).strip().lower()[:60]
            found.append(take("authentication", f"{asked.who}:{wanted}"))
        elif asked.writes and asked.view in ENTRIES:
            found.append(take("trading", asked.who))
        elif asked.view in MARKETPLACE:
            found.append(self._often.take("marketplace", asked.who))
        elif asked.view.endswith("_export"):
            found.append(take("export", asked.who))
        return found

    def _remember(self, user: int, tenant: int) -> None:
        if len(self._tenants) > 10_000:
            self._tenants.clear()
        self._tenants[user] = tenant


def _shut_out(request: HttpRequest, left: float) -> HttpResponse:
    return too_often(request, int(left) + 1, {"Retry-After": str(int(left) + 1)})


def _knocks(asked: Asked) -> bool:
    return asked.writes and asked.view in AT_THE_DOOR


def _refused(request: HttpRequest, asked: Asked, verdict: Verdict) -> HttpResponse:
    if verdict.first:
        with transaction.atomic():
            user: Any = request.user if asked.user is not None else None
            incidents.note(user, "RATE_LIMIT_EXCEEDED", "BLOCKED", Visitor.of(request), utc_now(), reason=verdict.tier)
            record(
                "limit.exceeded",
                tenant_id=None,
                user_id=asked.user,
                result="refused",
                details={"tier": verdict.tier, "view": asked.view, "limit": verdict.headers()["RateLimit-Policy"]},
            )
    return too_often(request, verdict.reset, verdict.headers())


def too_often(request: HttpRequest, seconds: int, headers: dict[str, str]) -> HttpResponse:
    """The answer 429: a page that says when to try again, or a problem document (RFC 9457) for programs."""
    response: HttpResponse
    if request.path.startswith(API) or "application/json" in request.headers.get("Accept", ""):
        told = {"type": "about:blank", "title": "Too many requests", "status": 429, "retry_after": seconds}
        response = JsonResponse(told, status=429, content_type="application/problem+json")
    else:
        again: datetime = datetime.fromtimestamp(utc_now().timestamp() + seconds, UTC)
        context = {"again": again, "minutes": -(-seconds // 60), "signed_in": request.user.is_authenticated}
        response = render(request, "429.html", context, status=429)
    for name, value in headers.items():
        response.headers[name] = value
    return response


def held_back(request: HttpRequest) -> HttpResponse:
    """What somebody is told whose entries an open incident holds back."""
    return render(request, "security/held.html", status=403)


def _form_of(request: HttpRequest) -> str:
    """The address of the page on which the form of this request stands."""
    found = resolve(request.path_info)
    page = STANDS_ON.get(found.view_name)
    return request.path if page is None else reverse(page, args=found.args, kwargs=found.kwargs)


class HoldsMiddleware:
    """Holds back new entries while an incident of the person is open, records what was refused, and hands out the device's name."""

    def __init__(self, get_response: Next) -> None:
        self._next = get_response

    def __call__(self, request: Any) -> HttpResponse:
        held = self._held(request)
        response = held if held is not None else self._next(request)
        put_name(request, response)
        return response

    def _held(self, request: Any) -> HttpResponse | None:
        if request.method != "POST" or not request.user.is_authenticated:
            return None
        view = Asked.of(request).view
        if view not in ENTRIES or (view == "newer_version" and request.POST.get("answer") != "move"):
            return None
        response = incidents.held(request.user)
        if response == Response.ENTRIES_HELD:
            return held_back(request)
        if response == Response.STEP_UP and not stepped_up(request):
            words = "A log-in of yours was unusual, so this wants your password first. Nothing was done yet: press it once more."
            return ask_password(request, _form_of(request), words)
        return None

    def process_exception(self, request: Any, exception: Exception) -> None:
        """Record a refusal (ACC-13); the page that says so comes from Django."""
        if not isinstance(exception, PermissionDenied):
            return
        user = request.user if request.user.is_authenticated else None
        tenant = getattr(request, "tenant", None)
        view = Asked.of(request).view
        incidents.note(user, "UNAUTHORIZED_ACCESS_ATTEMPT", "BLOCKED", Visitor.of(request), utc_now(), reason=view)
        if getattr(request, "refusal_recorded", False):
            return
        record(
            "access.refused",
            tenant_id=None if tenant is None else tenant.pk,
            user_id=None if user is None else user.pk,
            target=view,
            result="refused",
            details={"method": request.method, "path": request.path[:200]},
        )
