"""What the dashboard shows: key figures, the day, the state of trading. Reads of the tenant behind the open door."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from signalist.dashboard import equity
from signalist.dashboard.day import Following, Gauge, day, nearest
from signalist.dashboard.worth import AccountWorth, Books, Worth, books, strictest
from signalist.domain.money import ZERO
from signalist.execution.standing import Closed
from signalist.markets.exchange_rates import Rate, Total, rates_to, total
from signalist.trading.marked_positions import PositionBook
from signalist.trading.open_positions import open_positions

MOST_GAUGES = 4


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the tenant stands at `now`, as every figure of the dashboard sees it: `currency` is that of its totals."""

    now: datetime
    currency: str
    held: PositionBook
    books: Books
    rates: Mapping[str, Rate]

    @property
    def line_rates(self) -> dict[int, float]:
        """The accounts of the main book that can be valued, with what a unit of each one's currency is worth."""
        return {
            account.key: float(self.rates[account.currency].rate)
            for account in self.books.main.accounts
            if account.currency in self.rates
        }


@dataclass(frozen=True, slots=True)
class Aside:
    """Paper beside real money: told in a sentence, never added."""

    equity: Total
    today: Total


@dataclass(frozen=True, slots=True)
class KeyFigures:
    """The strip. Fractions are of equity; `drawdown` is below the peak of thirty days, 0 at it. None is what is not known."""

    is_paper: bool
    accounts: int
    equity: Total
    today: Total
    today_fraction: Decimal | None
    open_result: Total
    positions: int
    at_stops: Total
    at_stops_fraction: Decimal | None
    without_stop: int
    drawdown: float | None
    peak: float | None
    aside: Aside | None


@dataclass(frozen=True, slots=True)
class StrategyDay:
    """What a strategy made of the day, closed and open together; `bar` is its share of the largest, from -100 to 100."""

    strategy: str
    slug: str
    result: Decimal
    bar: float


@dataclass(frozen=True, slots=True)
class Today:
    """The day so far of the main book, in `currency`. `closed` and `open_change` add up to `total`."""

    currency: str
    is_paper: bool
    closed: Closed | None
    open_change: Decimal | None
    total: Total
    strategies: tuple[StrategyDay, ...]
    gauges: tuple[Gauge, ...]
    gauges_in_all: int
    aside: Total | None


@dataclass(frozen=True, slots=True)
class KillState:
    """The strictest state of any account, and the accounts that are not ACTIVE."""

    state: str
    restrained: tuple[AccountWorth, ...]
    accounts: int


def standing(currency: str, now: datetime) -> Standing:
    """Read where the tenant stands; totals are in `currency`. A constant number of queries, whatever it holds."""
    held = open_positions(now)
    found = books(now, held)
    both = [found.main, *([found.aside] if found.aside else [])]
    currencies = {account.currency for worth in both for account in worth.accounts}
    currencies |= {position.market.quote for worth in both for position in worth.positions}
    return Standing(now, currency, held, found, rates_to(currency, currencies, now))


def key_figures(found: Standing) -> KeyFigures:
    """The strip of the main book. One query a minute beside what `found` has read."""
    main = found.books.main
    worth, today, at_stops = _equity(main, found), _today(main, found), _sum(main.at_stops, main.unknown, found)
    top = equity.peak(found.line_rates, found.now)
    if worth.amount is not None:
        top = max(top or 0.0, float(worth.amount))
    below = None if worth.amount is None or not top else min(float(worth.amount) / top - 1, 0.0)
    aside = found.books.aside
    return KeyFigures(
        main.is_paper,
        len(main.accounts),
        worth,
        today,
        _fraction(today.amount, worth.amount, -1),
        _sum(main.open_result, main.unknown, found),
        len(main.positions),
        at_stops,
        _fraction(at_stops.amount, worth.amount),
        main.without_stop,
        below,
        top,
        None if aside is None else Aside(_equity(aside, found), _today(aside, found)),
    )


def today(found: Standing) -> Today:
    """The day so far. Five queries beside what `found` has read."""
    main, aside = found.books.main, found.books.aside
    days = day(found.now, main)
    in_all = _today(main, found)
    closed = _closed(days, found)
    change = None if closed is None or in_all.amount is None else in_all.amount - closed.net
    gauges = nearest(days, MOST_GAUGES)
    return Today(
        found.currency,
        main.is_paper,
        closed,
        change,
        in_all,
        _by_strategy(days, found),
        tuple(gauges),
        sum(len(following.gauges) for following in days),
        None if aside is None else _today(aside, found),
    )


def kill_state(found: Books) -> KillState:
    """The state of trading: of all accounts, the strictest wins."""
    accounts = [*found.main.accounts, *(found.aside.accounts if found.aside else ())]
    restrained = tuple(account for account in accounts if account.state != "ACTIVE")
    return KillState(strictest(accounts), restrained, len(accounts))


def _equity(worth: Worth, found: Standing) -> Total:
    return _sum(worth.equity, worth.unknown, found)


def _today(worth: Worth, found: Standing) -> Total:
    return _sum(worth.change, worth.unknown_change, found)


def _sum(parts: Mapping[str, Decimal], unknown: tuple[str, ...], found: Standing) -> Total:
    return total(parts, found.currency, found.rates, unknown)


def _fraction(part: Decimal | None, whole: Decimal | None, less: int = 0) -> Decimal | None:
    """`part` of `whole`; with `less` -1 of what the whole was before the part came to it."""
    if part is None or whole is None or (base := whole + part * less) <= 0:
        return None
    return part / base


def _closed(days: Sequence[Following], found: Standing) -> Closed | None:
    """All that was closed, valued in one currency; None where one of them has no rate."""
    sums = Closed()
    for following in days:
        one = following.closed
        if one.trades and following.currency not in found.rates:
            return None
        if one.trades:
            rate = found.rates[following.currency].rate
            sums += Closed(one.trades, one.gross * rate, one.fees * rate, one.net * rate)
    return sums


def _by_strategy(days: Sequence[Following], found: Standing) -> tuple[StrategyDay, ...]:
    """The best first; strategies whose day cannot be valued are left to their own pages."""
    names: dict[str, str] = {}
    results: dict[str, Decimal] = {}
    for following in days:
        if following.currency in found.rates:
            names[following.slug] = following.strategy
            valued = following.result * found.rates[following.currency].rate
            results[following.slug] = results.get(following.slug, ZERO) + valued
    largest = max((abs(result) for result in results.values()), default=ZERO) or Decimal(1)
    ranked = sorted(results.items(), key=lambda item: (-item[1], item[0]))
    return tuple(StrategyDay(names[slug], slug, result, float(result / largest) * 100) for slug, result in ranked)
