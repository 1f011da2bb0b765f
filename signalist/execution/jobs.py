"""What is done to the list of engines from time to time: those that ended are kept for thirty days."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef, Q

from signalist.db import retention
from signalist.domain.orders import ACTIVE, OrderStatus
from signalist.execution.models import EngineProcess
from signalist.strategies.models import RunStatus, StrategyRun
from signalist.trading.models import Order

KEPT = timedelta(days=30)


def retire_engines(now: datetime) -> int:
    """Delete the engines that ended more than thirty days ago at `now` and were taken over from; returns how many.

    One that still has a run or an order in hand stays, whatever has become of it. Needs the door across tenants.
    """
    runs = StrategyRun.objects.filter(status=RunStatus.CLAIMED, engine=OuterRef("pk"))
    active = [status.value for status in ACTIVE]
    in_hand = Q(busy=True) | Q(status=OrderStatus.SENDING.value)
    orders = Order.objects.filter(in_hand, status__in=active, sender=OuterRef("pk"))
    old = EngineProcess.objects.filter(~Exists(runs), ~Exists(orders), ended_at__lt=now - KEPT, taken_over=True)
    return retention.delete(old.order_by("ended_at"))
