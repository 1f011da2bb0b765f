"""What an order by hand would be if it were decided now: by the function that decides it, before anything is written."""

from __future__ import annotations

from datetime import datetime

from signalist.accounts.models import Account
from signalist.accounts.own_fees import with_own_fees
from signalist.domain.errors import DomainError
from signalist.domain.rules import Decision, Denied, EntryRequest, decide_entry
from signalist.domain.signals import SignalKind
from signalist.execution import instructions
from signalist.execution.limits import FRESH_WITHIN
from signalist.execution.standing import Picture, picture
from signalist.risk.restraints import RULE as KILL_SWITCH
from signalist.risk.restraints import restraints
from signalist.trading.models import Execution, Instruction, InstructionKind, Subscription
from signalist.trading.tickets import Ticket, book_found


class Undecided(Exception):
    """Nothing can be said yet; the message says what is missing."""


def ticket_decision(account: Account, ticket: Ticket, now: datetime) -> tuple[EntryRequest, Decision]:
    """The rules' answer to `ticket`, which `check` has let through, and what they were asked. Raises Undecided.

    Writes nothing and locks nothing.
    """
    book = book_found(account, ticket.instrument) or Subscription(
        pk=0, tenant_id=account.tenant_id, account=account, instrument=ticket.instrument, capital=0
    )
    asked = Instruction(
        kind=InstructionKind.ORDER,
        order_type=ticket.type.value,
        quantity=ticket.quantity,
        risk_fraction=ticket.risk_fraction,
        price=ticket.price,
        stop=ticket.stop,
        target=ticket.target,
        leverage=ticket.leverage,
    )
    kind = SignalKind(ticket.direction.value)
    execution = Execution(subscription=book, account_id=account.pk, instruction=asked, kind=kind.value)
    known = picture([execution], now, lock="")
    known.restraints = restraints({account.tenant_id})
    standing_of = known.accounts[account.pk]
    if standing_of.balance is None:
        raise Undecided(
            "The venue has not reported this account's money yet. That takes a few seconds after it was opened."
        )
    latest = known.prices.get(ticket.instrument.pk)
    if latest is None or now - latest[1] > FRESH_WITHIN:
        raise Undecided(f"There is no fresh price of {ticket.instrument.symbol}; without one no order is sized.")
    standing = known.standing(book.pk, standing_of)
    spec = with_own_fees(standing_of.account, known.spec(ticket.instrument.pk))
    if book.pk in known.position_of:
        raise Undecided(
            f"A position by hand in {spec.symbol} is open on this account. Close it first: there is one at a time."
        )
    if known.orders_of.get(book.pk):
        raise Undecided(
            f"An order by hand in {spec.symbol} is working on this account. Change it, or take it back first."
        )
    terms = asked, execution, spec, latest[0], standing
    refused = _hindrance(execution, known) or instructions.entry_of(*terms)
    try:
        request = instructions.request_of(*terms)
        return request, refused if isinstance(refused, Denied) else decide_entry(request)
    except DomainError as error:
        raise Undecided(str(error)) from None


def _hindrance(execution: Execution, known: Picture) -> Denied | None:
    """What `decide` denies before it asks the rules: the kill switch over the account, and a difference between books and venue."""
    if (restraint := known.restraint(execution)) is not None:
        return Denied(KILL_SWITCH, restraint.numbers)
    if (kind := known.difference(execution)) is not None:
        return Denied("difference", {"kind": kind})
    return None
