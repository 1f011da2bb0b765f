"""The page on which a workspace stops and resumes its trading."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from signalist.accounts.models import Account, AccountState
from signalist.domain.errors import DomainError
from signalist.execution.actions import Beside, kill
from signalist.execution.health import present
from signalist.risk.actions import Where
from signalist.risk.models import Layer
from signalist.risk.selectors import board
from signalist.trading.models import Subscription
from tenants.access import TRADING_ROLES, MemberRequest, may_trade, member

_SAID = {
    AccountState.ACTIVE.value: "Resumed. The next signal is taken.",
    AccountState.REDUCING.value: "REDUCING: no entries from now on; exits, stops and targets go on.",
    AccountState.HALTED.value: "HALTED: nothing is sent from now on but cancels and what protects.",
}


@require_safe
@member
def stop(request: MemberRequest) -> HttpResponse:
    """What is stopped over this workspace and by whom, with the means to stop and to resume."""
    context = {"section": "stop", "board": board(request.tenant), "may_trade": request.membership.role in TRADING_ROLES}
    return render(request, "risk/stop.html", context)


@require_POST
@may_trade
def stop_set(request: MemberRequest, layer: str, public_id: uuid.UUID) -> HttpResponse:
    """Set one layer of the workspace's own; `beside` may be `cancel` or `flatten`."""
    where = _where(request, layer, public_id)
    state, beside = request.POST.get("state", ""), request.POST.get("beside", "")
    if state not in _SAID:
        messages.error(request, "The form was not complete, so nothing was done. Try again.")
        return redirect("stop")
    more = Beside(beside in ("cancel", "flatten"), beside == "flatten") if state != AccountState.ACTIVE else Beside()
    try:
        swept = kill(
            where, AccountState(state), request.POST.get("reason", ""), present(), by=request.user, beside=more
        )
        messages.success(request, _SAID[state] + _swept(swept, more))
    except DomainError as error:
        messages.error(request, str(error))
    return redirect("stop")


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
