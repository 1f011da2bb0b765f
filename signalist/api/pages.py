"""The page of keys for programs: one's own, and everybody's for administrators. A key's text is in one answer, the one that made it."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from signalist.api.actions import Made, make, revoke, rotate
from signalist.api.forms import KeyForm
from signalist.api.models import ApiKey
from signalist.api.scopes import SCOPES
from signalist.clock import utc_now
from signalist.domain.errors import DomainError
from tenants.access import MemberRequest, member, needs
from tenants.doors import acting_for
from tenants.permissions import permits
from tenants.step_up import ask_password, stepped_up

_STEP_UP = "Keys want your password. Nothing was done yet."


@require_http_methods(["GET", "POST"])
@member
def api_keys(request: MemberRequest) -> HttpResponse:
    """The keys of this person in this workspace, of everybody in it for who oversees them, and a form for another."""
    return _another(request) if request.method == "POST" else _page(request, KeyForm(), None)


@needs("keys.manage")
def _another(request: MemberRequest) -> HttpResponse:
    form = KeyForm(request.POST)
    made: Made | None = None
    if not stepped_up(request):
        return ask_password(request, reverse("api_keys"), _STEP_UP)
    if form.is_valid():
        said = form.cleaned_data
        try:
            with acting_for(request.tenant.pk):
                made = make(
                    request.tenant.pk,
                    request.user,
                    said["name"],
                    said["scopes"],
                    hourly_limit=said["hourly_limit"],
                    lasts=form.lasts,
                )
            form = KeyForm()
        except DomainError as error:
            form.add_error(None, str(error))
    return _page(request, form, made)


@require_POST
@member
def api_key_rotate(request: MemberRequest, public_id: uuid.UUID) -> HttpResponse:
    """Make a successor; the old key goes on for a day."""
    row = _row(request, public_id)
    if not permits(request.membership, "keys.manage"):
        raise PermissionDenied(
            "Your role in this workspace does not include keys for programs any more; you can revoke this one."
        )
    if not stepped_up(request):
        return ask_password(request, reverse("api_keys"), _STEP_UP)
    try:
        with acting_for(request.tenant.pk):
            made = rotate(row, request.user)
    except DomainError as error:
        messages.error(request, str(error))
        return redirect("api_keys")
    return _page(request, KeyForm(), made)


@require_POST
@member
def api_key_revoke(request: MemberRequest, public_id: uuid.UUID) -> HttpResponse:
    """End a key now. That wants no password: whoever suspects something must not be kept from it, whatever their role is by now."""
    with acting_for(request.tenant.pk):
        revoke(_row(request, public_id, also_others=permits(request.membership, "keys.oversee")), request.user)
    messages.success(request, "Revoked: requests with it are refused from now on.")
    return redirect("api_keys")


def _row(request: MemberRequest, public_id: uuid.UUID, *, also_others: bool = False) -> ApiKey:
    row = ApiKey.objects.filter(public_id=public_id).first()
    if row is None or (row.user_id != request.user.pk and not also_others):
        raise Http404
    return row


def _page(request: MemberRequest, form: KeyForm, made: Made | None) -> HttpResponse:
    now = utc_now()
    oversees = permits(request.membership, "keys.oversee")
    rows = ApiKey.objects.order_by("-pk").select_related("user")
    keys = [
        {
            "row": row,
            "good": row.is_good(now),
            "scopes": [SCOPES.get(scope, scope) for scope in row.scopes],
            "is_own": row.user_id == request.user.pk,
        }
        for row in (rows if oversees else rows.filter(user=request.user))
    ]
    context = {
        "section": "api-keys",
        "form": form if permits(request.membership, "keys.manage") else None,
        "keys": keys,
        "made": made,
        "oversees": oversees,
    }
    return render(request, "api/keys.html", context)
