"""What is traded and at which prices. Nothing here has a tenant but who listened to it (`stream_models`)."""

from __future__ import annotations

from django.db import models

from signalist.db.fields import ExactDecimalField
from signalist.domain.candles import Candle as CandleValue
from signalist.domain.instruments import InstrumentKind, InstrumentSpec, Trading
from signalist.markets.depth_models import BookShot, DepthWish  # noqa: F401  # Django looks for models here
from signalist.markets.feed_models import CandleCorrection, Feed, FeedSource, PriceSource  # noqa: F401  # Django looks for models here
from signalist.markets.listing_models import InstrumentChange, VenueListing, trading_word  # noqa: F401  # likewise
from signalist.markets.setting_models import MarketSetting  # noqa: F401  # likewise
from signalist.markets.stream_models import StreamSession  # noqa: F401  # likewise


class AssetPair(models.Model):
    """What instruments of several venues share: one asset against money. Signals travel only within a pair."""

    code = models.CharField(max_length=30, unique=True)

    def __str__(self) -> str:
        return self.code


class Instrument(models.Model):
    """One per venue and symbol. Quote currency and price scale are its own, whatever the pair.

    `is_active`: this installation offers it. `trading`: what its venue lets people do in it, since `trading_since` as far as we know (None:
    always, so far). Fees are fractions of an order's value; None where the venue does not tell.
    """

    venue = models.CharField(max_length=20)
    symbol = models.CharField(max_length=40)
    pair = models.ForeignKey(AssetPair, null=True, blank=True, on_delete=models.PROTECT, related_name="instruments")
    base = models.CharField(max_length=15)
    quote = models.CharField(max_length=15)
    kind = models.CharField(max_length=12)
    tick = ExactDecimalField()
    lot = ExactDecimalField()
    min_quantity = ExactDecimalField()
    min_notional = ExactDecimalField()
    max_leverage = ExactDecimalField(default=1)
    taker_fee = ExactDecimalField(null=True, blank=True)
    maker_fee = ExactDecimalField(null=True, blank=True)
    trading = models.CharField(max_length=12, default=Trading.ONLINE.value)
    trading_since = models.DateTimeField(null=True, blank=True)
    is_active = models.BooleanField(default=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["venue", "symbol"], name="instrument_unique")]

    def __str__(self) -> str:
        return f"{self.venue}:{self.symbol}"

    @property
    def trading_word(self) -> str:
        """What may be done in it, for people."""
        return trading_word(self.trading)

    def spec(self) -> InstrumentSpec:
        """The instrument as the pure core knows it."""
        return InstrumentSpec(
            self.venue,
            self.symbol,
            self.base,
            self.quote,
            InstrumentKind(self.kind),
            self.tick,
            self.lot,
            self.min_quantity,
            self.min_notional,
            self.max_leverage,
            self.taker_fee,
            self.maker_fee,
            Trading(self.trading),
        )


class Candle(models.Model):
    """A closed candle, keyed by its close time (UTC, floored).

    `is_synthetic`: nothing was traded in it, or its venue has it no more; it stands at the close before so that time goes on without a
    hole. No strategy is run on it, and it is nobody's price.
    """

    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, db_index=False, related_name="+")
    timeframe = models.CharField(max_length=3)
    close_time = models.DateTimeField()
    open = ExactDecimalField()
    high = ExactDecimalField()
    low = ExactDecimalField()
    close = ExactDecimalField()
    volume = ExactDecimalField()
    is_synthetic = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["instrument", "timeframe", "close_time"], name="candle_unique"),
        ]
        # What closed lately, of every instrument: what the run stage asks at each close.
        indexes = [models.Index(fields=["close_time"], name="candle_by_close")]

    def __str__(self) -> str:
        return f"{self.instrument_id} {self.timeframe} {self.close_time:%Y-%m-%dT%H:%MZ}"

    def value(self) -> CandleValue:
        """The candle as the pure core knows it."""
        return CandleValue(self.close_time, self.open, self.high, self.low, self.close, self.volume)


class LatestPrice(models.Model):
    """The newest price of an instrument, and when the market made it."""

    instrument = models.OneToOneField(Instrument, primary_key=True, on_delete=models.CASCADE, related_name="latest")
    price = ExactDecimalField()
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.instrument_id} {self.price}"


class FxRate(models.Model):
    """Units of `quote` for one unit of `base`, as of `at`."""

    base = models.CharField(max_length=15)
    quote = models.CharField(max_length=15)
    at = models.DateTimeField()
    rate = ExactDecimalField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["base", "quote", "at"], name="fx_rate_unique")]

    def __str__(self) -> str:
        return f"{self.base}/{self.quote} {self.rate}"
