"""What was commanded, by whom, and what came of it."""

from __future__ import annotations

import uuid

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from signalist.display.listing import page_of
from signalist.trading import command_records
from tenants.access import MemberRequest, member


@require_safe
@member
def commands(request: MemberRequest) -> HttpResponse:
    """All commands, newest first."""
    page = page_of(command_records.rows(), command_records.lines, request.GET.get("page"))
    return render(request, "trading/commands.html", {"section": "commands", "page": page})


@require_safe
@member
def command(request: MemberRequest, public_id: uuid.UUID) -> HttpResponse:
    """One command: what was decided on it, the orders that it made or changed; it looks again by itself until all is done."""
    record = command_records.command_record(public_id)
    if record is None:
        raise Http404("There is no such command in this workspace.")
    return render(request, "trading/command.html", {"section": "commands", "record": record})
