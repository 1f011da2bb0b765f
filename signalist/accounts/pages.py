"""Pages of the keys that accounts trade with. They open doors of their own: a venue is asked with no transaction open."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from signalist.accounts.connectors import Connector, connectors
from signalist.accounts.forms import ConnectForm, NameForm, ReasonForm, SecretsForm
from signalist.accounts.probe import NotAccepted, Probed, probe
from signalist.accounts.selectors import key, keys
from signalist.clock import utc_now
from signalist.domain.errors import DomainError
from signalist.risk.connections import connect, orders_of, replace, revoke
from tenants.access import MemberRequest, needs
from tenants.credentials import NameTaken, rename
from tenants.doors import acting_for, viewing
from tenants.models import Credential
from tenants.permissions import permits
from tenants.security.taking_over import CONFIRM_FIRST, is_confirmed
from tenants.step_up import ask_password, stepped_up

_STEP_UP = "Keys of venues want your password. Nothing was done yet: enter the key again."
_SECTION = {"section": "connections"}


@require_safe
@needs("credentials.view")
def connections(request: MemberRequest) -> HttpResponse:
    """The keys of this workspace, what each may do, and whether its venue accepts it."""
    ended = "revoked" in request.GET
    with viewing(request.tenant.pk):
        found = keys(utc_now(), revoked=ended)
    context = _SECTION | {"keys": found, "ended": ended, "venues": list(connectors().values())}
    return render(request, "accounts/connections.html", context | {"may_change": _may_change(request)})


@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
@needs("credentials.change")
def connection_new(request: MemberRequest, venue: str) -> HttpResponse:
    """Connect an account: the venue is asked before anything is stored; `try` asks and stores nothing."""
    connector = connectors().get(venue)
    if connector is None:
        raise Http404
    if not stepped_up(request):
        return ask_password(request, reverse("connection_new", args=[venue]), _STEP_UP)
    form = ConnectForm(connector, request.POST or None)
    probed: Probed | None = None
    if request.method == "POST" and form.is_valid():
        confirmed = is_confirmed(request.user)
        probed = _asked(request, connector, form) if confirmed else None
        if not confirmed:
            form.add_error(None, CONFIRM_FIRST)
        elif probed is not None and request.POST.get("action") != "try":
            try:
                with acting_for(request.tenant.pk):
                    made, account = connect(
                        request.tenant.pk, venue, form.cleaned_data["label"], form.secrets, probed, request.user
                    )
                messages.success(request, f"{account.name} is connected. {_what_follows(connector)}")
                return redirect("connection", made.public_id)
            except (NameTaken, DomainError) as error:
                form.add_error(None, str(error))
    may = sorted(probed.rights.rights) if probed is not None and probed.rights is not None else []
    context = _SECTION | {"form": form, "connector": connector, "probed": probed, "may": may}
    context["egress"] = "" if settings.EGRESS == "here" else settings.EGRESS
    return render(request, "accounts/connection_new.html", context)


def _what_follows(connector: Connector) -> str:
    if connector.is_play_money:
        return "The engine takes it over within seconds."
    return "Engines of this version serve play money only: nothing is read or traded there until one that serves real money is installed."


@require_safe
@needs("credentials.view")
def connection(request: MemberRequest, public_id: uuid.UUID) -> HttpResponse:
    """One key: what it may do, who trades with it, and the means to rename, replace and revoke it."""
    return _page(request, public_id)


@require_POST
@needs("credentials.change")
def connection_rename(request: MemberRequest, public_id: uuid.UUID) -> HttpResponse:
    """Give a key another name."""
    form = NameForm(request.POST)
    if not form.is_valid():
        return _page(request, public_id, rename=form)
    with acting_for(request.tenant.pk):
        row = _row(public_id)
        try:
            rename(row, form.cleaned_data["label"], request.user)
        except NameTaken as error:
            form.add_error("label", str(error))
    return _page(request, public_id, rename=form) if form.errors else redirect("connection", public_id)


@sensitive_post_parameters()
@require_POST
@needs("credentials.change")
def connection_replace(request: MemberRequest, public_id: uuid.UUID) -> HttpResponse:
    """Put another key in its place, once the venue has accepted it; engines take it within a second."""
    with viewing(request.tenant.pk):
        row = _row(public_id)
    connector = connectors().get(row.venue)
    if connector is None or row.revoked_at is not None:
        raise Http404
    if not stepped_up(request):
        return ask_password(request, reverse("connection", args=[public_id]), _STEP_UP)
    form = SecretsForm(connector, request.POST)
    if form.is_valid() and (probed := _asked(request, connector, form)) is not None:
        try:
            with acting_for(request.tenant.pk):
                replace(row, form.secrets, probed, request.user)
            messages.success(request, "Replaced. Delete the old key at the venue now.")
            return redirect("connection", public_id)
        except DomainError as error:
            form.add_error(None, str(error))
    return _page(request, public_id, replace=form)


@require_POST
@needs("credentials.change")
def connection_revoke(request: MemberRequest, public_id: uuid.UUID) -> HttpResponse:
    """Forget a key for good. Its accounts take no entries from then on."""
    form = ReasonForm(request.POST)
    if not form.is_valid():
        return _page(request, public_id, revoke=form)
    if not stepped_up(request):
        words = "Revoking a key wants your password. Nothing was done yet: press it once more."
        return ask_password(request, reverse("connection", args=[public_id]), words)
    with acting_for(request.tenant.pk):
        done = revoke(_row(public_id), form.cleaned_data["reason"], request.user)
    if done:
        messages.success(request, "Revoked: its secret is gone from here. Delete the key at the venue, too.")
    return redirect("connection", public_id)


def _asked(request: MemberRequest, connector: Connector, form: SecretsForm) -> Probed | None:
    """What the venue says of the key that was typed; None, and why in the form, where it is not accepted."""
    with viewing(request.tenant.pk):
        orders = {} if connector.names_account else orders_of(connector.code)
    try:
        return probe(connector, form.secrets, orders)
    except NotAccepted as error:
        form.add_error(None, str(error))
        return None


def _row(public_id: uuid.UUID) -> Credential:
    row = Credential.objects.filter(public_id=public_id).first()
    if row is None:
        raise Http404
    return row


def _page(request: MemberRequest, public_id: uuid.UUID, **forms: NameForm | SecretsForm | ReasonForm) -> HttpResponse:
    """The page of a key, with the forms as they were sent where something is wrong with them."""
    with viewing(request.tenant.pk):
        found = key(public_id, utc_now())
    if found is None:
        raise Http404
    connector = connectors().get(found.venue)
    own = {"rename": NameForm(initial={"label": found.label}), "revoke": ReasonForm()}
    if connector is not None:
        own["replace"] = SecretsForm(connector)
    context = _SECTION | {"key": found, "may_change": _may_change(request), "forms": own | forms}
    return render(request, "accounts/connection.html", context)


def _may_change(request: MemberRequest) -> bool:
    return permits(request.membership, "credentials.change")
