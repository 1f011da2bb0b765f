"""What a person may answer to a difference. The answer is written here; the engine that holds the account carries it out within seconds."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from django.db import transaction

from signalist.accounts.models import Account
from signalist.audit.writing import record
from signalist.domain.errors import DomainError
from signalist.domain.money import plain
from signalist.events.outbox import Fact, emit
from signalist.markets.overview import FRESH_WITHIN
from signalist.markets.selectors import latest_prices
from signalist.trading.discrepancies import CURRENCY, Answer, Discrepancy, Kind, State
from signalist.trading.naming import CANDIDATES
from signalist.trading.tickets import FARTHEST
from tenants.models import User

_MEANT = {
    Kind.EXTERNAL_ORDER: (Answer.CANCEL, Answer.KEEP),
    Kind.LOST_ORDER: (Answer.GIVE_UP,),
    Kind.ORDER_CHANGED: (Answer.CANCEL,),
    Kind.ORDER_IN_DOUBT: (),
    Kind.EXIT_HELD: (),
    Kind.MANUAL_CLOSE: (Answer.ADOPT,),
    Kind.POSITION_SMALLER: (Answer.ADOPT,),
    Kind.POSITION_LARGER: (Answer.KEEP,),
    Kind.UNKNOWN_FILL: (Answer.KEEP,),
    Kind.BALANCE_GAP: (Answer.KEEP,),
}


def possible(row: Discrepancy) -> tuple[Answer, ...]:
    """What makes sense now; looking again always does. Nothing while an answer is being carried out, or when it is over."""
    if row.state != State.OPEN or row.answer:
        return ()
    if row.facts.get(CURRENCY):
        return (Answer.CHECK,)  # an amount of another currency is not taken in
    looked_at = row.looks > 0
    if row.kind == Kind.ORDER_IN_DOUBT and CANDIDATES in row.facts:
        return (Answer.GIVE_UP, Answer.CHECK)
    kept = (Answer.KEEP,) if row.kind == Kind.ORDER_CHANGED and row.facts.get("keepable") else ()
    return (*(kept + _MEANT[Kind(row.kind)] if looked_at else ()), Answer.CHECK)


def needs_price(row: Discrepancy) -> bool:
    """Whether adopting it takes a price, because the venue has not told the fills that explain it."""
    return row.kind in (Kind.MANUAL_CLOSE, Kind.POSITION_SMALLER) and not row.facts.get("told")


def answer(row: Discrepancy, said: str, price: Decimal | None, now: datetime, by: User) -> None:
    """Have `said` done about a difference. Raises DomainError, with the reason for whoever asked, where it makes no sense (any more)."""
    with transaction.atomic():
        # The engine looks under the same lock: an answer is about the numbers that were shown.
        Account.objects.select_for_update(no_key=True).get(pk=row.account_id)
        current = Discrepancy.objects.select_for_update(no_key=True).get(pk=row.pk)
        if said not in possible(current):
            raise DomainError("That cannot be done about it now; look at how it stands.")
        if (current.ours, current.theirs) != (row.ours, row.theirs):
            raise DomainError("The numbers have changed meanwhile; look at them again.")
        if said == Answer.ADOPT and needs_price(current):
            _check_price(current, price, now)
        else:
            price = None  # the venue's own fills are what counts
        current.answer, current.answer_price, current.answer_problem = said, price, ""
        current.answered_by, current.answered_at = by, now
        current.save(update_fields=["answer", "answer_price", "answer_problem", "answered_by", "answered_at"])
        payload = {
            "difference": str(row.public_id),
            "account": row.account_id,
            "kind": row.kind,
            "answer": said,
            "price": None if price is None else plain(price),
            "by": str(by.public_id),
        }
        emit([Fact("difference_answered", row.tenant_id, now, payload)])
        told = {"kind": row.kind, "answer": said, "price": payload["price"]}
        record(
            "difference.answered",
            tenant_id=row.tenant_id,
            user_id=by.pk,
            target=str(row.public_id),
            details=told,
        )


def _check_price(row: Discrepancy, price: Decimal | None, now: datetime) -> None:
    """Raise DomainError unless what is closed can have been closed there: what is booked at a slip of the finger is not taken back."""
    if price is None or price <= 0:
        raise DomainError("Name the price at which it was closed.")
    instrument = row.instrument
    if instrument is None:
        return  # adopting it says that nothing of ours is in it
    spec = instrument.spec()
    if spec.price(price) != price:
        raise DomainError(f"The price must be a multiple of {plain(spec.tick)} {spec.quote}.")
    found = latest_prices([instrument.pk]).get(instrument.pk)
    # Of a market that is not traded any more the newest price will never be a fresh one.
    if found is None or (instrument.is_active and now - found[1] > FRESH_WITHIN):
        raise DomainError(f"There is no fresh price of {instrument.symbol} to measure it by; try again when there is.")
    if abs(price / found[0] - 1) > FARTHEST:
        raise DomainError(
            f"{plain(price)} is more than {plain(FARTHEST * 100)} % away from the market, which stands at {plain(found[0])}."
        )
