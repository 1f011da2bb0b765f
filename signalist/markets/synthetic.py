"""The synthetic market: its instruments, and a feed that is asked again and again what happened up to now.

Instruments are traded at the paper venue. Whatever the feed generates goes through `markets.feeds`, as if a venue had said it; where
it stopped is what the stored candles say.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from signalist.domain.candles import Candle
from signalist.domain.instruments import InstrumentKind, InstrumentSpec
from signalist.domain.synthetic import PER_MINUTE, SEED, TEN_SECONDS, Profile, Walk, begin, resume
from signalist.logs import logger
from signalist.markets import feeds
from signalist.markets import models as rows
from signalist.markets.history import newest
from signalist.venues.paper.venue import PAPER

log = logger(__name__)

LONGEST_GAP = timedelta(days=1)
"""A market that stood still for longer is not filled up: it begins anew where it stopped."""
AT_ONCE = timedelta(minutes=5)
"""How much of a gap is filled in one step, so that no transaction is long."""


def _profile(
    symbol: str, pair: str, level: str, tick: str, lot: str, leverage: int, volatility: float, turnover: str
) -> Profile:
    base, _, quote = pair.partition("/")
    spec = InstrumentSpec(
        PAPER,
        symbol,
        base,
        quote,
        InstrumentKind.PERPETUAL,
        Decimal(tick),
        Decimal(lot),
        min_quantity=Decimal(lot),
        min_notional=Decimal(5),
        max_leverage=Decimal(leverage),
    )
    return Profile(spec, pair, Decimal(level), volatility, Decimal(turnover))


PROFILES: tuple[Profile, ...] = (
    _profile("NOVA/USD", "NOVA/USD", "42000", "0.5", "0.0001", 20, 0.0004, "0.6"),
    _profile("LUMA/USD", "LUMA/USD", "2300", "0.05", "0.001", 20, 0.00045, "9"),
    _profile("TEMPO-100", "TEMPO/USD", "1480", "0.01", "0.01", 20, 0.0003, "14"),
    _profile("AUR/USD", "AUR/USD", "1.0860", "0.00001", "1000", 30, 0.0002, "40000"),
)


def instruments() -> dict[str, rows.Instrument]:
    """The instruments of the synthetic market by symbol; made where they are missing."""
    found = {}
    for profile in PROFILES:
        spec = profile.spec
        pair, _ = rows.AssetPair.objects.get_or_create(code=profile.pair)
        found[spec.symbol], _ = rows.Instrument.objects.get_or_create(
            venue=spec.venue,
            symbol=spec.symbol,
            defaults={
                "pair": pair,
                "base": spec.base,
                "quote": spec.quote,
                "kind": spec.kind.value,
                "tick": spec.tick,
                "lot": spec.lot,
                "min_quantity": spec.min_quantity,
                "min_notional": spec.min_notional,
                "max_leverage": spec.max_leverage,
            },
        )
    return found


class SyntheticFeed:
    """The feed of one process. Make sure that no other process feeds the same market."""

    def __init__(self, seed: int = SEED) -> None:
        self._seed = seed
        self._walks: dict[int, Walk] = {}
        self._told: datetime | None = None

    def advance(self, now: datetime) -> bool:
        """Store what happened up to `now`, five minutes of it at most: candles that closed, and the newest prices.

        True when that was all, False when it wants to be asked again at once.
        """
        standing = self._standing(now)
        until = min(now, _behind(standing) + AT_ONCE)
        walks: dict[int, Walk] = {}
        closed: list[feeds.ClosedCandle] = []
        for key, walk in standing.items():
            walks[key], news = walk.to(until)
            closed += [feeds.ClosedCandle(key, one.frame, one.candle) for one in news]
        prices = [feeds.Price(key, walk.value, walk.at) for key, walk in walks.items()]
        reached = max(price.at for price in prices)
        if closed:
            feeds.take_candles(sorted(closed, key=_order), prices)
        elif reached != self._told:
            feeds.take_prices(prices)
        # Only now: where the database gave up, the same is done once more, and must find the same candles still to close.
        self._walks, self._told = walks, reached
        return until == now

    def forget(self) -> None:
        """Read anew from the stored candles where the market stands: another process has fed it, or may have."""
        self._walks.clear()

    def _standing(self, now: datetime) -> dict[int, Walk]:
        """Where the market stands. After a gap that is too long, be it that the machine has slept, it is asked of what is stored."""
        if self._walks and now - _behind(self._walks) <= LONGEST_GAP:
            return self._walks
        return self._begun(now)

    def _begun(self, now: datetime) -> dict[int, Walk]:
        known = instruments()
        return {
            known[profile.spec.symbol].pk: _walk(profile, self._seed, known[profile.spec.symbol], now)
            for profile in PROFILES
        }


def _walk(profile: Profile, seed: int, instrument: rows.Instrument, now: datetime) -> Walk:
    """The walk that goes on after what is stored, or one that begins now where nothing is or it is too old."""
    stored = _newest(instrument)
    here = TEN_SECONDS.last_close(now)
    if not stored:
        return begin(profile, seed, here)
    if here - stored[-1].close_time > LONGEST_GAP:
        log.warning(
            "synthetic_market_begins_anew", instrument=str(instrument), stopped=stored[-1].close_time.isoformat()
        )
        return begin(profile, seed, here, stored[-1].close)
    return resume(profile, seed, stored)


def _newest(instrument: rows.Instrument) -> list[Candle]:
    """The newest ten-second candles, oldest first: at least those of the minute that has begun."""
    return newest(instrument.pk, TEN_SECONDS.code, PER_MINUTE)


def _behind(walks: Mapping[int, Walk]) -> datetime:
    """Where the market stands that has come least far."""
    return min(walk.at for walk in walks.values())


def _order(closed: feeds.ClosedCandle) -> tuple[datetime, int, int]:
    return closed.candle.close_time, closed.frame.seconds, closed.instrument_id


def history(begins: datetime, seed: int = SEED) -> dict[int, Walk]:
    """Walks of all instruments by id that begin at the close `begins`, or go on after what is stored since then."""
    known = instruments()
    walks = {}
    for profile in PROFILES:
        instrument = known[profile.spec.symbol]
        stored = _newest(instrument)
        before = stored[-1].close if stored else None
        since = [candle for candle in stored if candle.close_time > begins]
        walks[instrument.pk] = resume(profile, seed, since) if since else begin(profile, seed, begins, before)
    return walks
