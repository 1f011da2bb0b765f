"""The question whether a subscription moves to a newer version, with what differs."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from signalist.execution.health import present
from signalist.marketplace import following
from signalist.trading import moving
from signalist.trading.terms import Refused
from signalist.trading.whose import of_subscription
from tenants.access import MemberRequest, needs
from tenants.step_up import ask_password, stepped_up


@require_http_methods(["GET", "POST"])
@needs("subscriptions.change", of_subscription)
def newer_version(request: MemberRequest, public_id: uuid.UUID) -> HttpResponse:
    """What differs; `answer` is `move`, which wants a proof of who it is, or `stay`, about the `number` that was shown."""
    row = following.subscription_row(public_id)
    if row is None:
        raise Http404("There is no such subscription in this workspace.")
    if request.method == "POST":
        number = request.POST.get("number", "")
        act = {"move": moving.move, "stay": moving.stay}.get(request.POST.get("answer", ""))
        if act is None or not number.isdecimal():
            raise Http404("There is no such answer.")
        if act is moving.move and not stepped_up(request):
            words = "Trading by another version wants a proof that it is you. Nothing was done yet: press it once more."
            return ask_password(request, request.path, words)
        try:
            act(row, int(number[:9]), present(), request.user)
            moved = act is moving.move
            messages.success(request, f"Version {number} is followed now." if moved else "It stays with its version.")
            return redirect("subscription", public_id)
        except Refused as refused:
            messages.error(request, str(refused))
    found = moving.newer(row)
    if found is None:
        messages.info(request, "It follows the newest version.")
        return redirect("subscription", public_id)
    return render(request, "marketplace/newer_version.html", {"section": "subscriptions", "sub": row, "found": found})
