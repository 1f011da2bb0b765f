"""Strategies on offer with records written by hand, for the pages that everybody may see."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count

from signalist.strategies.models import Schedule, Signal, Strategy, StrategyRun
from signalist.trading.models import Following, SignalRecord
from tests.pages import ledger

BEGIN = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
_numbers = count(1)


def offered(slug: str, *markets: str, code: str = "1m", author: object = None, **fields: object) -> list[Schedule]:
    """A strategy that runs on these markets, each made where there is none yet."""
    from signalist.markets.models import Instrument

    Strategy.objects.create(slug=slug, name=slug.capitalize(), author=author, **fields)  # type: ignore[misc]
    found = []
    for symbol in markets or ("NOVA/USD",):
        market = Instrument.objects.filter(symbol=symbol).first() or ledger.instrument(symbol)
        found.append(ledger.schedule(market, slug, code))
    return found


def signalled(
    schedule: Schedule, at: datetime = BEGIN, kind: str = "LONG", deadline: timedelta = timedelta(seconds=30)
) -> Signal:
    """A signal at 100 with a stop at 95 and a target at 110."""
    number = next(_numbers)
    run = StrategyRun.objects.create(
        schedule=schedule,
        candle_close=at + timedelta(microseconds=number),
        status="SUCCESS",
        engine=ledger.ENGINE,
        claimed_at=at,
    )
    return Signal.objects.create(
        public_id=uuid.UUID(int=number),
        run=run,
        schedule=schedule,
        kind=kind,
        candle_close=at,
        reference_price=Decimal(100),
        stop=Decimal(95),
        target=Decimal(110),
        emitted_at=at,
        deadline=at + deadline,
    )


def recorded(
    schedule: Schedule,
    *averages: str,
    paper: bool = True,
    trades: int = 1,
    wins: int | None = None,
    slippage: str = "0.0002",
    delay: int = 400,
    begin: datetime = BEGIN,
    r: str | None = None,
) -> list[SignalRecord]:
    """One signal an hour whose `trades` followers came to these average returns; `r` each, or ten times the return in percent."""
    made = []
    for hour, average in enumerate(averages):
        value, at = Decimal(average), begin + timedelta(hours=hour)
        won = trades if value > 0 else 0
        made.append(
            SignalRecord.objects.create(
                signal=signalled(schedule, at),
                schedule=schedule,
                is_paper=paper,
                trades=trades,
                wins=won if wins is None else wins,
                with_stop=trades,
                return_total=value * trades,
                r_total=(Decimal(r) if r is not None else value * 100) * trades,
                slippage_total=Decimal(slippage) * trades,
                delay_ms_total=delay * trades,
                last_closed_at=at + timedelta(minutes=30),
            )
        )
    return made


def followed(schedule: Schedule, followers: int, *, paper: bool = True) -> None:
    """So many accounts follow the schedule's strategy."""
    Following.objects.create(strategy=schedule.version.strategy, is_paper=paper, followers=followers)
