"""What is known of feeds: who feeds a market and how its connection stands, each instrument's feed, and candles that were corrected."""

from __future__ import annotations

from django.db import models


class FeedSource(models.Model):
    """A venue's public side as this installation is fed from it: one engine holds it, until `held_until`, under the number `token`.

    `ahead_ms` is by how much the venue's clock is ahead of ours at least; positive means that ours is late, negative that it is ahead.
    """

    code = models.CharField(max_length=20, unique=True)
    owner = models.UUIDField(null=True)
    token = models.PositiveBigIntegerField(default=0)
    held_until = models.DateTimeField(null=True)
    standing = models.CharField(max_length=12, default="idle")
    why = models.CharField(max_length=200, blank=True)
    standing_since = models.DateTimeField(null=True)
    heard_at = models.DateTimeField(null=True)
    connections = models.PositiveIntegerField(default=0)
    reconnects = models.PositiveIntegerField(default=0)
    mutes = models.PositiveIntegerField(default=0)
    checksums = models.PositiveIntegerField(default=0)
    malformed = models.PositiveIntegerField(default=0)
    ahead_ms = models.IntegerField(default=0)
    last_error = models.CharField(max_length=200, blank=True)
    last_error_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.code} {self.standing}"


class PriceSource(models.Model):
    """Who a feed asks for prices where its stream tells none, in the order of `rank`: how often, and how much of it was told.

    `requests` and those of them that `failed`; prices `asked` for and `got`, and those of the last time, which took `last_ms`.
    """

    source = models.ForeignKey(FeedSource, on_delete=models.CASCADE, related_name="price_sources", db_index=False)
    code = models.CharField(max_length=20)
    rank = models.PositiveSmallIntegerField(default=0)
    requests = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    asked = models.PositiveBigIntegerField(default=0)
    got = models.PositiveBigIntegerField(default=0)
    last_asked = models.PositiveIntegerField(default=0)
    last_got = models.PositiveIntegerField(default=0)
    last_ms = models.PositiveIntegerField(default=0)
    asked_at = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=200, blank=True)
    last_error_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["source", "code"], name="price_source_unique")]

    def __str__(self) -> str:
        return f"{self.code} {self.got}/{self.asked}"


class Feed(models.Model):
    """One instrument as it is fed: `symbol` is the source's own. Counters are since the feed began; moments are the market's.

    `gaps` counts closes that did not arrive by themselves, `open_gaps` those not found yet; `backfilled` and `synthetic` what became of
    them. `heard_at` is when anything of it arrived; `price_from` who was asked for the newest price, "" where the stream told it.
    """

    source = models.ForeignKey(FeedSource, on_delete=models.CASCADE, related_name="feeds")
    instrument = models.OneToOneField("markets.Instrument", on_delete=models.CASCADE, related_name="feed")
    symbol = models.CharField(max_length=40)
    timeframe = models.CharField(max_length=3)
    is_active = models.BooleanField(default=True)
    state = models.CharField(max_length=12, default="waiting")
    last_candle = models.DateTimeField(null=True)
    last_ticker = models.DateTimeField(null=True)
    heard_at = models.DateTimeField(null=True)
    lag_ms = models.IntegerField(null=True)
    gaps = models.PositiveIntegerField(default=0)
    open_gaps = models.PositiveIntegerField(default=0)
    backfilled = models.PositiveIntegerField(default=0)
    synthetic = models.PositiveIntegerField(default=0)
    late = models.PositiveIntegerField(default=0)
    duplicates = models.PositiveIntegerField(default=0)
    corrections = models.PositiveIntegerField(default=0)
    out_of_order = models.PositiveIntegerField(default=0)
    refused = models.PositiveIntegerField(default=0)
    last_error = models.CharField(max_length=200, blank=True)
    price_from = models.CharField(max_length=20, blank=True)

    def __str__(self) -> str:
        return f"{self.symbol} {self.state}"


class CandleCorrection(models.Model):
    """A stored candle that its venue told otherwise later: what stood there before. It changes no run that was made on it."""

    instrument = models.ForeignKey("markets.Instrument", on_delete=models.CASCADE, related_name="+")
    timeframe = models.CharField(max_length=3)
    close_time = models.DateTimeField()
    at = models.DateTimeField()
    before = models.JSONField()
    after = models.JSONField()

    class Meta:
        indexes = [models.Index(fields=["-at"], name="correction_newest")]

    def __str__(self) -> str:
        return f"{self.instrument_id} {self.timeframe} {self.close_time:%Y-%m-%dT%H:%MZ}"
