"""Up to which worth an order by hand was approved by the person who gave it: without the password, or with it.

The page asks before the order is decided, and prices move in between: what is sized by its risk grows as its stop comes nearer. So the
bound goes with the command, and the decision denies what is larger.
"""

from __future__ import annotations

from decimal import Decimal

from django.conf import settings

from signalist.domain.money import settle

RULE = "not_approved"
"""The rule by which the decision record names it."""
ROOM = Decimal("1.1")
"""What was approved with the password may be worth a tenth more by the time it is decided: markets move, and that is no other order."""


def is_large(worth: Decimal) -> bool:
    """Whether an order of this worth, in quote currency, wants the password."""
    return worth > settings.STEP_UP_NOTIONAL


def approved_for(worth: Decimal) -> Decimal:
    """Up to which worth an order may become one that was seen at `worth` and for which the password was given, if it wants one."""
    least = Decimal(settings.STEP_UP_NOTIONAL)
    return max(settle(worth * ROOM), least) if is_large(worth) else least
