"""Up to which worth an order by hand was approved by the person who gave it: without the password, or with it.

The page asks before the order is decided, and prices move in between: what is sized by its risk grows as its stop comes nearer. So the
bound goes with the command, and the decision denies what is larger.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from django.conf import settings

from signalist.domain.money import ZERO, settle
from signalist.markets.selectors import rate

RULE = "not_approved"
"""The rule by which the decision record names it."""
DOLLARS = frozenset("USD USDT USDC DAI PYUSD TUSD FDUSD".split())
ROOM = Decimal("1.1")
"""What was approved with the password may be worth a tenth more by the time it is decided: markets move, and that is no other order."""


def large_above(currency: str, at: datetime) -> Decimal | None:
    """Above which worth in `currency` an order wants the password: what the setting comes to by the newest dated rate; a coin that stands
    for a dollar is one where nobody has told a rate. None where there is none at all: nobody knows then what an order is worth, so any
    wants it."""
    found = rate(settings.STEP_UP_CURRENCY, currency, at)
    if found is None and {settings.STEP_UP_CURRENCY, currency} <= DOLLARS:
        found = Decimal(1)
    return None if found is None else settle(settings.STEP_UP_NOTIONAL * found)


def is_large(worth: Decimal, above: Decimal | None) -> bool:
    """Whether an order of this worth wants the password; `above` is `large_above` of its currency."""
    return above is None or worth > above


def approved_for(worth: Decimal, above: Decimal | None) -> Decimal:
    """Up to which worth an order may become one that was seen at `worth` and for which the password was given, if it wants one. In the
    currency of both, so that no rate that moves meanwhile makes it another order."""
    least = ZERO if above is None else above
    return max(settle(worth * ROOM), least) if is_large(worth, above) else least
