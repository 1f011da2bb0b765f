"""A workspace's subscriptions: the list, each with how it does, and what may be changed about it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from decimal import Decimal
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from signalist.display.charts import chart
from signalist.display.listing import page_of
from signalist.display.numbers import money
from signalist.execution.health import present
from signalist.marketplace import following
from signalist.marketplace.actions import end
from signalist.marketplace.bars import day_bars
from signalist.marketplace.forms import TermsForm, terms_as_typed
from signalist.marketplace.preview import NoPreview, Preview, preview
from signalist.risk.outages import outages
from signalist.risk.restraints import restraints
from signalist.trading import actions, moving
from signalist.trading.decisions import decisions_about
from signalist.trading.models import Subscription, SubscriptionStatus
from signalist.trading.open_differences import open_differences
from signalist.trading.terms import Refused, apply, check_terms, terms_of
from signalist.trading.whose import of_subscription
from tenants.access import MemberRequest, allowed, member, needs
from tenants.step_up import ask_password, stepped_up


@require_safe
@member
def subscriptions(request: MemberRequest) -> HttpResponse:
    """Those that go on, or with `?ended` those that have ended."""
    ended = "ended" in request.GET
    now, counts = present(), following.counts()
    rows = following.subscriptions(ended=ended)
    page = page_of(rows, lambda found: following.followed(found, now), request.GET.get("page"))
    context = {"section": "subscriptions", "page": page, "ended": ended, "counts": counts, "now": now}
    context["only_paper"] = all(row.is_paper for row in page.object_list)
    return render(request, "marketplace/subscriptions.html", context)


@require_safe
@member
def subscription(request: MemberRequest, public_id: uuid.UUID) -> HttpResponse:
    """One subscription."""
    row, now = _own(public_id), present()
    (followed,) = following.followed([row], now)
    ledger = following.ledger(row)
    newer = moving.newer(row)
    said = f"Net result after fees, trade by trade, now {money(ledger.net)} {followed.currency}"
    css = "hypo" if followed.is_paper else ""
    context = {
        "section": "subscriptions",
        "sub": followed,
        "restraint": restraints([row.tenant_id]).strictest(row.account, row.strategy_id, row.pk),
        "differences": open_differences(row.account, row.instrument.symbol),
        "account": row.account,
        "ledger": ledger,
        "curve": chart(said, [(ledger.curve, css)], lambda value: money(Decimal(repr(value)))),
        "bars": day_bars([(day.day, day.net) for day in followed.days]),
        "decisions": decisions_about(row.pk),
        "outages": outages(row.pk),
        "may_trade": allowed(request, "subscriptions.change", lambda: row.account),
        "newer": newer,
        "asks": moving.asks(row, newer),
        "now": now,
    }
    return render(request, "marketplace/subscription.html", context)


def _own(public_id: uuid.UUID) -> Subscription:
    row = following.subscription_row(public_id)
    if row is None:
        raise Http404("There is no such subscription in this workspace.")
    return row


# --- Changes -------------------------------------------------------------------------------------


@require_POST
@needs("subscriptions.change", of_subscription)
def pause(request: MemberRequest, public_id: uuid.UUID) -> HttpResponse:
    """Take no more entries."""
    return _changed(request, public_id, actions.pause, "Paused: no entries. Exits and protection go on.")


@require_POST
@needs("subscriptions.change", of_subscription)
def resume(request: MemberRequest, public_id: uuid.UUID) -> HttpResponse:
    """Take entries again."""
    return _changed(request, public_id, actions.resume, "Resumed: entries are taken again.")


def _changed(request: MemberRequest, public_id: uuid.UUID, change: Callable[..., None], said: str) -> HttpResponse:
    row = _own(public_id)
    try:
        change(row, present(), request.user)
        messages.success(request, said)
    except Refused as refused:
        messages.error(request, str(refused))
    return redirect("subscription", public_id)


@require_POST
@needs("subscriptions.change", of_subscription)
def cancel(request: MemberRequest, public_id: uuid.UUID) -> HttpResponse:
    """End it; `close` says what happens to what it holds: `now` closes it at market, anything else leaves its exits and protection."""
    row = _own(public_id)
    try:
        closing = end(row, present(), request.user, close_now=request.POST.get("close") == "now")
        messages.success(request, f"Cancelled.{' What it held is being closed at market.' if closing else ''}")
    except Refused as refused:
        messages.error(request, str(refused))
    return redirect("subscription", public_id)


@require_http_methods(["GET", "POST"])
@needs("subscriptions.change", of_subscription)
def terms(request: MemberRequest, public_id: uuid.UUID) -> HttpResponse:
    """Change size and limits, with the same preview as when subscribing."""
    row = _own(public_id)
    if row.status == SubscriptionStatus.ENDED:
        messages.error(request, "The subscription has ended; its terms cannot change any more.")
        return redirect("subscription", public_id)
    trying = request.method == "GET" or "preview" in request.POST
    form = TermsForm(request.POST or (request.GET if "kept" in request.GET else terms_as_typed(terms_of(row))))
    if form.is_valid() and not trying:
        try:
            if not stepped_up(request):
                check_terms(form.terms(), row.instrument)
                return _ask(request, form)
            actions.change_terms(row, form.terms(), present(), request.user)
            messages.success(request, "Changed. It holds from the next entry on.")
            return redirect("subscription", public_id)
        except Refused as refused:
            form.refuse(refused)
    shown, problem = _previewed(row, form)
    only_preview = bool(request.htmx) and trying
    context = {"section": "subscriptions", "sub": row, "form": form, "preview": shown, "problem": problem}
    context |= {"currency": row.account.currency, "alone": only_preview}
    return render(request, "marketplace/parts/preview.html" if only_preview else "marketplace/terms.html", context)


def _ask(request: MemberRequest, form: TermsForm) -> HttpResponse:
    """To the proof of who it is, and back to the form as it was typed."""
    typed = {name: value for name, value in request.POST.items() if name in form.fields} | {"kept": "1"}
    words = "Changing what may be risked wants a proof that it is you. Nothing was done yet: save it once more."
    return ask_password(request, f"{request.path}?{urlencode(typed)}", words)


def _previewed(row: Subscription, form: TermsForm) -> tuple[Preview | None, str]:
    """The preview of the terms on the form, or why there is none."""
    if not form.is_valid():
        return None, ""
    try:
        check_terms(form.terms(), row.instrument)
        apply(row, form.terms())
        return preview(row, present()), ""
    except Refused as refused:
        form.refuse(refused)
        return None, ""
    except NoPreview as missing:
        return None, str(missing)
