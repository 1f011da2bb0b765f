"""The pages of authors and reviewers. What is not yours is not there; a source is its author's, the reviewers', and of whom it is
shared with."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from signalist.clock import utc_now
from signalist.strategies import actions, authored, suspending
from signalist.strategies.actions import Refused
from signalist.strategies.forms import StrategyForm, VersionForm
from signalist.strategies.models import Strategy, StrategyVersion
from tenants.access import MemberRequest, allowed, member, needs, require
from tenants.models import Membership, User
from tenants.staff.powers import powers_of, to_the_powers
from tenants.step_up import ask_password, stepped_up
from tenants.workspaces.sharing import sharing_of

may_write = needs("strategies.publish")
SECTION = {"section": "authoring"}
BEGINNING = '''"""What it does, in a sentence."""

from signalist_strategy import Candles, Parameter, Parameters, Signals, indicators

parameters = {
    "period": Parameter(int, 20, min=2, max=200, help="Bars of the average."),
}


def history(parameters: Parameters) -> int:
    return parameters.period + 1


def signals(candles: Candles, parameters: Parameters) -> Signals:
    average = indicators.sma(candles.close, parameters.period)
    return Signals(
        enter_long=indicators.crossed_above(candles.close, average),
        exit_long=indicators.crossed_below(candles.close, average),
        stop_long=candles.close * 0.98,
    )
'''


@require_safe
@member
def strategies(request: MemberRequest) -> HttpResponse:
    """What the author has written, and what others share with them; for staff with its powers also what waits for a review."""
    shared = authored.shared_with(request.membership)
    if not shared:
        require(request, "strategies.publish")
    reviews = powers_of(request) is not None
    waiting = authored.in_review() if reviews else []
    context = {**SECTION, "written": authored.written_by(request.user), "waiting": waiting, "reviews": reviews}
    context |= {"shared": shared, "may_write": allowed(request, "strategies.publish")}
    return render(request, "strategies/authored.html", context)


@require_http_methods(["GET", "POST"])
@may_write
def create(request: MemberRequest) -> HttpResponse:
    """A new strategy's name; its first version is written next."""
    form = StrategyForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        chosen = form.cleaned_data
        try:
            made = actions.create(request.user, chosen["name"], chosen["slug"], chosen["description"])
            return redirect("write_version", made.slug)
        except Refused as refused:
            form.add_error(refused.field or None, str(refused))
    return render(request, "strategies/create.html", {**SECTION, "form": form})


@require_safe
@member
def strategy(request: MemberRequest, slug: str) -> HttpResponse:
    """One strategy of the author's, or one that is shared, with all its versions; its author shares it here."""
    own = _own(request, slug, "strategies.read")
    is_author = own.author_id == request.user.pk
    context = {**SECTION, "own": own, "versions": authored.versions_of(own), "is_author": is_author}
    context["may_write"] = is_author or allowed(request, "strategies.write", lambda: own)
    context["sharing"] = sharing_of(request.membership, own)
    return render(request, "strategies/strategy.html", context)


@require_http_methods(["GET", "POST"])
@member
def write(request: MemberRequest, slug: str) -> HttpResponse:
    """The editor: a new version, beginning with the newest."""
    own = _own(request, slug, "strategies.write")
    instruments = authored.instruments_to_run_on()
    if request.method == "POST":
        form = VersionForm(instruments, request.POST, request.FILES)
        if form.is_valid():
            chosen = form.cleaned_data
            try:
                made = actions.draft(own, chosen["source"], form.markets, chosen["changes"], request.user, utc_now())
                return redirect("version", own.slug, made.number)
            except Refused as refused:
                form.refuse(refused)
    else:
        form = VersionForm(instruments, initial=_beginning(own))
    return render(request, "strategies/write.html", {**SECTION, "own": own, "form": form})


def _beginning(own: Strategy) -> dict[str, Any]:
    newest = own.versions.order_by("-number").first()
    if newest is None:
        return {"source": BEGINNING, "timeframe": "1m"}
    frames = [code for _, code in newest.markets] or ["1m"]
    return {"source": newest.source, "instruments": [str(key) for key, _ in newest.markets], "timeframe": frames[0]}


@require_safe
@member
def version(request: MemberRequest, slug: str, number: int) -> HttpResponse:
    """One version, for its author, for reviewers, who have begun their powers, and to be read by whom it is shared with."""
    page = _page(request, slug, number, request.membership)
    is_author = page.version.strategy.author_id == request.user.pk
    reviews = not is_author and request.user.is_staff and powers_of(request) is not None
    if not (is_author or reviews or page.is_shared):
        return to_the_powers(request)
    context = {**SECTION, "page": page, "version": page.version, "is_author": is_author, "may_review": reviews}
    context["note"] = request.GET.get("note", "")
    return render(request, "strategies/version.html", context)


@require_POST
@member
def change(request: MemberRequest, slug: str, number: int, what: str) -> HttpResponse:
    """Hand in, retire or put on again one's own version; publish, send back or retire as a reviewer.

    All but sending back wants a proof of who it is.
    """
    page = _page(request, slug, number)
    note, now, row = request.POST.get("note", ""), utc_now(), page.version
    is_author = row.strategy.author_id == request.user.pk
    if is_author:
        require(request, "strategies.publish")
    elif powers_of(request) is None:
        return to_the_powers(request)
    known: dict[str, tuple[bool, Callable[[], None], str]] = {
        "submit": (is_author, lambda: actions.submit(row, request.user, now), "Handed in: the gate looks at it now."),
        "retire": (
            True,
            lambda: actions.retire(row, request.user, now, note),
            "Retired: nobody is offered it any more.",
        ),
        "resume": (
            True,
            lambda: _resume(row, request.user, request.tenant.pk, now),
            "Put on again: it runs from its next candle on.",
        ),
        "publish": (not is_author, lambda: actions.publish(row, request.user, now, note), "Published."),
        "send-back": (
            not is_author,
            lambda: actions.send_back(row, request.user, now, note),
            "Sent back to its author.",
        ),
    }
    allowed, act, said = known.get(what, (False, lambda: None, ""))
    if not allowed:
        raise Http404("There is nothing like that to do here.")
    if what != "send-back" and not stepped_up(request):
        return _ask(request, slug, number, note)
    try:
        act()
        messages.success(request, said)
    except Refused as refused:
        messages.error(request, str(refused))
    if what == "send-back":
        return redirect("authoring")
    return redirect("version", slug, number)


def _resume(row: StrategyVersion, by: User, tenant_id: int, now: datetime) -> None:
    if not suspending.resume(row, by, tenant_id, now):
        raise Refused("", "It is suspended nowhere.")


def _page(request: MemberRequest, slug: str, number: int, sharing: Membership | None = None) -> authored.VersionPage:
    page = authored.version_page(request.user, slug, number, sharing)
    if page is None:
        raise Http404("There is no such version of yours.")
    return page


def _ask(request: MemberRequest, slug: str, number: int, note: str) -> HttpResponse:
    """To the proof of who it is, and back to the version with what was typed."""
    typed = f"?{urlencode({'note': note[:500]})}" if note else ""
    words = "What becomes of a version that others trade by wants a proof that it is you. Nothing was done yet: press it once more."
    return ask_password(request, reverse("version", args=[slug, number]) + typed, words)


def _own(request: MemberRequest, slug: str, permission: str) -> Strategy:
    own = authored.strategy_for(request.membership, slug, permission)
    if own is None:
        raise Http404("There is no such strategy of yours.")
    if own.author_id == request.user.pk:
        require(request, "strategies.publish")
    return own
