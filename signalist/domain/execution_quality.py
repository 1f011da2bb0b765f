"""How well orders were carried out: slippage, what venues took, how fast they answered, what it cost.

Slippage is in basis points, (average fill ÷ reference − 1) × 10 000, turned so that it is positive where more was paid or less received
than the reference, for buys and sells alike; the reference is the price at which the order was decided (EXE-31, CON-17).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import ceil
from statistics import fmean, median

from .errors import DomainError
from .money import ZERO, settle
from .orders import OrderStatus, Side

BASIS_POINTS = Decimal(10_000)
_FAILED = frozenset({OrderStatus.DENIED, OrderStatus.REJECTED, OrderStatus.EXPIRED})


def slippage_bps(side: Side, reference: Decimal, average: Decimal) -> Decimal:
    """(average ÷ reference − 1) × 10 000 × (+1 for buys, −1 for sells); 10 decimals. Raises DomainError unless both are above zero."""
    if reference <= 0 or average <= 0:
        raise DomainError(f"Slippage lies between prices above zero, not {reference} and {average}.")
    return settle((average / reference - 1) * BASIS_POINTS * side.sign)


@dataclass(frozen=True, slots=True)
class SentOrder:
    """An order that left the house, or tried to. `taken`: whether the venue has it, or had it; `average` is None before a fill."""

    side: Side
    status: OrderStatus
    taken: bool
    reference: Decimal | None
    average: Decimal | None
    fees: Decimal
    currency: str

    @property
    def slippage(self) -> Decimal | None:
        """In basis points; None without a fill or a price to measure from."""
        if not self.reference or not self.average:
            return None
        return slippage_bps(self.side, self.reference, self.average)


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds from request to answer, over `count` requests."""

    count: int
    mean: float
    median: float
    p95: float

    @classmethod
    def of(cls, samples: Sequence[float]) -> Latency | None:
        """None where nothing was measured. The 95th percentile is by nearest rank: a value that was measured."""
        if not samples:
            return None
        ordered = sorted(samples)
        return cls(len(ordered), fmean(ordered), median(ordered), ordered[ceil(0.95 * len(ordered)) - 1])


@dataclass(frozen=True, slots=True)
class Quality:
    """How a set of orders was carried out. `total` are those whose fate is known; `in_doubt` are not counted in it.

    `successful`: the venue took it; a stop that was taken and later withdrawn has done what it was for. `slippage` is the mean of
    `measured` orders in basis points, each counted once; `fees` by currency; `missed` entries that were not made, by rule.
    """

    total: int
    successful: int
    filled: int
    in_doubt: int
    latency: Latency | None
    slippage: Decimal | None
    measured: int
    fees: Mapping[str, Decimal]
    missed: Mapping[str, int]

    @property
    def success_rate(self) -> Decimal | None:
        """Successful ÷ total, as a fraction; None without orders."""
        return Decimal(self.successful) / self.total if self.total else None

    @property
    def missed_entries(self) -> int:
        return sum(self.missed.values())

    @property
    def is_empty(self) -> bool:
        return not (self.total or self.in_doubt or self.missed)


def quality(
    orders: Iterable[SentOrder], latencies: Sequence[float] = (), missed: Mapping[str, int] | None = None
) -> Quality:
    """The figures of EXE-30 over `orders`; the order in which they come makes no difference."""
    total = successful = filled = in_doubt = 0
    slips: list[Decimal] = []
    fees: dict[str, Decimal] = {}
    for order in orders:
        if order.fees:
            fees[order.currency] = fees.get(order.currency, ZERO) + order.fees
        if (slip := order.slippage) is not None:
            slips.append(slip)
        filled += order.average is not None
        if not order.taken and order.status not in _FAILED:
            in_doubt += 1
            continue
        total += 1
        successful += order.taken
    return Quality(
        total=total,
        successful=successful,
        filled=filled,
        in_doubt=in_doubt,
        latency=Latency.of(latencies),
        slippage=settle(sum(slips, ZERO) / len(slips)) if slips else None,
        measured=len(slips),
        fees=dict(sorted(fees.items())),
        missed=dict(sorted((missed or {}).items())),
    )
