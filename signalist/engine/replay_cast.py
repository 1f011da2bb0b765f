"""Sets up what a replay needs in the database: instruments, strategy, and subscribers drawn from the seed. Safe to repeat."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from signalist.accounts.models import Account
from signalist.accounts.paper_store import PaperStore
from signalist.domain.candles import Candle
from signalist.domain.instruments import InstrumentKind
from signalist.domain.matching import drawn
from signalist.domain.money import nearest_to
from signalist.domain.orders import NAMESPACE
from signalist.domain.rules import Limits
from signalist.domain.timeframes import Timeframe
from signalist.engine.publishing import published
from signalist.markets.models import AssetPair, FxRate, Instrument
from signalist.strategies.models import Schedule
from signalist.trading.actions import subscribe
from signalist.trading.models import Subscription
from signalist.trading.terms import Terms
from signalist.venues.paper.venue import CAPABILITIES, PAPER
from tenants.models import Membership, Role, Tenant, User

SECOND_QUOTE = "INR"
SECOND_RATE = Decimal("74.5")
SECOND_TICK = Decimal("5")


class ReplayError(Exception):
    """The replay cannot begin or go on; the message is one sentence for the person at the terminal."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to replay."""

    file: Path
    instrument: str
    frame: Timeframe
    strategy: str
    subscribers: int
    seed: int


@dataclass(frozen=True, slots=True)
class Cast:
    """What the replay runs on: the recorded instrument, its twin in another currency, the schedule and the subscriptions."""

    recorded: Instrument
    twin: Instrument
    schedule: Schedule
    subscriptions: Sequence[Subscription]


def set_up(plan: Plan, candles: Sequence[Candle], *, alone: bool = True) -> Cast:
    """Make or find everything. Raises DomainError for a strategy that is not there or does not run.

    `alone`: raise ReplayError where others follow the strategy too, whose trades would be no part of this replay.
    """
    first = candles[0]
    recorded, twin = _instruments(plan, candles)
    version = published(plan.strategy)
    schedule, _ = Schedule.objects.get_or_create(version=version, instrument=recorded, timeframe=plan.frame.code)
    begin = first.close_time - plan.frame.length
    FxRate.objects.get_or_create(base=recorded.quote, quote=SECOND_QUOTE, at=begin, defaults={"rate": SECOND_RATE})
    wanted = {_id(plan, n): n for n in range(plan.subscribers)}
    others = Subscription.objects.filter(schedule=schedule).exclude(public_id__in=wanted)
    if alone and others.exists():
        raise ReplayError(
            "This database holds a replay of the same strategy and instrument with other subscribers or another seed; "
            "name an empty database in DATABASE_URL."
        )
    known = {s.public_id: s for s in Subscription.objects.filter(public_id__in=wanted).select_related("account")}
    subscriptions = [
        known.get(key) or _subscriber(plan, n, key, schedule, recorded, twin, begin) for key, n in wanted.items()
    ]
    return Cast(recorded, twin, schedule, subscriptions)


# --- Instruments ---------------------------------------------------------------------------------


def _instruments(plan: Plan, candles: Sequence[Candle]) -> tuple[Instrument, Instrument]:
    base, _, kind = plan.instrument.partition("-")
    quote = kind if kind and kind != "PERP" else "USD"
    pair, _ = AssetPair.objects.get_or_create(code=f"{base}/{quote}")
    tick, lot = _tick(candles), _lot(candles[0].close)
    shared = {"pair": pair, "base": base, "kind": InstrumentKind.PERPETUAL.value, "lot": lot, "min_quantity": lot}
    recorded, _ = Instrument.objects.get_or_create(
        venue=PAPER,
        symbol=plan.instrument,
        defaults=shared
        | {"quote": quote, "tick": tick, "min_notional": _cents(candles[0].close * lot), "max_leverage": Decimal(50)},
    )
    twin, _ = Instrument.objects.get_or_create(
        venue=PAPER,
        symbol=f"{plan.instrument}-{SECOND_QUOTE}",
        defaults=shared
        | {
            "quote": SECOND_QUOTE,
            "tick": min(SECOND_TICK, nearest_to(tick * SECOND_RATE, tick)),
            "min_notional": _cents(candles[0].close * lot * SECOND_RATE),
            "max_leverage": Decimal(20),
        },
    )
    recorded.refresh_from_db()
    twin.refresh_from_db()
    return recorded, twin


def _tick(candles: Sequence[Candle]) -> Decimal:
    """The finest price step that the recording shows, at most eight decimals."""
    finest = max(-int(c.close.normalize().as_tuple().exponent) for c in candles[:2000])
    return Decimal(1).scaleb(-min(max(finest, 0), 8))


def _lot(price: Decimal) -> Decimal:
    """A power of ten whose value lies near a tenth of a unit of money, at most one whole unit of the asset."""
    return min(Decimal(1).scaleb(-price.adjusted() - 1), Decimal(1)) if price >= 1 else Decimal(1)


def _cents(value: Decimal) -> Decimal:
    return value.quantize(Decimal("0.0000000001"))


def twin_candle(candle: Candle, tick: Decimal, seed: int) -> Candle:
    """The same minute in the second market: another currency and price scale, a few hundredths of a per cent apart."""
    apart = 1 + (drawn(seed, "twin", candle.close_time.isoformat()) - Decimal("0.5")) / 1000
    factor = SECOND_RATE * apart

    def scaled(value: Decimal) -> Decimal:
        return max(nearest_to(value * factor, tick), tick)

    opened, high, low, close = (scaled(v) for v in (candle.open, candle.high, candle.low, candle.close))
    return Candle(candle.close_time, opened, high, low, close, candle.volume)


# --- Subscribers ---------------------------------------------------------------------------------


def _id(plan: Plan, n: int) -> uuid.UUID:
    return uuid.uuid5(
        NAMESPACE, f"replay:{plan.seed}:{plan.subscribers}:{plan.strategy}:{plan.instrument}:{plan.frame.code}:{n}"
    )


def _subscriber(
    plan: Plan, n: int, key: uuid.UUID, schedule: Schedule, recorded: Instrument, twin: Instrument, begin: datetime
) -> Subscription:
    """A tenant of one with a funded paper account; the last one trades the twin."""
    instrument = twin if n == plan.subscribers - 1 and plan.subscribers > 1 else recorded
    terms = _terms(plan.seed, n, instrument)
    user = User.objects.filter(email=f"replay-{key.hex[:12]}@example.com").first()
    user = user or User.objects.create_user(f"replay-{key.hex[:12]}@example.com")
    tenant, _ = Tenant.objects.get_or_create(
        public_id=key, defaults={"name": f"Subscriber {n + 1}", "base_currency": instrument.quote}
    )
    Membership.objects.get_or_create(tenant=tenant, user=user, defaults={"role": Role.ADMIN, "is_owner": True})
    account, _ = Account.objects.get_or_create(
        venue=PAPER,
        venue_ref=str(key),
        defaults={"tenant": tenant, "public_id": key, "name": "Paper", "currency": instrument.quote},
    )
    PaperStore().open_account(str(key), instrument.quote, terms.capital)
    return subscribe(account, schedule, instrument, terms, begin, nets=CAPABILITIES.nets, public_id=key)


def _terms(seed: int, n: int, instrument: Instrument) -> Terms:
    """Capital, risk and limits of the n-th subscriber, drawn from the seed."""

    def between(name: str, low: str, high: str, step: str) -> Decimal:
        value = Decimal(low) + drawn(seed, "subscriber", str(n), name) * (Decimal(high) - Decimal(low))
        return nearest_to(value, Decimal(step))

    scale = SECOND_RATE if instrument.quote == SECOND_QUOTE else Decimal(1)
    return Terms(
        capital=between("capital", "2000", "250000", "100") * scale,
        risk_fraction=between("risk", "0.001", "0.01", "0.0005"),
        leverage=between("leverage", "1", "5", "1"),
        limits=Limits(
            open_positions=1 + int(drawn(seed, "subscriber", str(n), "positions") * 3),
            daily_entries=6 + int(drawn(seed, "subscriber", str(n), "entries") * 35),
            daily_loss_fraction=between("loss", "0.02", "0.10", "0.005"),
            exposure_fraction=between("exposure", "0.2", "1.5", "0.05"),
            position_fraction=between("position", "0.1", "1.0", "0.05"),
        ),
    )
