"""What is done to the rows of accounts from time to time: what people asked of their venues is kept for thirty days."""

from __future__ import annotations

from datetime import datetime, timedelta

from signalist.accounts.models import Inquiry
from signalist.db import retention

KEPT = timedelta(days=30)


def retire_inquiries(now: datetime) -> int:
    """Delete what was asked more than thirty days ago at `now`; returns how many are gone. Needs the door across tenants."""
    return retention.delete(Inquiry.objects.filter(asked_at__lt=now - KEPT).order_by("asked_at"))
