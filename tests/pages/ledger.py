"""Rows of the money path written by hand, for pages that only read them. Sums are the writer's to keep true."""

from __future__ import annotations

import os
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

from signalist.accounts.models import Account
from signalist.clock import utc_now
from signalist.execution import engines
from signalist.execution.models import EngineProcess
from signalist.markets.models import Candle, FxRate, Instrument, LatestPrice
from signalist.risk.models import Missed
from signalist.strategies.models import Gap, Schedule, Signal, Strategy, StrategyRun, StrategyVersion
from signalist.trading.models import (
    AccountBalance,
    DailyResult,
    EquityPoint,
    Execution,
    Order,
    Position,
    Subscription,
    Trade,
)
from tenants.models import Tenant

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
ENGINE = uuid.UUID(int=7)

_numbers = count(1)


def engine(clock: str = "market", seen: timedelta = timedelta(0)) -> EngineProcess:
    """An engine that lives in this very process and was last seen so long ago. On the market clock the newest price is the present."""
    now = utc_now()
    return EngineProcess.objects.create(
        boot=engines._boot(), pid=os.getpid(), clock=clock, started_at=now - timedelta(days=1), seen_at=now - seen
    )


def instrument(symbol: str = "NOVA/USD", price: str | None = "100", at: datetime = NOON, **more: Any) -> Instrument:
    """An instrument in hundredths, with its newest price."""
    base, _, quote = symbol.partition("/")
    fields: dict[str, Any] = {
        "venue": "paper",
        "symbol": symbol,
        "base": base,
        "quote": quote or "USD",
        "kind": "PERPETUAL",
        "tick": Decimal("0.01"),
        "lot": Decimal("0.001"),
        "min_quantity": Decimal("0.001"),
        "min_notional": Decimal(1),
        "max_leverage": Decimal(20),
    }
    made = Instrument.objects.create(**{**fields, **more})
    if price is not None:
        LatestPrice.objects.create(instrument=made, price=Decimal(price), at=at)
    return made


def candles(market: Instrument, code: str, step: timedelta, *closes: str, until: datetime = NOON) -> None:
    """Candles that close at these prices, the last at `until`; each opens where the one before closed and has no wick."""
    prices = [Decimal(close) for close in closes]
    begin = until - step * (len(prices) - 1)
    for n, close in enumerate(prices):
        opened = prices[max(n - 1, 0)]
        Candle.objects.create(
            instrument=market,
            timeframe=code,
            close_time=begin + step * n,
            open=opened,
            high=max(opened, close),
            low=min(opened, close),
            close=close,
            volume=Decimal(1),
        )


def schedule(market: Instrument, slug: str = "drift", code: str = "1m") -> Schedule:
    """A strategy that runs on the instrument."""
    strategy, _ = Strategy.objects.get_or_create(slug=slug, defaults={"name": slug.capitalize()})
    version, _ = StrategyVersion.objects.get_or_create(
        strategy=strategy, number=1, defaults={"source": "", "content_hash": "", "history": 1, "state": "PUBLISHED"}
    )
    return Schedule.objects.create(version=version, instrument=market, timeframe=code)


def ran(due: Schedule, close: datetime, status: str = "NO_SIGNAL") -> StrategyRun:
    """A run on the candle that closed then."""
    return StrategyRun.objects.create(
        schedule=due, candle_close=close, status=status, engine=ENGINE, claimed_at=close, finished_at=close
    )


def missed(subscription: Subscription, until: datetime, candles: int = 5, entries: int = 0, **more: Any) -> Missed:
    """The subscription followed through a gap of these minutes."""
    first = until - timedelta(minutes=candles - 1)
    gap, _ = Gap.objects.get_or_create(
        schedule=subscription.schedule,
        first_close=first,
        defaults={"last_close": until, "candles": candles, "entries": entries, "found_at": until, "answered_at": until},
    )
    fields: dict[str, Any] = {"choice": subscription.after_outage, "at": until}
    return Missed.objects.create(
        tenant_id=subscription.tenant_id, subscription=subscription, gap=gap, **{**fields, **more}
    )


def account(tenant: Tenant, money: str | None = "1000", **more: Any) -> Account:
    """A paper account whose venue has reported `money`."""
    number = next(_numbers)
    fields = {"name": "Main", "venue": "paper", "venue_ref": f"ref-{number}", "currency": "USD"}
    made = Account.objects.create(tenant=tenant, **{**fields, **more})
    if money is not None:
        AccountBalance.objects.create(
            tenant=tenant, account=made, total=Decimal(money), available=Decimal(money), at=NOON
        )
    return made


def follows(holder: Account, due: Schedule, **more: Any) -> Subscription:
    """The account follows the schedule's strategy on its instrument."""
    fields: dict[str, Any] = {
        "capital": Decimal(1000),
        "risk_fraction": Decimal("0.01"),
        "leverage": Decimal(5),
        "started_at": NOON - timedelta(days=30),
    }
    return Subscription.objects.create(
        tenant_id=holder.tenant_id,
        account=holder,
        strategy=due.version.strategy,
        schedule=due,
        instrument=due.instrument,
        **{**fields, **more},
    )


def decided(subscription: Subscription, at: datetime = NOON, **more: Any) -> Execution:
    """An entry that was taken, on a signal of its own."""
    due = subscription.schedule
    run = StrategyRun.objects.create(
        schedule=due,
        candle_close=at - timedelta(microseconds=next(_numbers)),
        status="SUCCESS",
        engine=ENGINE,
        claimed_at=at,
    )
    signal = Signal.objects.create(
        public_id=uuid.uuid4(),
        run=run,
        schedule=due,
        kind="LONG",
        candle_close=at,
        reference_price=Decimal(100),
        emitted_at=at,
        deadline=at + timedelta(minutes=1),
        fanned_out_at=at,
    )
    fields: dict[str, Any] = {"kind": "LONG", "status": "TAKEN", "numbers": {}, "created_at": at, "decided_at": at}
    return Execution.objects.create(
        tenant_id=subscription.tenant_id,
        subscription=subscription,
        account=subscription.account,
        signal=signal,
        **{**fields, **more},
    )


def position(
    subscription: Subscription,
    quantity: str = "1",
    entry: str = "90",
    *,
    stop: str | None = "80",
    fees: str = "0",
    at: datetime = NOON - timedelta(hours=1),
    **more: Any,
) -> Position:
    """An open long."""
    size, price = Decimal(quantity), Decimal(entry)
    return Position.objects.create(
        tenant_id=subscription.tenant_id,
        subscription=subscription,
        account=subscription.account,
        instrument=subscription.instrument,
        entry_execution=decided(subscription, at),
        opened_at=at,
        **{
            "direction": "LONG",
            "quantity": size,
            "entry_quantity": size,
            "entry_value": size * price,
            "fees": Decimal(fees),
            "stop": None if stop is None else Decimal(stop),
            "protection_due": False,
            **more,
        },
    )


def stop_order(held: Position, status: str = "WORKING") -> Order:
    """The stop of a position."""
    number = next(_numbers)
    return Order.objects.create(
        tenant_id=held.tenant_id,
        account=held.account,
        subscription=held.subscription,
        instrument=held.instrument,
        execution=held.entry_execution,
        position=held,
        leg="STOP",
        client_order_id=str(uuid.UUID(int=number)),
        tag=f"tag-{number}",
        side="SELL",
        type="STOP",
        quantity=held.quantity,
        trigger=held.stop,
        reduce_only=True,
        status=status,
        created_at=held.opened_at,
        updated_at=held.opened_at,
    )


def trade(subscription: Subscription, gross: str, fees: str, at: datetime = NOON, *, measured: bool = True) -> Trade:
    """A closed round trip of one unit from 100, and its part of the day where it has been `measured`."""
    won, paid = Decimal(gross), Decimal(fees)
    begin = at - timedelta(minutes=5)
    held = position(subscription, "1", "100", fees=fees, at=begin, is_open=False, closed_at=at)
    Position.objects.filter(pk=held.pk).update(
        quantity=Decimal(0), exit_quantity=Decimal(1), exit_value=Decimal(100) + won
    )
    made = Trade.objects.create(
        tenant_id=subscription.tenant_id,
        position=held,
        subscription=subscription,
        account=subscription.account,
        instrument=subscription.instrument,
        direction="LONG",
        quantity=Decimal(1),
        entry_price=Decimal(100),
        exit_price=Decimal(100) + won,
        gross=won,
        fees=paid,
        net=won - paid,
        currency=subscription.account.currency,
        exit_type="SIGNAL",
        opened_at=begin,
        closed_at=at,
        measured=measured,
    )
    if measured:
        result, _ = DailyResult.objects.get_or_create(
            tenant_id=subscription.tenant_id, subscription=subscription, account=subscription.account, day=at.date()
        )
        result.trades, result.gross = result.trades + 1, result.gross + won
        result.fees, result.net = result.fees + paid, result.net + won - paid
        result.save()
    return made


def worth(holder: Account, equity: str, at: datetime) -> EquityPoint:
    """What the account was worth then."""
    return EquityPoint.objects.create(tenant_id=holder.tenant_id, account=holder, at=at, equity=Decimal(equity))


def rate(base: str, quote: str, value: str, at: datetime = NOON - timedelta(hours=1)) -> FxRate:
    """A dated exchange rate."""
    return FxRate.objects.create(base=base, quote=quote, rate=Decimal(value), at=at)
