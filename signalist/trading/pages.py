"""Pages of what is traded: positions, orders, trades, the decisions behind them, and our books beside the venues."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from signalist.accounts.models import Account
from signalist.display.listing import page_of
from signalist.domain.errors import DomainError
from signalist.execution.actions import close
from signalist.execution.health import present
from signalist.risk.restraints import restraints
from signalist.risk.selectors import halts
from signalist.trading import account_books, closed_trades, command_records, fragments, order_book, signal_records
from signalist.trading import authored as authors_view
from signalist.trading.answers import answer
from signalist.trading.filters import decision_choices, order_choices, trade_choices, trade_filter
from signalist.trading.forms import AnswerForm
from signalist.trading.open_positions import open_positions, position_row
from signalist.trading.order_history import history
from signalist.trading.position_records import position_record
from signalist.trading.whose import all_accounts, of_difference, of_order, of_position
from tenants.access import MemberRequest, allowed, member, needs
from tenants.doors import across_tenants
from tenants.permissions import permits_some
from tenants.workspaces.sharing import sharing_of


@require_safe
@member
def positions(request: MemberRequest) -> HttpResponse:
    """What is open, what protects it, and what waits at the venues."""
    context = {"book": open_positions(present())} | fragments.orders(request.tenant.pk)
    regions = ["position-totals", "position-rows", "order-rows"]
    context |= {"section": "positions", "regions": regions, "may_trade": _trades_somewhere(request)}
    return render(request, "trading/positions.html", context)


def _trades_somewhere(request: MemberRequest) -> bool:
    return permits_some(request.membership, "orders.give", all_accounts())


@require_safe
@member
def position(request: MemberRequest, position_id: int) -> HttpResponse:
    """One position, open or closed, with its orders and fills; whoever may trade closes it here."""
    record = position_record(position_id, present(), halts({request.tenant.pk}))
    if record is None:
        raise Http404
    # What is over all accounts: of its own account the record tells, and says that nothing can be closed.
    over_all = restraints([request.tenant.pk]).over_all
    context = {"section": "positions", "record": record, "restraint": over_all}
    context |= {"may_close": allowed(request, "orders.give", lambda: of_position(position_id)), "key": uuid.uuid4()}
    return render(request, "trading/position.html", context)


@require_POST
@needs("orders.give", of_position)
def position_close(request: MemberRequest, position_id: int) -> HttpResponse:
    """Close a position at market. The form's key makes a second click the same command."""
    row = position_row(position_id)
    if row is None:
        raise Http404
    try:
        key = uuid.UUID(request.POST.get("key", ""))
    except ValueError:
        messages.error(request, "The form was not complete, so nothing was done. Try again.")
        return redirect("position", position_id)
    if not row.is_open:
        messages.info(request, "This position is closed already.")
    else:
        close(row, f"close:{row.pk}:{key}", "closed by hand", present(), request.user)
        messages.success(request, f"Closing {row.instrument.symbol} at market. The fill follows within seconds.")
    return redirect("position", position_id)


@require_safe
@member
def orders(request: MemberRequest) -> HttpResponse:
    """All orders, filtered by state, leg and instrument."""
    choices = order_choices(request.GET, order_book.traded_instruments())
    found = order_book.found_orders(*(choice.value for choice in choices))
    page = page_of(found, order_book.lines, request.GET.get("page"))
    context = {"section": "orders", "choices": choices, "page": page, "may_trade": _trades_somewhere(request)}
    return render(request, "trading/orders.html", context)


@require_safe
@member
def order(request: MemberRequest, client_order_id: uuid.UUID) -> HttpResponse:
    """One order with every attempt and fill."""
    record = order_book.order_record(client_order_id)
    if record is None:
        raise Http404
    steps = history(record, command_records.about(client_order_id))
    context = {"section": "orders", "record": record, "steps": steps}
    context |= {"may_trade": allowed(request, "orders.give", lambda: of_order(client_order_id)), "key": uuid.uuid4()}
    return render(request, "trading/order.html", context)


@require_safe
@member
def trades(request: MemberRequest) -> HttpResponse:
    """Closed trades with their totals."""
    choices = trade_choices(request.GET, order_book.traded_instruments())
    chosen = trade_filter(choices, present())
    totals = closed_trades.trade_totals(chosen)
    count = sum(total.trades for total in totals)
    page = page_of(chosen.rows(), closed_trades.lines, request.GET.get("page"), count=count)
    context = {"section": "trades", "choices": choices, "page": page, "totals": totals}
    return render(request, "trading/trades.html", context)


@require_safe
@member
def books(request: MemberRequest) -> HttpResponse:
    """The accounts, and whether their venues say the same as our books."""
    return render(request, "trading/books/accounts.html", {"section": "books", "accounts": account_books.accounts()})


@require_safe
@member
def account(request: MemberRequest, public_id: uuid.UUID) -> HttpResponse:
    """One account beside its venue: who holds what, and every difference."""
    row, found = Account.objects.filter(public_id=public_id).first(), account_books.account_books(public_id)
    if row is None or found is None:
        raise Http404
    context = {"section": "books", "books": found, "may_trade": allowed(request, "orders.give", lambda: row)}
    context["restraint"] = restraints([row.tenant_id]).strictest(
        row, None, 0
    )  # of what is over all that the account does
    context |= {"emergencies": command_records.emergencies(row), "sharing": sharing_of(request.membership, row)}
    return render(request, "trading/books/account.html", context)


@require_safe
@member
def difference(request: MemberRequest, account_id: uuid.UUID, public_id: uuid.UUID) -> HttpResponse:
    """One difference; whoever may trade answers it here."""
    row = account_books.difference_row(account_id, public_id)
    if row is None:
        raise Http404
    line, fills = account_books.difference(row)
    may_answer = allowed(request, "differences.answer", lambda: row.account)
    context = {"section": "books", "d": line, "fills": fills, "may_answer": may_answer}
    return render(request, "trading/books/difference.html", context)


@require_POST
@needs("differences.answer", of_difference)
def difference_answer(request: MemberRequest, account_id: uuid.UUID, public_id: uuid.UUID) -> HttpResponse:
    """Answer a difference by the numbers that were shown; the engine carries it out."""
    row = account_books.difference_row(account_id, public_id)
    if row is None:
        raise Http404
    form = AnswerForm(request.POST)
    if not form.is_valid():
        messages.error(request, "The form was not complete, or the price is none, so nothing was done. Try again.")
        return redirect("difference", account_id, public_id)
    said = form.cleaned_data
    row.ours, row.theirs = said["ours"], said["theirs"]
    try:
        answer(row, said["answer"], said["price"], present(), request.user)
    except DomainError as error:
        messages.error(request, str(error))
    return redirect("difference", account_id, public_id)


@require_safe
@member
def decisions(request: MemberRequest) -> HttpResponse:
    """The signals that concerned the workspace, with what was decided on each."""
    choices = decision_choices(request.GET, signal_records.followed_strategies())
    found = signal_records.concerned(*(choice.value for choice in choices))
    page = page_of(found.signal_ids, signal_records.signal_lines, request.GET.get("page"))
    context = {"section": "decisions", "choices": choices, "page": page, "found": found}
    return render(request, "trading/decisions.html", context)


@require_safe
@member
def signal(request: MemberRequest, public_id: uuid.UUID) -> HttpResponse:
    """The decision record of a signal, for the workspace's own accounts; its author is shown the author's view."""
    record = signal_records.signal_record(public_id)
    if record is not None:
        is_author = record.facts.author_id == request.user.pk
        return render(
            request, "trading/signal.html", {"section": "decisions", "record": record, "is_author": is_author}
        )
    if signal_records.is_authored_by(public_id, request.user.pk):
        return redirect("authored_signal", public_id)
    raise Http404


@require_safe
@member
def authored(request: MemberRequest, public_id: uuid.UUID) -> HttpResponse:
    """A signal over all followers, for its author alone: counts and middles."""
    with across_tenants(authors_view.PURPOSE):
        record = authors_view.authored_signal(public_id, request.user.pk)
    if record is None:
        raise Http404
    return render(request, "trading/authored.html", {"section": "decisions", "record": record})
