"""Order books: of which markets somebody wants them now, and what stood in them lately."""

from __future__ import annotations

from django.db import models


class DepthWish(models.Model):
    """Somebody wants an instrument's order book until `until`; the engine that feeds from its venue takes snapshots as long."""

    instrument = models.OneToOneField(
        "markets.Instrument", primary_key=True, on_delete=models.CASCADE, related_name="+"
    )
    until = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.instrument_id} until {self.until:%H:%M:%S}"


class BookShot(models.Model):
    """The best levels of an order book that had been checked against its venue's own, as it stood `at`: [price, quantity] as texts, best
    first. Kept for a few minutes while it is wanted, the last of them for a day."""

    instrument = models.ForeignKey("markets.Instrument", on_delete=models.CASCADE, db_index=False, related_name="+")
    at = models.DateTimeField()
    bids = models.JSONField()
    asks = models.JSONField()

    class Meta:
        indexes = [models.Index(fields=["instrument", "-at"], name="book_shot_newest")]

    def __str__(self) -> str:
        return f"{self.instrument_id} {self.at:%Y-%m-%dT%H:%M:%SZ}"
