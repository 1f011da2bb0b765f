"""What a person does with a subscription that takes more than one of the floors below."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from signalist.execution.actions import close
from signalist.trading.actions import cancel
from signalist.trading.models import Position, Subscription
from tenants.models import User


def end(subscription: Subscription, now: datetime, by: User, *, close_now: bool) -> bool:
    """Cancel `subscription`; with `close_now` what it holds is closed at market too. Returns whether anything was to be closed.

    Raises Refused where it has ended already.
    """
    with transaction.atomic():
        cancel(subscription, now, by)
        held = Position.objects.filter(subscription=subscription, is_open=True).select_related("account").first()
        if held is None or not close_now:
            return False
        close(held, f"cancel:{subscription.public_id}:{held.pk}", "The subscription was cancelled.", now, by)
    return True
