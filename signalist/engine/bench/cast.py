"""Whom a benchmark of the fan-out serves: one strategy that goes long on a rising candle, and N workspaces of one that follow it."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from django.apps import apps
from django.db import connection, connections, transaction

from signalist.accounts.models import Account
from signalist.clock import Clock
from signalist.domain.instruments import InstrumentKind
from signalist.domain.orders import NAMESPACE
from signalist.markets.models import AssetPair, Candle, Instrument, LatestPrice
from signalist.strategies.models import Schedule, Signal, Strategy, StrategyRun, StrategyVersion
from signalist.strategies.version_models import VersionState
from signalist.trading.models import Subscription
from signalist.venues.loopback.venue import LOOPBACK
from tenants.doors import across_tenants
from tenants.models import Tenant

PRICE = Decimal(40_000)
CAPITAL = Decimal(100_000)
CURRENCY = "USD"
SYMBOL = "BTC-PERP"
FRAME = "10s"
PREFIX = "bench-"
BARE = "bare-"
AT_ONCE = 1000
STRATEGY = '''"""Goes long on every candle that closes above its open: for measuring the fan-out."""
from signalist_strategy import Candles, Parameter, Parameters, Signals

parameters = {{}}
history = 1


def signals(candles: Candles, parameters: Parameters) -> Signals:
    return Signals(enter_long=candles.close > candles.open{levels})
'''
LEVELS = {
    1: "",
    2: ", stop_long=candles.close * 0.98",
    3: ", stop_long=candles.close * 0.98, target_long=candles.close * 1.04",
}
_STAY = (Tenant, Account, Instrument, AssetPair, Strategy, StrategyVersion, Schedule, Subscription)
_GO = (Candle, LatestPrice, StrategyRun, Signal)


class NotEmpty(RuntimeError):
    """The database holds somebody's accounts; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class Cast:
    """What the benchmark runs on. `refs` are the accounts at the venue, in order."""

    instrument: Instrument
    schedule: Schedule
    refs: Sequence[str]


def set_up(subscribers: int, legs: int, clock: Clock) -> Cast:
    """Make everything, on an empty database. Raises NotEmpty."""
    if Account.objects.exclude(venue=LOOPBACK).exists():
        raise NotEmpty("This database holds trading accounts; name an empty one in DATABASE_URL.")
    if Account.objects.exists():
        raise NotEmpty("This database holds an earlier benchmark; name an empty one in DATABASE_URL.")
    instrument, schedule = _market(legs)
    refs = [f"{PREFIX}{n:06d}" for n in range(subscribers)]
    with transaction.atomic():
        for start in range(0, subscribers, AT_ONCE):
            _follow(refs[start : start + AT_ONCE], instrument, schedule, clock)
    return Cast(instrument, schedule, refs)


def _market(legs: int) -> tuple[Instrument, Schedule]:
    pair = AssetPair.objects.create(code="BTC/USD")
    instrument = Instrument.objects.create(
        venue=LOOPBACK,
        symbol=SYMBOL,
        pair=pair,
        base="BTC",
        quote=CURRENCY,
        kind=InstrumentKind.PERPETUAL.value,
        tick=Decimal("0.1"),
        lot=Decimal("0.0001"),
        min_quantity=Decimal("0.0001"),
        min_notional=Decimal(5),
        max_leverage=Decimal(20),
    )
    source = STRATEGY.format(levels=LEVELS[legs])
    strategy = Strategy.objects.create(slug="bench", name="Bench")
    digest = hashlib.sha256(source.encode()).hexdigest()
    version = StrategyVersion.objects.create(
        strategy=strategy, number=1, source=source, content_hash=digest, history=1, state=VersionState.PUBLISHED
    )
    return instrument, Schedule.objects.create(version=version, instrument=instrument, timeframe=FRAME)


def _follow(refs: Sequence[str], instrument: Instrument, schedule: Schedule, clock: Clock) -> None:
    """Workspaces of one, each with an account that follows the schedule."""
    ids = [uuid.uuid5(NAMESPACE, f"bench:{ref}") for ref in refs]
    tenants = Tenant.objects.bulk_create(
        [Tenant(public_id=key, name=ref, base_currency=CURRENCY) for key, ref in zip(ids, refs, strict=True)]
    )
    accounts = Account.objects.bulk_create(
        [
            Account(
                tenant=tenant,
                public_id=tenant.public_id,
                name="Bench",
                venue=LOOPBACK,
                venue_ref=tenant.name,
                currency=CURRENCY,
            )
            for tenant in tenants
        ]
    )
    Subscription.objects.bulk_create(
        [
            Subscription(
                tenant_id=account.tenant_id,
                public_id=account.public_id,
                account=account,
                strategy=schedule.version.strategy,
                schedule=schedule,
                instrument=instrument,
                capital=CAPITAL,
                notional_fraction=Decimal("0.1"),
                leverage=Decimal(5),
                started_at=clock.now() - timedelta(hours=1),
            )
            for account in accounts
        ]
    )


def begin_anew() -> None:
    """Forget what a run has written: every run begins alike."""
    kept = {model._meta.db_table for model in _STAY}
    emptied = {model._meta.db_table for model in _GO}
    for label in ("trading", "execution", "events"):
        emptied |= {model._meta.db_table for model in apps.get_app_config(label).get_models()}
    tables = ", ".join(f'"{name}"' for name in sorted(emptied - kept))
    owner = connections["default"].copy()
    # Only who made the tables may empty them: not the engine, whose role this process has taken on.
    owner.settings_dict["OPTIONS"].pop("assume_role", None)
    try:
        with across_tenants("bench"), owner.cursor() as cursor:
            if connection.vendor == "postgresql":
                cursor.execute(f"TRUNCATE {tables} RESTART IDENTITY")
                kept_tables = ", ".join(f'"{name}"' for name in sorted(kept))
                cursor.execute(f"ANALYZE {kept_tables}")
            else:
                # All that refers to each other goes, one table after the other.
                cursor.execute("PRAGMA foreign_keys = OFF")
                for name in sorted(emptied - kept):
                    cursor.execute(f'DELETE FROM "{name}"')  # noqa: S608 the names are our own tables'
    finally:
        owner.close()
