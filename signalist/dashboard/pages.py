"""The landing page, the dashboard, and whether the web process is well."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from signalist.dashboard import equity, installation, readiness, selectors
from signalist.dashboard.equity_chart import drawn
from signalist.dashboard.example import example
from signalist.dashboard.selectors import Standing
from signalist.execution.health import engine_health, health, present
from signalist.risk.restraints import restraints
from signalist.trading.alarms import alarms
from signalist.trading.decisions import recent_decisions
from signalist.trading.models import Subscription
from signalist.trading.open_differences import open_differences
from signalist.trading.whose import all_accounts
from tenants.access import MemberRequest, member
from tenants.permissions import permits_some

REGIONS = ("key-figures", "today", "position-rows", "decision-feed", "engine-status", "kill-state")


@require_safe
def landing(request: HttpRequest) -> HttpResponse:
    """What the product does, for everybody."""
    context = {"installation": installation.figures(present()), "example": example()}
    return render(request, "dashboard/landing.html", context)


@require_safe
@member
def dashboard(request: MemberRequest) -> HttpResponse:
    """Where the tenant stands now."""
    engine = engine_health()
    now = present(engine)
    found = selectors.standing(request.tenant.base_currency, now)
    context = {
        "section": "dashboard",
        "regions": REGIONS,
        "now": now,
        "may_trade": permits_some(request.membership, "orders.give", all_accounts()),
        "is_newcomer": not found.held.following and not Subscription.objects.exists(),
        "figures": selectors.key_figures(found),
        "today": selectors.today(found),
        "engine": engine,
        "kill": selectors.kill_state(found.books),
        "over_all": restraints([request.tenant.pk]).over_all,
        "differences": open_differences(),
        "alarms": alarms(request.tenant.pk, now),
        "book": found.held,
        "decisions": recent_decisions(),
        "health": health(now, engine),
        **_equity(request, found, now),
    }
    return render(request, "dashboard/dashboard.html", context)


@require_safe
def state_of_health(request: HttpRequest) -> HttpResponse:
    """For machines that ask whether this web process can serve pages: 200, or 503 with the name of what keeps it from it."""
    trouble = readiness.trouble()
    if trouble is None:
        return JsonResponse({"status": "ok"})
    return JsonResponse({"status": "unavailable", "reason": trouble}, status=503)


def _equity(request: HttpRequest, found: Standing, now: datetime) -> dict[str, Any]:
    """The line of the period that was asked for, as charts or as a table."""
    period = request.GET.get("period", "")
    period = period if period in equity.PERIODS else "1d"
    length = equity.PERIODS[period][1]
    rates = found.line_rates
    points = equity.whole_line(rates, now) if length is None else equity.line(rates, now - length)
    return {
        "period": period,
        "periods": [(key, word) for key, (word, _) in equity.PERIODS.items()],
        "as_table": request.GET.get("show") == "table",
        "equity": drawn(points, found.currency, equity.PERIODS[period][0]),
        "left_out": len(found.books.main.accounts) - len(found.line_rates),
    }
