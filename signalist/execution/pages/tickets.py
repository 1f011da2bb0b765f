"""The ticket of an order by hand: what it would be, a page to say yes on, and the order."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from allauth.account.decorators import reauthentication_required
from allauth.core.exceptions import ReauthenticationRequired
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from signalist.accounts.models import Account
from signalist.domain.money import settle
from signalist.domain.rules import Decision, EntryRequest
from signalist.execution.forms import TicketForm, first_ticket
from signalist.execution.health import present
from signalist.execution.ticket_preview import Undecided, ticket_decision
from signalist.marketplace.choices import nets
from signalist.marketplace.preview import Preview, shown
from signalist.markets.models import Instrument
from signalist.markets.overview import last_prices
from signalist.trading import tickets
from signalist.trading.actions import Refused
from signalist.trading.labels import Market
from signalist.trading.models import Instruction
from tenants.access import MemberRequest, may_trade

_FIELDS = "account instrument direction type price stop target sizing risk quantity leverage key".split()
_PREVIEW, _TICKET, _CONFIRM = (f"trading/{name}.html" for name in ("parts/ticket_preview", "ticket", "ticket_confirm"))


@require_http_methods(["GET", "POST"])
@may_trade
def ticket(request: MemberRequest) -> HttpResponse:
    """The form with a preview; with `review` the page that asks whether it is meant; with `confirmed` the order, and its page."""
    accounts = list(Account.objects.order_by("name", "pk"))
    instruments = list(_tradable(accounts))
    form = TicketForm(accounts, instruments, _typed(request, accounts, instruments))
    asked, problem = _asked(form)
    if request.method == "POST" and asked is not None:
        if "confirmed" in request.POST:
            if _is_large(asked) and not _stepped_up(request):
                return _step_up(request)
            given = _given(request, form)
            if given is not None:
                messages.success(request, "The order is given. What became of it stands below.")
                return redirect("command", given.public_id)
        elif "review" in request.POST:
            context = _context(form, asked, problem) | {"large": _is_large(asked)}
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
    context: dict[str, Any] = {
        "form": form,
        "preview": preview,
        "problem": problem,
        "step_up": settings.STEP_UP_NOTIONAL,
    }
    if preview is None and (instrument := form.shown_instrument) is not None:  # the price that a stop is chosen by
        context |= {"market": Market.of(instrument), "last": last_prices([instrument.pk], present()).get(instrument.pk)}
    return context


def _given(request: MemberRequest, form: TicketForm) -> Instruction | None:
    """The command; None where it is refused, with the reason on the form."""
    account, key = form.chosen_account, f"order:{form.cleaned_data['key']}"
    try:
        return tickets.give(account, form.ticket(), key, present(), request.user, nets=nets(account.venue))
    except Refused as refused:
        form.refuse(refused)
        return None


# --- Large orders --------------------------------------------------------------------------------


def _is_large(asked: Asked) -> bool:
    """Whether what is asked for, before any limit makes it smaller, is worth more than may be ordered without the password."""
    request, decision = asked
    wanted = decision.numbers.get("asked", request.quantity)
    return wanted is not None and settle(request.price * wanted) > settings.STEP_UP_NOTIONAL  # type: ignore[operator]


def _stepped_up(request: HttpRequest) -> bool:
    """Whether the person has given the password again within the last minutes."""
    try:
        reauthentication_required(lambda request: None)(request)
    except ReauthenticationRequired:
        return False
    return True


def _step_up(request: HttpRequest) -> HttpResponse:
    """To the page that asks for the password, and from there back to the ticket as it was filled in."""
    typed = {name: request.POST[name] for name in _FIELDS if request.POST.get(name)}
    back = f"{reverse('ticket')}?{urlencode(typed)}"
    messages.info(request, "An order of this size wants your password. Nothing was ordered yet: review it once more.")
    return redirect(f"{reverse('account_reauthenticate')}?{urlencode({'next': back})}")
