"""The fees that an account itself pays at its venue, as the venue told last; where it did not, the list's hold.

An engine asks hourly, with its look at the account's key (`engine.keywatch`), and is the only one that writes them.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal, InvalidOperation

from signalist.accounts.models import Account
from signalist.domain.instruments import InstrumentSpec
from signalist.domain.money import plain
from signalist.venues.facts import FeeRates

LARGEST = Decimal("0.1")
"""A fee above a tenth of an order's value is no fee: it is not believed."""


@dataclass(frozen=True, slots=True)
class OwnFee:
    """What an account pays in one market; fractions of an order's value."""

    symbol: str
    rates: FeeRates


def is_credible(rates: FeeRates) -> bool:
    """Whether these can be fees. Whoever rests may be paid for it."""
    return 0 <= rates.taker <= LARGEST and -LARGEST <= rates.maker <= LARGEST


def write(account_id: int, engine: uuid.UUID, told: Mapping[str, FeeRates], now: datetime) -> bool:
    """Keep what the venue told, where `engine` still holds the account; whether it does. What it did not tell is known no more."""
    rates = {symbol: [plain(fee.taker), plain(fee.maker)] for symbol, fee in told.items() if is_credible(fee)}
    fees = {"at": now.isoformat(), "rates": rates}
    return bool(Account.objects.filter(pk=account_id, lease_owner=engine).update(own_fees=fees))


def own_fees(account: Account) -> tuple[OwnFee, ...]:
    """What is known of them, by symbol."""
    found = account.own_fees.get("rates") or {}
    rows = [(symbol, _rates(pair)) for symbol, pair in sorted(found.items())]
    return tuple(OwnFee(symbol, rates) for symbol, rates in rows if rates is not None)


def told_at(account: Account) -> datetime | None:
    """When the venue told them; None where it never did."""
    at = account.own_fees.get("at")
    return None if at is None else datetime.fromisoformat(at)


def with_own_fees(account: Account, spec: InstrumentSpec) -> InstrumentSpec:
    """The market as the account trades it: with its own fees where they are known."""
    rates = _rates((account.own_fees.get("rates") or {}).get(spec.symbol))
    if rates is None or spec.venue != account.venue:
        return spec
    return replace(spec, taker_fee=rates.taker, maker_fee=rates.maker)


def _rates(pair: object) -> FeeRates | None:
    if not isinstance(pair, list) or len(pair) != 2:
        return None
    try:
        return FeeRates(Decimal(pair[0]), Decimal(pair[1]))
    except (InvalidOperation, TypeError):
        return None
