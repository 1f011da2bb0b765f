"""Why the same trades have other numbers at two venues: each number is worked out anew from the signal, the market and one venue's rules.

From one venue's rules to the other's goes one rule at a time: tick, lot, fee, minimum. A number that a step changes is named after that
rule. What is worked out must be what both venues have booked, to the last digit: where it is not, no rule explains it. Nothing of the
product's own arithmetic is used here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal, localcontext

from signalist.domain.candles import Candle
from signalist.domain.timeframes import timeframe
from signalist.strategies.models import Signal
from signalist.trading.models import Execution, Fill, Subscription

D = Decimal
MINUTE = timeframe("1m")
STORED = D("1E-10")
RULES = ("tick", "lot", "fee", "minimum")
CUT = Context(prec=28, rounding=ROUND_DOWN)


@dataclass(frozen=True, slots=True)
class Rules:
    """A venue's, for one instrument. `fee` is the taker's, as a fraction; `minimum` in base units and in quote currency."""

    tick: Decimal
    lot: Decimal
    fee: Decimal
    minimum: tuple[Decimal, Decimal]

    def towards(self, other: Rules) -> Iterator[tuple[str, Rules]]:
        """One rule after the other becomes the other's."""
        rules = self
        for name in RULES:
            rules = replace(rules, **{name: getattr(other, name)})
            yield name, rules


@dataclass(frozen=True, slots=True)
class Sizing:
    """What both subscribers ask for: money at risk, and by how much a taker's price is worse than the market's."""

    at_risk: Decimal
    slippage: Decimal


@dataclass(frozen=True, slots=True)
class Numbers:
    """A round trip; None in all of it where the venue's minimum forbids it."""

    entered_at: datetime | None = None
    entry_price: Decimal | None = None
    quantity: Decimal | None = None
    entry_fee: Decimal | None = None
    left_at: datetime | None = None
    exit_price: Decimal | None = None
    exit_fee: Decimal | None = None


@dataclass(slots=True)
class Market:
    """The bars that were traded through, and where each goes on."""

    candles: Sequence[Candle]
    place: dict[datetime, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.place = {candle.close_time: number for number, candle in enumerate(self.candles)}

    def goes_on(self, at: datetime) -> Decimal:
        """The price at which the market stands after the bar that closes then."""
        number = self.place[at]
        candle, following = self.candles[number], self.candles[number + 1 : number + 2]
        follows = following and following[0].close_time - candle.close_time == MINUTE.length
        return following[0].open if follows else candle.close

    def stopped(self, after: datetime, trigger: Decimal) -> tuple[datetime, Decimal] | None:
        """When a long position's stop is reached, and at which price: the trigger's, or the one that gapped over it."""
        for candle in self.candles[self.place[after] + 1 :]:
            if candle.low <= trigger:
                return candle.close_time, min(candle.open, trigger)
            if (price := self.goes_on(candle.close_time)) <= trigger:
                return candle.close_time, price
        return None


def stepped(value: Decimal, step: Decimal, rounding: str) -> Decimal:
    """`value` on a grid."""
    with localcontext(prec=60):
        return (value / step).to_integral_value(rounding) * step


def settled(value: Decimal) -> Decimal:
    """An amount with the decimals that are stored."""
    return value.quantize(STORED, ROUND_HALF_EVEN)


@dataclass(frozen=True, slots=True)
class Story:
    """A round trip as it was signalled and as it ended: `leg` left it at `left_at` where a signal or a watched target did."""

    signal: Signal
    leg: str
    left_at: datetime | None

    def told(self, rules: Rules, sizing: Sizing, market: Market) -> Numbers:
        """Its numbers under these rules. Every trade here is a long one, at the market."""
        signal, at = self.signal, self.signal.candle_close
        price = market.goes_on(at)
        assert signal.stop is not None
        stop = stepped(price * (signal.stop / signal.reference_price), rules.tick, ROUND_HALF_EVEN)
        quantity = stepped(CUT.divide(sizing.at_risk, price - stop), rules.lot, ROUND_DOWN)
        if quantity < rules.minimum[0] or quantity * price < rules.minimum[1]:
            return Numbers()
        paid = stepped(price * (1 + sizing.slippage), rules.tick, ROUND_CEILING)
        entry = Numbers(at, paid, quantity, settled(paid * quantity * rules.fee))
        left = self._left(market, stepped(paid * (stop / price), rules.tick, ROUND_HALF_EVEN))
        if left is None:
            return entry
        got = stepped(left[1] * (1 - sizing.slippage), rules.tick, ROUND_FLOOR)
        return replace(entry, left_at=left[0], exit_price=got, exit_fee=settled(got * quantity * rules.fee))

    def _left(self, market: Market, trigger: Decimal) -> tuple[datetime, Decimal] | None:
        if self.leg == "STOP":
            return market.stopped(self.signal.candle_close, trigger)
        return None if self.left_at is None else (self.left_at, market.goes_on(self.left_at))


@dataclass(slots=True)
class Trip:
    """A round trip as one venue has booked it."""

    entry: Fill
    exit: Fill | None = None

    def story(self) -> Story:
        left = self.exit
        signal = self.entry.order.execution.signal
        assert signal is not None
        return Story(signal, "" if left is None else left.order.leg, None if left is None else left.time)

    def booked(self) -> Numbers:
        entry, left = self.entry, self.exit
        numbers = Numbers(entry.time, entry.price, entry.quantity, entry.fee)
        if left is None:
            return numbers
        assert left.quantity == entry.quantity, "all that was bought is sold"
        return replace(numbers, left_at=left.time, exit_price=left.price, exit_fee=left.fee)


def trips(who: Subscription) -> dict[int, Trip]:
    """A subscriber's round trips by their signal. Each order was filled at once."""
    found: dict[int, Trip] = {}
    rows = Fill.objects.filter(order__subscription=who).order_by("time", "pk")
    for fill in rows.select_related("order__execution__signal", "order__position__entry_execution"):
        position = fill.order.position
        assert position is not None and position.entry_execution.signal_id is not None
        key = position.entry_execution.signal_id
        if fill.order.leg == "ENTRY":
            assert key not in found
            found[key] = Trip(fill)
        else:
            assert found[key].exit is None
            found[key].exit = fill
    return found


def explained(
    here: Subscription, there: Subscription, rules: tuple[Rules, Rules], sizing: Sizing, candles: Sequence[Candle]
) -> dict[str, Counter[str]]:
    """By number, how often which rule made it differ ("same" where none did). Fails where no rule explains what was booked."""
    market, named = Market(candles), {one.name: Counter[str]() for one in fields(Numbers)}
    ours, theirs = trips(here), trips(there)
    assert theirs.keys() <= ours.keys(), "what was traded there only is explained by no rule"
    for key, trip in ours.items():
        first = trip.story().told(rules[0], sizing, market)
        assert first == trip.booked(), (first, trip.booked())
        other = theirs.get(key)
        story = trip.story() if other is None else other.story()
        last = story.told(rules[1], sizing, market)
        assert last == (Numbers() if other is None else other.booked()), (last, other and other.booked())
        if other is None:
            denied = Execution.objects.get(signal_id=key, subscription=there)
            assert (denied.status, denied.rule) == ("DENIED", "minimum_size"), denied
        else:
            assert story.leg == trip.story().leg, "left for another reason, which no rule explains"
        _name(named, _steps(first, story, rules, sizing, market), first, last)
    return named


def _steps(
    first: Numbers, story: Story, rules: tuple[Rules, Rules], sizing: Sizing, market: Market
) -> list[tuple[str, Numbers, Numbers]]:
    found, before = [], first
    for name, step in rules[0].towards(rules[1]):
        after = story.told(step, sizing, market)
        found.append((name, before, after))
        before = after
    return found


def _name(
    named: Mapping[str, Counter[str]], steps: Sequence[tuple[str, Numbers, Numbers]], first: Numbers, last: Numbers
) -> None:
    for number, counts in named.items():
        if getattr(first, number) == getattr(last, number):
            counts["same"] += 1
            continue
        changed = [(name, getattr(after, number)) for name, before, after in steps if _differ(number, before, after)]
        # Of a trade that was not made there, only the rule that forbade it counts.
        rules = [name for name, value in changed if value is None or getattr(last, number) is not None]
        assert rules, f"no rule explains {number}: {first} and {last}"
        counts.update(rules)


def _differ(number: str, before: Numbers, after: Numbers) -> bool:
    return bool(getattr(before, number) != getattr(after, number))


def table(named: Mapping[str, Counter[str]]) -> str:
    """What differs by which rule, as text. A number that two rules have changed counts for both."""
    columns = ("same", *RULES)
    lines = [f"{'':12}" + "".join(f"{name:>9}" for name in columns)]
    lines += [
        f"{number.replace('_', ' '):12}" + "".join(f"{counts[name]:>9}" for name in columns)
        for number, counts in named.items()
    ]
    return "\n".join(lines)
