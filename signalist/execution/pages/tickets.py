"""The ticket of an order by hand: what it would be, a page to say yes on, and the order."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from signalist.accounts.models import Account
from signalist.domain.money import ZERO, settle
from signalist.domain.rules import Decision, Denied, EntryRequest
from signalist.execution.forms import TicketForm, first_ticket
from signalist.execution.health import present
from signalist.execution.ticket_preview import Undecided, ticket_decision
from signalist.marketplace.choices import nets
from signalist.marketplace.preview import Preview, shown
from signalist.markets.models import Instrument
from signalist.markets.overview import last_prices
from signalist.trading import tickets
from signalist.trading.approval import approved_for, is_large, large_above
from signalist.trading.labels import Market
from signalist.trading.terms import Refused
from signalist.trading.whose import all_accounts
from tenants.access import MemberRequest, needs_some
from tenants.permissions import within
from tenants.step_up import ask_password, stepped_up

_FIELDS = "account instrument direction type price stop target sizing risk quantity leverage key".split()
_PREVIEW, _TICKET, _CONFIRM = (f"trading/{name}.html" for name in ("parts/ticket_preview", "ticket", "ticket_confirm"))


@require_http_methods(["GET", "POST"])
@needs_some("orders.give", all_accounts)
def ticket(request: MemberRequest) -> HttpResponse:
    """The form with a preview; with `review` the page that asks whether it is meant; with `confirmed` the order, and its page."""
    accounts = list(within(request.membership, "orders.give", all_accounts()))
    instruments = list(_tradable(accounts))
    form = TicketForm(accounts, instruments, _typed(request, accounts, instruments))
    asked, problem = _asked(form)
    if request.method == "POST" and "confirmed" in request.POST:
        answer = _confirmed(request, form, asked)
        if answer is not None:
            return answer
    elif request.method == "POST" and "review" in request.POST and asked is not None:
        context = _context(form, asked, problem) | _step_up(form.ticket(), asked)
        return render(request, _CONFIRM, context | {"section": "orders", "ticket": form.ticket()})
    only_preview = bool(request.htmx) and request.method == "POST" and "preview" in request.POST
    context = _context(form, asked, problem) | {"section": "orders", "accounts": accounts, "alone": only_preview}
    context["currency"] = instruments[0].quote if len({row.quote for row in instruments}) == 1 else ""
    return render(request, _PREVIEW if only_preview else _TICKET, context)


def _tradable(accounts: list[Account]) -> Any:
    venues, currencies = {row.venue for row in accounts}, {row.currency for row in accounts}
    found = Instrument.objects.filter(venue__in=venues, quote__in=currencies, is_active=True)
    return found.order_by("symbol", "pk")


def _typed(request: HttpRequest, accounts: list[Account], instruments: list[Instrument]) -> Any:
    """What was typed; what came back from the page that asks for the password; at first, what the form begins with."""
    if request.method == "POST":
        return request.POST
    given = {name: request.GET[name] for name in _FIELDS if name in request.GET}
    return first_ticket(accounts, instruments) | given if given else None


Asked = tuple[EntryRequest, Decision]


def _asked(form: TicketForm) -> tuple[Asked | None, str]:
    """What the rules say to the ticket now, or why there is nothing to say. What is refused at once is said on the form."""
    if not form.is_valid():
        return None, ""
    try:
        tickets.check(form.chosen_account, form.ticket(), nets=nets(form.chosen_account.venue))
        return ticket_decision(form.chosen_account, form.ticket(), present()), ""
    except Refused as refused:
        form.refuse(refused)
        return None, ""
    except Undecided as missing:
        return None, str(missing)


def _context(form: TicketForm, asked: Asked | None, problem: str) -> dict[str, Any]:
    preview: Preview | None = None
    if asked is not None:
        preview = shown(*asked, Market.of(form.ticket().instrument), None)
    context: dict[str, Any] = {"form": form, "preview": preview, "problem": problem}
    if preview is None and (instrument := form.shown_instrument) is not None:  # the price that a stop is chosen by
        context |= {"market": Market.of(instrument), "last": last_prices([instrument.pk], present()).get(instrument.pk)}
    return context


def _confirmed(request: MemberRequest, form: TicketForm, asked: Asked | None) -> HttpResponse | None:
    """To the command, or to the page that asks for the password; None where nothing is given, with the reason on the form."""
    if not form.is_valid():
        return None
    account, wanted, key = form.chosen_account, form.ticket(), f"order:{form.cleaned_data['key']}"
    try:
        given = tickets.given(account, wanted, key)
        if given is None:
            if asked is None:
                return None
            if isinstance(asked[1], Denied):
                messages.error(request, "The rules deny this order now, so it was not given. Change it.")
                return None
            worth, above = _worth(asked), large_above(wanted.instrument.quote, present())
            if is_large(worth, above) and not stepped_up(request):
                return _ask_password(request)
            bound, netting = approved_for(worth, above), nets(account.venue)
            given = tickets.give(account, wanted, key, present(), request.user, nets=netting, approved=bound)
    except Refused as refused:
        form.refuse(refused)
        return None
    messages.success(request, "The order is given. What became of it stands below.")
    return redirect("command", given.public_id)


# --- Large orders --------------------------------------------------------------------------------


def _worth(asked: Asked) -> Decimal:
    """What is asked for is worth, before any limit makes it smaller; zero where it is denied before it is sized."""
    request, decision = asked
    wanted = decision.numbers.get("asked", request.quantity)
    return ZERO if wanted is None else settle(request.price * Decimal(wanted))


def _step_up(ticket: tickets.Ticket, asked: Asked) -> dict[str, Any]:
    """Whether it wants the password, and why; `rated` is whether a rate tells what it is worth in the currency of the threshold."""
    above = large_above(ticket.instrument.quote, present())
    return {
        "large": is_large(_worth(asked), above),
        "rated": above is not None,
        "step_up": settings.STEP_UP_NOTIONAL,
        "step_up_currency": settings.STEP_UP_CURRENCY,
    }


def _ask_password(request: HttpRequest) -> HttpResponse:
    """To the page that asks for the password, and from there back to the ticket as it was filled in."""
    typed = {name: request.POST[name] for name in _FIELDS if request.POST.get(name)}
    words = "An order of this size wants your password. Nothing was ordered yet: review it once more."
    return ask_password(request, f"{reverse('ticket')}?{urlencode(typed)}", words)
