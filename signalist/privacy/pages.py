"""The page on which people get a copy of their data, and end their account. It opens doors of its own: whoever leaves may be in several
workspaces."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe
from django_q.tasks import async_task

from signalist.audit.writing import record
from signalist.clock import utc_now
from signalist.downloads import files
from signalist.downloads.models import Download, Status
from signalist.privacy.erasure import NotNow, ask, pending, take_back
from signalist.privacy.exports import FORMATS, KIND
from signalist.privacy.jobs import AT_MOST, MAKE
from signalist.privacy.models import GRACE
from tenants.access import MemberRequest, member
from tenants.doors import acting_for, viewing
from tenants.step_up import ask_password, stepped_up


@require_safe
@member
def my_data(request: MemberRequest) -> HttpResponse:
    """Copies that were asked for, how far they are, and the way out."""
    return render(request, "privacy/my_data.html", _context(request))


@require_safe
@member
def my_files(request: MemberRequest) -> HttpResponse:
    """The list of copies alone, for the page that watches one being made."""
    return render(request, "privacy/files.html", _context(request))


@require_POST
@member
def export(request: MemberRequest) -> HttpResponse:
    """Ask for a copy; wants the password, and is made in the background."""
    form = request.POST.get("format", "")
    if form not in FORMATS:
        messages.error(request, "The form was not complete, so nothing was done. Try again.")
        return redirect("my_data")
    if not stepped_up(request):
        return ask_password(
            request, reverse("my_data"), "A copy of your data wants your password. Nothing was done yet."
        )
    name = f"signalist-{utc_now():%Y-%m-%d}-{form}.zip"
    try:
        with acting_for(request.tenant.pk):
            made = files.ask(request.tenant.pk, request.user.pk, KIND, form, name)
            _record(request, "export.asked", made, {"format": form})
            async_task(MAKE, made.pk, request.tenant.pk, task_name=f"export {made.public_id}", timeout=AT_MOST)
        messages.success(request, "It is being made. It stays here for a day once it is ready.")
    except files.TooMany as error:
        messages.error(request, str(error))
    return redirect("my_data")


@require_safe
@member
def download(request: MemberRequest, public_id: uuid.UUID) -> HttpResponse:
    """A file, for whoever asked for it and nobody else, while it is kept."""
    with acting_for(request.tenant.pk):
        found = files.fetched(public_id, request.tenant.pk, request.user.pk)
        if found is None:
            raise Http404
        row, parts = found
        _record(request, "export.fetched", row, {})
    headers = {
        "Content-Disposition": f'attachment; filename="{row.name}"',
        "Content-Length": str(row.size),
        "X-Content-Type-Options": "nosniff",
    }
    return HttpResponse(b"".join(parts), content_type="application/zip", headers=headers)


@require_POST
@member
def delete(request: MemberRequest) -> HttpResponse:
    """Ask to be deleted, or take that back."""
    if request.POST.get("action") == "keep":
        if take_back(request.user, utc_now()):
            messages.success(request, "Your account stays.")
        return redirect("my_data")
    if not stepped_up(request):
        return ask_password(
            request, reverse("my_data"), "Deleting your account wants your password. Nothing was done yet."
        )
    try:
        ask(request.user, utc_now())
    except NotNow as obstacle:
        messages.error(request, str(obstacle))
    return redirect("my_data")


def _record(request: MemberRequest, action: str, row: Download, details: dict[str, object]) -> None:
    person = request.user.pk
    record(action, tenant_id=request.tenant.pk, user_id=person, target=str(row.public_id), details=details)


def _context(request: MemberRequest) -> dict[str, object]:
    with viewing(request.tenant.pk):
        rows = files.of_person(request.tenant.pk, request.user.pk)
    is_making = any(row.status in (Status.WAITING, Status.MAKING) for row in rows)
    return {
        "section": "my-data",
        "files": rows,
        "is_making": is_making,
        "formats": FORMATS.items(),
        "deletion": pending(request.user.pk),
        "grace": GRACE.days,
    }
