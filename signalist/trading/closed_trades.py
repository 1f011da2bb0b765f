"""Closed trades as people look at them: each with its way out and its result, and what they come to together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.db.models import QuerySet

from signalist.accounts.models import on_paper
from signalist.db import fast
from signalist.domain.money import ZERO
from signalist.trading.labels import Follower, Market, attach_followers
from signalist.trading.models import DailyResult, ExitType, Position, Trade
from signalist.trading.open_positions import attach_entries, risk_each

EXITS = {
    ExitType.STOP_LOSS.value: "Stop",
    ExitType.TAKE_PROFIT.value: "Target",
    ExitType.SIGNAL.value: "Signal",
    ExitType.MANUAL.value: "By hand",
    ExitType.EMERGENCY.value: "Emergency",
    ExitType.TIME_EXIT.value: "Time",
    ExitType.DUST.value: "Rest too small",
}
"""How a position ended, in words."""

PERIODS = {days: timedelta(days=int(days)) for days in ("1", "7", "30", "90")}


@dataclass(frozen=True, slots=True)
class TradeLine:
    """A closed round trip; amounts in `currency`."""

    position_id: int
    market: Market
    follower: Follower
    direction: str
    quantity: Decimal
    entry: Decimal
    exit: Decimal
    gross: Decimal
    fees: Decimal
    net: Decimal
    currency: str
    exit_type: str
    risk_each: Decimal | None
    opened_at: datetime
    closed_at: datetime

    @property
    def ended(self) -> str:
        """How it ended, in a word or two."""
        return EXITS[self.exit_type]

    @property
    def held(self) -> timedelta:
        """From the first fill to the last."""
        return self.closed_at - self.opened_at

    @property
    def r(self) -> Decimal | None:
        """Net result as a multiple of what it was decided to lose at its stop; None without a stop."""
        risk = None if self.risk_each is None else self.risk_each * self.quantity
        return self.net / risk if risk else None


@dataclass(frozen=True, slots=True)
class TradeTotal:
    """What trades of real or of paper accounts in one currency come to."""

    is_paper: bool
    currency: str
    trades: int = 0
    wins: int = 0
    gross: Decimal = ZERO
    fees: Decimal = ZERO
    net: Decimal = ZERO

    def plus(self, trades: int, wins: int, gross: Decimal, fees: Decimal, net: Decimal) -> TradeTotal:
        """This and more of its kind."""
        counts = self.trades + trades, self.wins + wins
        return TradeTotal(self.is_paper, self.currency, *counts, self.gross + gross, self.fees + fees, self.net + net)

    @property
    def win_rate(self) -> Decimal:
        """Trades that ended above zero after fees, as a fraction of all."""
        return Decimal(self.wins) / self.trades


@dataclass(frozen=True, slots=True)
class TradeFilter:
    """Which trades; empty words and None let everything through."""

    instrument: str = ""
    exit_type: str = ""
    direction: str = ""
    since: datetime | None = None

    @property
    def is_everything(self) -> bool:
        """Whether it lets every trade through that there ever was."""
        return not (self.instrument or self.exit_type or self.direction) and self.since is None

    def rows(self) -> QuerySet[Trade]:
        """The tenant's trades that it lets through, the last closed first."""
        chosen = Trade.objects.order_by("-closed_at", "-pk")
        if self.instrument:
            chosen = chosen.filter(instrument_id=int(self.instrument))
        if self.exit_type:
            chosen = chosen.filter(exit_type=self.exit_type)
        if self.direction:
            chosen = chosen.filter(direction=self.direction)
        return chosen if self.since is None else chosen.filter(closed_at__gte=self.since)


def lines(rows: Iterable[Trade]) -> list[TradeLine]:
    """These trades as lines; five queries whatever the number, and that of `rows`."""
    found = list(rows)
    attach_followers(found)
    positions = {p.pk: p for p in fast.select_ids(Position, sorted({row.position_id for row in found}))}
    attach_entries(list(positions.values()))
    for row in found:
        row.position = positions[row.position_id]
    return [line(row) for row in found]


def line(row: Trade) -> TradeLine:
    """A row as a line; its position with its entry, its instrument and its subscription must be loaded."""
    return TradeLine(
        position_id=row.position_id,
        market=Market.of(row.instrument),
        follower=Follower.of(row.subscription),
        direction=row.direction,
        quantity=row.quantity,
        entry=row.entry_price,
        exit=row.exit_price,
        gross=row.gross,
        fees=row.fees,
        net=row.net,
        currency=row.currency,
        exit_type=row.exit_type,
        risk_each=risk_each(row.position.entry_execution),
        opened_at=row.opened_at,
        closed_at=row.closed_at,
    )


def trade_totals(chosen: TradeFilter) -> Sequence[TradeTotal]:
    """What the trades of a filter come to, real apart from paper and each currency by itself; summed here: no digit is lost.

    Of all trades ever, the folded days are added up, and what is not folded yet; else every trade of the filter. Two queries or one.
    """
    sums: dict[tuple[bool, str], TradeTotal] = {}
    for venue, is_play_money, currency, trades, wins, gross, fees, net in (
        _all_parts() if chosen.is_everything else _parts(chosen.rows())
    ):
        kind = (on_paper(venue, is_play_money), currency)
        sums[kind] = sums.get(kind, TradeTotal(*kind)).plus(trades, wins, gross, fees, net)
    return [total for _, total in sorted(sums.items())]


_Part = tuple[str, bool, str, int, int, Decimal, Decimal, Decimal]
"""Venue, whether it is play money there, currency, trades, wins, gross, fees, net."""


def _parts(rows: QuerySet[Trade]) -> Iterator[_Part]:
    for venue, is_play_money, currency, gross, fees, net in rows.order_by().values_list(
        "account__venue", "account__is_play_money", "currency", "gross", "fees", "net"
    ):
        yield venue, is_play_money, currency, 1, int(net > 0), gross, fees, net


def _all_parts() -> Iterator[_Part]:
    # Fresh trades before folded days: one that is folded in between is counted twice for a moment, never not at all.
    yield from list(_parts(Trade.objects.filter(measured=False)))
    # An account trades in its own currency alone (`decide`), so that is the currency of its days.
    yield from DailyResult.objects.values_list(
        "account__venue", "account__is_play_money", "account__currency", "trades", "wins", "gross", "fees", "net"
    )
