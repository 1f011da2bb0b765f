"""The page on which a workspace stops and resumes its trading."""

from __future__ import annotations

import uuid
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from signalist.accounts.models import Account, AccountState
from signalist.domain.errors import DomainError
from signalist.domain.login_risk import Response
from signalist.execution.actions import Beside, kill
from signalist.execution.health import present
from signalist.risk.actions import HeldByOperator, NotReleased, Where
from signalist.risk.models import Layer
from signalist.risk.selectors import board
from signalist.security.incidents import held
from signalist.security.middleware import held_back
from signalist.trading.models import Subscription
from signalist.trading.whose import all_accounts, of_switch
from tenants.access import MemberRequest, member, needs
from tenants.permissions import permits, within
from tenants.step_up import ask_password, stepped_up

_SAID = {
    AccountState.ACTIVE.value: "Resumed. The next signal is taken, unless another switch above is thrown.",
    AccountState.REDUCING.value: "REDUCING: no entries from now on; exits, stops and targets go on.",
    AccountState.HALTED.value: "HALTED: nothing is sent from now on but cancels and what protects.",
}

_TYPED = ("what", "reason", "beside")


@require_safe
@member
def stop(request: MemberRequest) -> HttpResponse:
    """What is stopped over this workspace and by whom, with the means to stop and to resume."""
    context = {
        "section": "stop",
        "board": board(request.tenant),
        "may_trade": permits(request.membership, "trading.stop"),
    }
    if not context["may_trade"]:  # what was shared with them alone
        shared = within(request.membership, "trading.stop", all_accounts())
        context["shared"] = {str(public_id) for public_id in shared.values_list("public_id", flat=True)}
    context["typed"] = {name: request.GET.get(name, "") for name in _TYPED}
    return render(request, "risk/stop.html", context)


@require_POST
@needs("trading.stop", of_switch)
def stop_set(request: MemberRequest, layer: str, public_id: uuid.UUID) -> HttpResponse:
    """Set one layer of the workspace's own; `beside` may be `cancel` or `flatten`. Stopping is one click; what makes it less strict, and
    what closes positions, wants the password. Nothing becomes less strict while an incident holds back entries."""
    where = _where(request, layer, public_id)
    state, beside = request.POST.get("state", ""), request.POST.get("beside", "")
    if state not in _SAID:
        messages.error(request, "The form was not complete, so nothing was done. Try again.")
        return redirect("stop")
    more = Beside(beside in ("cancel", "flatten"), beside == "flatten") if state != AccountState.ACTIVE else Beside()
    surely, reason = stepped_up(request), request.POST.get("reason", "")
    release = surely and held(request.user) != Response.ENTRIES_HELD
    if more.close_positions and not surely:
        return _ask_password(request, public_id)
    try:
        swept = kill(where, AccountState(state), reason, present(), by=request.user, beside=more, may_release=release)
        messages.success(request, _SAID[state] + _swept(swept, more))
    except HeldByOperator as refused:
        messages.error(request, str(refused))
    except NotReleased:
        return held_back(request) if surely else _ask_password(request, public_id)
    except DomainError as error:
        messages.error(request, str(error))
    return redirect("stop")


def _ask_password(request: MemberRequest, what: uuid.UUID) -> HttpResponse:
    """To the page that asks for the password, and from there back to the switches with what was typed."""
    typed = {"what": str(what)} | {name: request.POST[name] for name in ("reason", "beside") if request.POST.get(name)}
    words = "Resuming, and closing what is open, want your password. Nothing was done yet: press it once more."
    return ask_password(request, f"{reverse('stop')}?{urlencode(typed)}", words)


def _swept(accounts: int, beside: Beside) -> str:
    """What was set going on so many accounts; nothing where nothing was."""
    if not accounts:
        return ""
    what = "entries are withdrawn and positions closed" if beside.close_positions else "entries are withdrawn"
    return f" On {accounts} account{'s' if accounts > 1 else ''} {what} now."


def _where(request: MemberRequest, layer: str, public_id: uuid.UUID) -> Where:
    """The layer, of this workspace; 404 for anything else."""
    if layer == Layer.TENANT.value.lower() and public_id == request.tenant.public_id:
        return Where.of_tenant(request.tenant)
    if layer == Layer.ACCOUNT.value.lower():
        account = Account.objects.filter(public_id=public_id).first()
        if account is not None:
            return Where.of_account(account)
    if layer == Layer.SUBSCRIPTION.value.lower():
        subscription = Subscription.objects.filter(public_id=public_id).first()
        if subscription is not None:
            return Where.of_subscription(subscription)
    raise Http404("There is no such thing to stop in this workspace.")
