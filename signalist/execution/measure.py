"""Stage `measure`: folds closed trades into the day's results and the public record of signals, and notes what each account is worth."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal

from signalist.accounts.models import Account
from signalist.db import fast
from signalist.db.units import unit
from signalist.db.wakes import ring_on_commit
from signalist.domain.money import ZERO
from signalist.events import outbox
from signalist.events.outbox import Fact
from signalist.markets.selectors import latest_prices
from signalist.trading import track_record
from signalist.trading.models import AccountBalance, DailyResult, EquityPoint, Position, Trade


def measure(now: datetime, limit: int = 500) -> int:
    """Count the trades that have not been counted yet; returns how many."""
    waiting = fast.tuples("SELECT id, account_id FROM trading_trade WHERE NOT measured ORDER BY id LIMIT %s", [limit])
    if not waiting:
        return 0
    with unit("measure.trades"):
        # Two engines that counted trades of one day at once would each miss the other's: the account is the lock.
        accounts = {a.pk: a for a in fast.select_ids(Account, sorted({row[1] for row in waiting}), lock="update")}
        trades = fast.select_ids(Trade, sorted(row[0] for row in waiting), "NOT measured")
        if not trades:
            return 0
        by_day: dict[tuple[int, date], list[Trade]] = defaultdict(list)
        for trade in trades:
            by_day[trade.subscription_id, trade.closed_at.date()].append(trade)
        known = _known(by_day)
        results = [_counted(known.get(key), key[1], found) for key, found in sorted(by_day.items())]
        days = fast.Insert(
            results,
            "ON CONFLICT (subscription_id, day) DO UPDATE SET trades = excluded.trades, wins = excluded.wins, "
            "gross = excluded.gross, fees = excluded.fees, net = excluded.net",
        )
        records = track_record.counted(trades, accounts)
        for trade in trades:
            trade.measured = True
        fast.write_together(
            days,
            records,
            fast.Update(trades, ("measured",)),
            outbox.prepared([_measured(result, now) for result in results]),
        )
        if len(waiting) == limit:
            ring_on_commit("measure")
    return len(trades)


def _known(by_day: dict[tuple[int, date], list[Trade]]) -> dict[tuple[int, date], DailyResult]:
    subscriptions, days = {key[0] for key in by_day}, {key[1] for key in by_day}
    wanted = " OR ".join(f"day = '{day.isoformat()}'" for day in sorted(days))
    found = fast.select_ids(DailyResult, sorted(subscriptions), wanted, column="subscription_id")
    return {(result.subscription_id, result.day): result for result in found}


def _counted(known: DailyResult | None, day: date, trades: list[Trade]) -> DailyResult:
    first = trades[0]
    result = known or DailyResult(
        tenant_id=first.tenant_id, subscription_id=first.subscription_id, account_id=first.account_id, day=day
    )
    result.pk = None
    result.trades += len(trades)
    result.wins += sum(trade.net > 0 for trade in trades)
    result.gross += sum((trade.gross for trade in trades), ZERO)
    result.fees += sum((trade.fees for trade in trades), ZERO)
    result.net += sum((trade.net for trade in trades), ZERO)
    return result


def _measured(result: DailyResult, now: datetime) -> Fact:
    payload = {"subscription": result.subscription_id, "day": result.day.isoformat(), "net": str(result.net)}
    return Fact("day_measured", result.tenant_id, now, payload)


def snapshot(now: datetime) -> int:
    """Note what every account is worth at `now`; returns how many were noted.

    An account that holds something without a price has no worth that could be told. A moment that is noted already stays as it is.
    """
    with unit("measure.snapshot"):
        # Whoever folds fills locks the account first: money and positions of one are of the same moment.
        accounts = fast.select(Account, "id > 0 ORDER BY id", lock="update")
        balances = {b.account_id: b for b in fast.select(AccountBalance, "id > 0 ORDER BY id")}
        held: dict[int, list[Position]] = defaultdict(list)
        for position in fast.select(Position, "is_open ORDER BY id"):
            held[position.account_id].append(position)
        prices = latest_prices({position.instrument_id for positions in held.values() for position in positions})
        points = []
        for account in accounts:
            equity = _equity(balances.get(account.pk), held[account.pk], prices)
            if equity is not None:
                points.append(EquityPoint(tenant_id=account.tenant_id, account_id=account.pk, at=now, equity=equity))
        fast.insert(points, conflict="ON CONFLICT (account_id, at) DO NOTHING")
    return len(points)


def _equity(
    balance: AccountBalance | None, positions: Sequence[Position], prices: Mapping[int, tuple[Decimal, datetime]]
) -> Decimal | None:
    """The account's money and its open result; None where either is not known."""
    if balance is None or any(position.instrument_id not in prices for position in positions):
        return None
    equity: Decimal = balance.total
    return equity + sum((p.holding().open_result(prices[p.instrument_id][0]) for p in positions), ZERO)
