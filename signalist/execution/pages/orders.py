"""Taking an order back, and changing it: from the order's page, and back to the page of the command."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from decimal import Decimal
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from signalist.domain.money import ZERO, plain
from signalist.domain.orders import Leg, OrderType
from signalist.execution.forms import ChangeForm, LevelForm
from signalist.execution.health import present
from signalist.marketplace.choices import amends
from signalist.trading import order_book
from signalist.trading.approval import approved_for, large_above
from signalist.trading.level_actions import set_level
from signalist.trading.models import Instruction, Order, Position
from signalist.trading.order_actions import NotApproved, cancel_order, modify_order, worth_of
from signalist.trading.terms import Refused
from signalist.trading.whose import of_order, of_position
from tenants.access import MemberRequest, needs
from tenants.step_up import ask_password, stepped_up


def _own(client_order_id: uuid.UUID) -> Order:
    row = Order.objects.select_related("account").filter(client_order_id=str(client_order_id)).first()
    if row is None:
        raise Http404("There is no such order in this workspace.")
    return row


@require_POST
@needs("orders.give", of_order)
def cancel(request: MemberRequest, client_order_id: uuid.UUID) -> HttpResponse:
    """Take the order back. What it has filled stays."""
    row = _own(client_order_id)
    key = _key(request)
    if key is None:
        messages.error(request, "The form was not complete, so nothing was done. Try again.")
        return redirect("order", client_order_id)
    return _carried_out(request, row, lambda: cancel_order(row, f"cancel:{key}", present(), request.user))


def _carried_out(request: MemberRequest, row: Order, act: Callable[[], Instruction]) -> HttpResponse:
    try:
        given = act()
    except Refused as refused:
        messages.error(request, str(refused))
        return redirect("order", row.client_order_id)
    return redirect("command", given.public_id)


def _key(request: MemberRequest) -> uuid.UUID | None:
    try:
        return uuid.UUID(request.POST.get("key", ""))
    except ValueError:
        return None


@require_http_methods(["GET", "POST"])
@needs("orders.give", of_order)
def modify(request: MemberRequest, client_order_id: uuid.UUID) -> HttpResponse:
    """The form with what the order is, and the change."""
    row = _own(client_order_id)
    record = order_book.order_record(client_order_id)
    assert record is not None  # it was found a moment ago
    if request.method != "POST" and not record.can_modify:
        messages.error(request, "This order cannot be changed now.")
        return redirect("order", client_order_id)
    form = ChangeForm(request.POST if request.method == "POST" else _as_it_is(row) | _typed(request))
    if request.method == "POST" and form.is_valid():
        key, bound = f"amend:{form.cleaned_data['key']}", _approved(request, row, form)
        try:
            given = modify_order(
                row, form.change(), key, present(), request.user, amends=amends(row.account.venue), approved=bound
            )
            return redirect("command", given.public_id)
        except NotApproved as refused:
            if not stepped_up(request):
                return _ask_password(request, row)
            form.refuse(refused)
        except Refused as refused:
            form.refuse(refused)
    return render(request, "trading/order_modify.html", {"section": "orders", "record": record, "form": form})


_CHANGES = ("quantity", "price", "key")


def _typed(request: MemberRequest) -> dict[str, str]:
    """What comes back from the page that asks for the password."""
    return {name: request.GET[name] for name in _CHANGES if name in request.GET}


def _approved(request: MemberRequest, row: Order, form: ChangeForm) -> Decimal | None:
    """Up to which worth an entry may be changed. One that is worth less than before is agreed to, however large it is."""
    if row.reduce_only or row.type != OrderType.LIMIT:
        return None
    worth = worth_of(row, form.change())
    agreed = worth <= worth_of(row) or stepped_up(request)
    return approved_for(worth if agreed else ZERO, large_above(row.instrument.quote, present()))


def _ask_password(request: MemberRequest, row: Order) -> HttpResponse:
    """To the page that asks for the password, and from there back to the change as it was typed."""
    typed = {name: request.POST[name] for name in _CHANGES if request.POST.get(name)}
    back = f"{reverse('order_modify', args=[row.client_order_id])}?{urlencode(typed)}"
    return ask_password(
        request, back, "A change to this size wants your password. Nothing was changed yet: look once more."
    )


@require_http_methods(["GET", "POST"])
@needs("orders.give", of_position)
def level(request: MemberRequest, position_id: int, leg: str) -> HttpResponse:
    """Give a position the stop or target that it has not."""
    position = Position.objects.select_related("instrument").filter(pk=position_id).first()
    if position is None or leg not in ("stop", "target"):
        raise Http404("There is no such position in this workspace.")
    form = LevelForm(request.POST if request.method == "POST" else None, initial={"key": uuid.uuid4()})
    if request.method == "POST" and form.is_valid():
        key = f"level:{form.cleaned_data['key']}"
        try:
            given = set_level(position, Leg(leg.upper()), form.cleaned_data["trigger"], key, present(), request.user)
            return redirect("command", given.public_id)
        except Refused as refused:
            form.refuse(refused)
    context = {"section": "positions", "position": position, "leg": leg, "form": form}
    return render(request, "trading/position_level.html", context)


def _as_it_is(row: Order) -> dict[str, str]:
    values = {"quantity": row.quantity, "price": row.price, "trigger": row.trigger}
    return {name: plain(value) for name, value in values.items() if value is not None} | {"key": str(uuid.uuid4())}
