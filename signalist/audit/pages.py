"""The audit log for the members of a workspace: administrators see everybody's lines, others their own."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.core.paginator import Page
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from signalist.audit.models import Entry
from signalist.audit.selectors import AREAS, RESULTS, Line, entries, lines
from signalist.audit.writing import record
from signalist.clock import utc_now
from signalist.display.listing import Choice, page_of
from tenants.access import MemberRequest, member
from tenants.models import Membership, User
from tenants.permissions import permits

MOST = 10_000
_PERIODS = (("7", "7 days"), ("1", "24 hours"), ("30", "30 days"), ("365", "A year"), ("", "All time"))
_HEADS = "number at who action target result address program session correlation_id details".split()


@require_safe
@member
def audit(request: MemberRequest) -> HttpResponse:
    """What was done and refused in this workspace."""
    choices = _choices(request)
    rows = _rows(request, choices)[:MOST]  # a page costs no more the longer the log is
    page: Page[Any] = page_of(rows, shown, request.GET.get("page"), count=rows.count())
    context = {"section": "audit", "page": page, "choices": choices, "sees_all": _sees_all(request), "most": MOST}
    return render(request, "audit/audit.html", context)


@require_safe
@member
def audit_export(request: MemberRequest) -> HttpResponse:
    """The same lines as a CSV file, the newest ten thousand; that it was taken out is a line itself."""
    rows = list(_rows(request, _choices(request))[:MOST])
    answer = csv_of(shown(rows), "audit-log.csv")
    record(
        "audit.exported",
        tenant_id=request.tenant.pk,
        user_id=request.user.pk,
        details={"lines": len(rows), "filter": request.GET.urlencode()},
    )
    return answer


def csv_of(found: Sequence[tuple[Line, str]], name: str) -> HttpResponse:
    """Lines and who they are about as a file; what a spreadsheet would take for a formula begins with an apostrophe."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(_HEADS)
    for line, who in found:
        cells = [
            line.number, line.at.isoformat(), who, line.action, line.target, line.result, line.address, line.agent,
            line.session, line.correlation_id, line.facts,
        ]  # fmt: skip
        writer.writerow([_safe(cell) for cell in cells])
    answer = HttpResponse(text.getvalue(), content_type="text/csv; charset=utf-8")
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def _safe(cell: object) -> str:
    text = "" if cell is None else str(cell)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _sees_all(request: MemberRequest) -> bool:
    return permits(request.membership, "audit.view")


def _rows(request: MemberRequest, choices: Sequence[Choice]) -> Any:
    chosen: Mapping[str, str] = {choice.name: choice.value for choice in choices}
    since = utc_now() - timedelta(days=int(chosen["period"])) if chosen["period"] else None
    person = int(chosen["person"]) if chosen.get("person") else None
    return entries(chosen["area"], chosen["result"], person if _sees_all(request) else request.user.pk, since)


def _choices(request: MemberRequest) -> list[Choice]:
    query = request.GET
    found = [
        Choice.of(query, "area", "About", list(AREAS.items())),
        Choice.of(query, "result", "Result", list(RESULTS.items())),
        Choice.of(query, "period", "Within", _PERIODS, default="7"),
    ]
    if _sees_all(request):
        members = Membership.objects.select_related("user").order_by("user__email")
        people = [(str(m.user_id), m.user.full_name or m.user.email) for m in members]
        found.append(Choice.of(query, "person", "Who", [("", "Everybody"), *people]))
    return found


def shown(rows: list[Entry]) -> list[tuple[Line, str]]:
    """Lines with who they are about, in words."""
    found = lines(rows)
    people = User.objects.in_bulk({line.user_id for line in found if line.user_id is not None})
    return [(line, _who(line, people)) for line in found]


def _who(line: Line, people: Mapping[int, User]) -> str:
    if line.erased:
        return "an erased person"
    if line.user_id is None:
        return "the house"
    user = people.get(line.user_id)
    return "a person who is gone" if user is None else user.full_name or user.email
