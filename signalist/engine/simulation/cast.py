"""Who takes part in a simulation: two markets, a strategy on each, and tenants with accounts and subscriptions drawn from the seed."""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from signalist.accounts import models as books
from signalist.accounts.models import Account
from signalist.domain.instruments import InstrumentKind
from signalist.domain.orders import NAMESPACE
from signalist.domain.rules import Limits
from signalist.engine.simulation.dice import Dice
from signalist.engine.simulation.faults import CAPABILITIES
from signalist.engine.simulation.plans import drawn_plan
from signalist.markets.models import AssetPair, Instrument
from signalist.strategies.models import Schedule, Strategy, StrategyVersion
from signalist.strategies.version_models import VersionState
from signalist.trading.actions import subscribe
from signalist.trading.models import Following, Subscription
from signalist.trading.terms import Terms, apply
from signalist.venues.paper.venue import PAPER
from tenants.models import Tenant

BEGIN = datetime(2024, 5, 6, 9, 0, tzinfo=UTC)
MARKED = "simulated"
"""With this begins whatever a simulation calls by a name; a database that holds anything else is left alone."""
DEPOSIT = Decimal(100_000)
TENANTS, ACCOUNTS = 6, 24
# Symbol, price at the beginning, tick, and the smallest quantity that can be traded.
MARKETS = (("BTC-PERP", "40000", "0.1", "0.00001"), ("ETH-PERP", "2500", "0.01", "0.001"))


@dataclass(slots=True)
class Cast:
    """The cast of one seed. `subscriptions` are those that live; `given` counts what has been subscribed so far, for names."""

    instruments: list[Instrument]
    schedules: list[Schedule]
    accounts: list[Account]
    subscriptions: list[Subscription] = field(default_factory=list)
    given: int = 0

    def ref(self, account_id: int) -> str:
        """What the venue calls an account."""
        return next(account.venue_ref for account in self.accounts if account.pk == account_id)


def assembled(dice: Dice) -> Cast:
    """Make the cast of a seed; the database holds no other."""
    instruments = [_instrument(*market) for market in MARKETS]
    schedules = [_schedule(instrument) for instrument in instruments]
    tenants = [
        Tenant.objects.get_or_create(
            public_id=_key(f"tenant {n}"), defaults={"name": f"{MARKED} {n}", "base_currency": "USD"}
        )[0]
        for n in range(TENANTS)
    ]
    accounts = Account.objects.bulk_create([_account(dice, n, tenants[n % TENANTS]) for n in range(ACCOUNTS)])
    books.PaperAccount.objects.bulk_create(
        [books.PaperAccount(ref=a.venue_ref, currency=a.currency, cash=DEPOSIT) for a in accounts]
    )
    cast = Cast(instruments, schedules, accounts)
    _follow_from_the_beginning(cast, dice)
    return cast


def _follow_from_the_beginning(cast: Cast, dice: Dice) -> None:
    """What `subscribe` would write for each account and schedule, all at once: it is not what a simulation is about."""
    for account in cast.accounts:
        for schedule in cast.schedules:
            if dice.chance(0.9, "follows", account.venue_ref, schedule.instrument.symbol):
                name = _name(cast, account, schedule)
                made = Subscription(
                    public_id=_key(f"{dice.seed} {name}"),
                    tenant_id=account.tenant_id,
                    account=account,
                    strategy=schedule.version.strategy,
                    schedule=schedule,
                    instrument=schedule.instrument,
                    started_at=BEGIN,
                )
                apply(made, terms(dice, name))
                cast.given += 1
                cast.subscriptions.append(made)
    Subscription.objects.bulk_create(cast.subscriptions)
    followers = Counter(s.strategy_id for s in cast.subscriptions if s.strategy_id is not None)
    Following.objects.bulk_create(
        [Following(strategy_id=key, is_paper=True, followers=count) for key, count in followers.items()]
    )


def follow(cast: Cast, dice: Dice, account: Account, schedule: Schedule, now: datetime) -> Subscription:
    """Have an account follow what runs on a schedule. Raises Refused."""
    name = _name(cast, account, schedule)
    made = subscribe(
        account,
        schedule,
        schedule.instrument,
        terms(dice, name),
        now,
        nets=CAPABILITIES.nets,
        public_id=_key(f"{dice.seed} {name}"),
    )
    cast.given += 1
    cast.subscriptions.append(made)
    return made


def terms(dice: Dice, name: str) -> Terms:
    """Capital, sizing and limits, drawn."""
    by_risk = dice.chance(0.7, "terms", name, "sizing")
    return Terms(
        capital=dice.between("2000", "60000", "100", "terms", name, "capital"),
        risk_fraction=dice.between("0.001", "0.01", "0.0005", "terms", name, "risk") if by_risk else None,
        notional_fraction=None if by_risk else dice.between("0.05", "1", "0.05", "terms", name, "share"),
        leverage=Decimal(dice.whole(1, 10, "terms", name, "leverage")),
        limits=Limits(
            open_positions=dice.whole(1, 3, "terms", name, "positions"),
            daily_entries=dice.whole(8, 60, "terms", name, "entries"),
            daily_loss_fraction=dice.between("0.02", "0.10", "0.005", "terms", name, "loss"),
            exposure_fraction=dice.between("0.5", "3", "0.05", "terms", name, "exposure"),
            position_fraction=dice.between("0.2", "2", "0.05", "terms", name, "position"),
        ),
        plan=drawn_plan(dice, name),
    )


def _instrument(symbol: str, price: str, tick: str, lot: str) -> Instrument:
    base = symbol.partition("-")[0]
    pair, _ = AssetPair.objects.get_or_create(code=f"{base}/USD")
    return Instrument.objects.create(
        venue=PAPER,
        symbol=symbol,
        pair=pair,
        base=base,
        quote="USD",
        kind=InstrumentKind.PERPETUAL.value,
        tick=Decimal(tick),
        lot=Decimal(lot),
        min_quantity=Decimal(lot),
        min_notional=Decimal(1),
        max_leverage=Decimal(20),
    )


def _schedule(instrument: Instrument) -> Schedule:
    slug = f"{MARKED}-{instrument.base.lower()}"
    strategy = Strategy.objects.create(slug=slug, name=slug, created_at=BEGIN)
    version = StrategyVersion.objects.create(
        strategy=strategy,
        number=1,
        source="",
        content_hash="",
        history=1,
        created_at=BEGIN,
        state=VersionState.PUBLISHED,
    )
    return Schedule.objects.create(version=version, instrument=instrument, timeframe="1m")


def _account(dice: Dice, n: int, tenant: Tenant) -> Account:
    return Account(
        tenant=tenant,
        public_id=_key(f"{dice.seed} account {n}"),
        name=f"Paper {n}",
        venue=PAPER,
        venue_ref=f"{MARKED}-{n}",
        currency="USD",
        created_at=BEGIN - timedelta(days=1),
    )


def _name(cast: Cast, account: Account, schedule: Schedule) -> str:
    return f"{account.venue_ref}:{schedule.instrument.symbol}:{cast.given}"


def _key(name: str) -> uuid.UUID:
    return uuid.uuid5(NAMESPACE, f"{MARKED} {name}")
