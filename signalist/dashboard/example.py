"""The decision record on the landing page: an invented signal and invented accounts, decided by the very rules that decide real ones."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import cache

from signalist.display.numbers import money, percent
from signalist.domain.instruments import InstrumentKind, InstrumentSpec
from signalist.domain.money import ZERO
from signalist.domain.rules import Allowed, Decision, Denied, EntryRequest, Limits, Resized, Standing, decide_entry
from signalist.domain.signals import Direction, Levels
from signalist.execution.limits import fee_of

MARKET = InstrumentSpec(
    "paper",
    "NOVA/USD",
    "NOVA",
    "USD",
    InstrumentKind.PERPETUAL,
    tick=Decimal("0.5"),
    lot=Decimal("0.0001"),
    min_quantity=Decimal("0.0001"),
    min_notional=Decimal(5),
    max_leverage=Decimal(20),
)
PRICE, LEVELS = Decimal("42000"), Levels(stop=Decimal("41580"), target=Decimal("42840"))


@dataclass(frozen=True, slots=True)
class Follower:
    """An account that follows, and what it allows. Amounts are in USD."""

    name: str
    capital: Decimal
    risk: Decimal
    limits: Limits
    lost_today: Decimal = ZERO


FOLLOWERS = (
    Follower("Harbour fund", Decimal(20_000), Decimal("0.01"), Limits(daily_loss_fraction=Decimal("0.03"))),
    Follower("Nell, careful", Decimal(8_000), Decimal("0.01"), Limits(position_fraction=Decimal("0.5"))),
    Follower(
        "Night desk",
        Decimal(50_000),
        Decimal("0.005"),
        Limits(daily_loss_fraction=Decimal("0.02")),
        lost_today=Decimal(1_086),
    ),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """One account's answer. Quantities are in the market's base, the loss in its quote currency."""

    account: str
    status: str
    why: str
    wanted: Decimal | None
    given: Decimal
    loss_at_stop: Decimal | None


@dataclass(frozen=True, slots=True)
class Example:
    """The record: a signal with its levels, and who answered what."""

    market: InstrumentSpec
    price: Decimal
    levels: Levels
    answers: tuple[Answer, ...]


@cache
def example() -> Example:
    """Decided once, by `decide_entry`."""
    return Example(MARKET, PRICE, LEVELS, tuple(_answer(follower) for follower in FOLLOWERS))


def _answer(follower: Follower) -> Answer:
    standing = Standing(
        available=follower.capital - follower.lost_today,
        equity=follower.capital - follower.lost_today,
        day_start_equity=follower.capital,
        open_positions=0,
        entries_today=3,
        result_today=-follower.lost_today,
        exposure=ZERO,
    )
    request = EntryRequest(
        direction=Direction.LONG,
        spec=MARKET,
        price=PRICE,
        levels=LEVELS,
        capital=follower.capital,
        risk_fraction=follower.risk,
        notional_fraction=None,
        leverage=Decimal(5),
        fee_rate=fee_of(MARKET),
        standing=standing,
        layers=(("subscription", follower.limits),),
    )
    decision = decide_entry(request)
    given = ZERO if isinstance(decision, Denied) else decision.quantity
    return Answer(
        follower.name,
        {Allowed: "TAKEN", Resized: "RESIZED", Denied: "DENIED"}[type(decision)],
        _why(decision, follower),
        _asked(decision),
        given,
        given * (PRICE - Decimal(str(LEVELS.stop))) if given else None,
    )


def _asked(decision: Decision) -> Decimal | None:
    asked = decision.numbers.get("asked")
    return asked if isinstance(asked, Decimal) else None


def _why(decision: Decision, follower: Follower) -> str:
    if isinstance(decision, Allowed):
        return f"Within every limit; risks {percent(follower.risk)} of {money(follower.capital, 'USD')} USD"
    if isinstance(decision, Resized):
        return f"Position size: at most {percent(follower.limits.position_fraction)} of the account"
    lost = percent(follower.lost_today / follower.capital)
    return f"Daily loss limit: used {lost} of {percent(follower.limits.daily_loss_fraction)}"
