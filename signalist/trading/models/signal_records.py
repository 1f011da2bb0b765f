"""What a signal brought its followers, without saying whom."""

from __future__ import annotations

from django.db import models

from signalist.db.fields import ExactDecimalField
from signalist.domain.money import ZERO
from signalist.strategies.models import Schedule, Signal


class SignalRecord(models.Model):
    """What the trades that followed one signal came to, for everybody to see: it has no tenant and nothing in it tells whose they were.

    Sums over `trades` closed trades: `return_total` of net ÷ capital; `r_total` of net ÷ risk at entry, over the `with_stop` trades that
    had a stop; `slippage_total` of the entry's distance from the decided price, as a fraction, positive when paid; `delay_ms_total` of
    the time from the candle's close to the first fill. Folded by `measure`.
    """

    signal = models.ForeignKey(Signal, on_delete=models.PROTECT, db_index=False, related_name="+")
    schedule = models.ForeignKey(Schedule, on_delete=models.PROTECT, db_index=False, related_name="+")
    is_paper = models.BooleanField()
    trades = models.PositiveIntegerField(default=0)
    wins = models.PositiveIntegerField(default=0)
    with_stop = models.PositiveIntegerField(default=0)
    return_total = ExactDecimalField(default=ZERO)
    r_total = ExactDecimalField(default=ZERO)
    slippage_total = ExactDecimalField(default=ZERO)
    delay_ms_total = models.BigIntegerField(default=0)
    last_closed_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["signal", "is_paper"], name="signal_record_unique")]
        indexes = [models.Index(fields=["schedule", "last_closed_at"], name="signal_record_by_time")]

    def __str__(self) -> str:
        return f"{self.signal_id} {'paper' if self.is_paper else 'live'} {self.trades}"
