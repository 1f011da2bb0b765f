"""What a fee comes to in the currency that its market is booked in.

A venue may take its fee in something else (a coin of its own, what was bought). It is booked at the fill's own price where it was taken in
what was traded, else at the newest dated rate at or before the fill. Where there is none nothing is counted, and that is told: a number of
another currency is never added as if it were of this one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime
from decimal import Decimal

from signalist.db import fast
from signalist.domain.money import ZERO, plain, settle
from signalist.events.outbox import Fact
from signalist.markets.models import Instrument
from signalist.markets.selectors import rate
from signalist.trading.models import Fill, Order
from signalist.venues.base import FillReport


class Rates:
    """The rates that one fold needs; each is read once for a minute of fills."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, datetime], Decimal | None] = {}

    def of(self, base: str, quote: str, at: datetime) -> Decimal | None:
        """Units of `quote` for one `base` at that time; None where nobody has told one."""
        key = base, quote, at.replace(second=0, microsecond=0)
        if key not in self._known:
            self._known[key] = rate(base, quote, at)
        return self._known[key]


def booked(report: FillReport, instrument: Instrument, rates: Rates) -> Decimal | None:
    """What of a fill's fee counts, in quote currency: None where it is in that already (a venue that names none means it), and zero where
    no rate is known."""
    if report.fee_currency in ("", instrument.quote):
        return None
    if report.fee_currency == instrument.base:
        return settle(report.fee * report.price)
    found = rates.of(report.fee_currency, instrument.quote, report.time)
    return ZERO if found is None else settle(report.fee * found)


def not_counted(order: Order, report: FillReport, counts: Decimal | None) -> list[Fact]:
    """That a fee is in no sum of ours, where it is in none."""
    if counts is None or counts or not report.fee:
        return []
    payload = {"order": order.pk, "fee": plain(report.fee), "currency": report.fee_currency}
    return [Fact("fee_not_counted", order.tenant_id, report.time, payload)]


def taken_elsewhere(position_ids: Collection[int]) -> dict[int, Decimal]:
    """What of the fees of these positions counts in our books and was not taken of the account's money, by position; one query."""
    sums: dict[int, Decimal] = defaultdict(lambda: ZERO)
    for fill in fast.select_ids(Fill, sorted(position_ids), "booked_fee IS NOT NULL", column="position_id"):
        sums[fill.position_id or 0] += fill.booked_fee or ZERO
    return dict(sums)
