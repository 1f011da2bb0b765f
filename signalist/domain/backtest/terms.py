"""What a backtest is asked to do, and the same in whole numbers: prices in ticks, quantities in lots, money in the smallest unit."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from signalist.domain.backtest.bars import Ticks
from signalist.domain.errors import DomainError
from signalist.domain.instruments import InstrumentSpec
from signalist.domain.money import DECIMALS, ZERO, exact
from signalist.domain.sizing import DOWN, checked_fraction


@dataclass(frozen=True, slots=True)
class BacktestTerms:
    """The account and the costs. `capital` is in the quote currency; exactly one of `risk_fraction` (of the capital, lost at the stop),
    `notional_fraction` (of the capital) and `quantity` (base units) sizes an entry; `capital` stays what it was, as a subscription's
    does, and free money bounds it.

    `fee_rate` is paid on the value of each side, `slippage` makes market, stop and target prices worse; both are fractions of 1.
    `maintenance` is the fraction of a position's value below which the venue liquidates (CON-67); it matters with leverage or shorts.
    Raises DomainError for terms that make no sense.
    """

    capital: Decimal
    risk_fraction: Decimal | None = None
    notional_fraction: Decimal | None = None
    quantity: Decimal | None = None
    leverage: Decimal = Decimal(1)
    fee_rate: Decimal = Decimal("0.001")
    slippage: Decimal = ZERO
    maintenance: Decimal = Decimal("0.005")

    def __post_init__(self) -> None:
        if exact(self.capital) <= 0:
            raise DomainError(f"A backtest begins with money; {self.capital} is none.")
        sizes = [size for size in (self.risk_fraction, self.notional_fraction, self.quantity) if size is not None]
        if len(sizes) != 1:
            raise DomainError("Give one of risk_fraction, notional_fraction and quantity to size entries by.")
        if self.risk_fraction is not None:
            checked_fraction("risk", exact(self.risk_fraction))
        if self.notional_fraction is not None and not ZERO < exact(self.notional_fraction) <= 1:
            raise DomainError(f"A notional fraction lies between 0 and 1, not {self.notional_fraction}.")
        if self.quantity is not None and exact(self.quantity) <= 0:
            raise DomainError(f"A quantity is above zero, not {self.quantity}.")
        if exact(self.leverage) < 1:
            raise DomainError(f"Leverage is 1 or more, not {self.leverage}.")
        for name in ("fee_rate", "slippage", "maintenance"):
            value = exact(getattr(self, name))
            if not ZERO <= value < Decimal("0.5"):
                raise DomainError(f"{name} is a fraction of 1 from 0 to below 0.5 (0.001 means 0.1 %), not {value}.")


@dataclass(frozen=True, slots=True)
class Ratio:
    """An exact fraction of whole numbers."""

    top: int
    bottom: int

    @classmethod
    def of(cls, value: Decimal) -> Ratio:
        """`value` as a fraction in lowest terms."""
        return cls(*value.as_integer_ratio())


@dataclass(frozen=True, slots=True)
class Grid:
    """An instrument's whole numbers. `worth` is the value of one lot at a price of one tick, in units of 10 ** -`places` of the quote."""

    spec: InstrumentSpec
    places: int = field(init=False)
    worth: int = field(init=False)
    min_lots: int = field(init=False)
    min_worth: int = field(init=False)

    def __post_init__(self) -> None:
        if self.spec.tick <= 0 or self.spec.lot <= 0:
            raise DomainError(f"The tick and the lot of {self.spec.name} must be above zero.")
        least = (self.spec.tick * self.spec.lot).normalize()
        places = max(DECIMALS, -int(least.as_tuple().exponent))
        setting = object.__setattr__  # a frozen value derives its fields once
        setting(self, "places", places)
        setting(self, "worth", int(least.scaleb(places)))
        setting(self, "min_lots", max(_ceil(self.spec.min_quantity / self.spec.lot), 1))
        setting(self, "min_worth", _ceil(self.spec.min_notional / least))

    def units(self, amount: Decimal) -> int:
        """An amount of the quote currency in whole units; what is smaller than a unit is cut."""
        return int(amount.scaleb(self.places))

    def amount(self, units: int) -> Decimal:
        """Whole units as an amount of the quote currency."""
        return Decimal(units).scaleb(-self.places)

    def price(self, ticks: int) -> Decimal:
        return ticks * self.spec.tick

    def quantity(self, lots: int) -> Decimal:
        return lots * self.spec.lot


class Sizer:
    """How many lots an entry takes: `domain.rules.decide_entry` for one subscription without further limits, in whole numbers."""

    __slots__ = ("_asked_by_stop", "_asked_top", "_balance", "_bottom", "_fixed", "_min_lots", "_min_worth")

    def __init__(self, terms: BacktestTerms, grid: Grid) -> None:
        least = grid.spec.tick * grid.spec.lot
        fraction = terms.risk_fraction if terms.risk_fraction is not None else terms.notional_fraction
        self._fixed = None if terms.quantity is None else int(grid.spec.quantity(terms.quantity) / grid.spec.lot)
        self._asked_by_stop = terms.risk_fraction is not None
        # lots = amount ÷ (ticks × tick × lot); the amount is cut where the sizing rules cut it.
        amount = Ratio.of(DOWN.multiply(terms.capital, fraction) if fraction is not None else ZERO)
        step = Ratio.of(least)
        top, bottom = amount.top * step.bottom, amount.bottom * step.top
        common = math.gcd(top, bottom)
        self._asked_top, self._bottom = top // common, bottom // common
        # What free money pays for: available × leverage ÷ (price × (1 + fee × leverage)).
        leverage, fee = Ratio.of(terms.leverage), Ratio.of(terms.fee_rate)
        self._balance = Ratio(
            leverage.top * fee.bottom, grid.worth * (fee.bottom * leverage.bottom + fee.top * leverage.top)
        )
        self._min_lots, self._min_worth = grid.min_lots, grid.min_worth

    def lots(self, price: int, stop: int | None, available: int) -> tuple[int, str]:
        """The lots of an entry at `price` ticks with its stop at `stop` ticks and `available` units of free money, and the rule that
        made it smaller or, with 0 lots, refused it; "" where none did."""
        asked = self._asked(price, stop)
        if asked is None:
            return 0, "stop_missing"
        affordable = max(available * self._balance.top // (price * self._balance.bottom), 0)
        bound = affordable < asked
        lots = affordable if bound else asked
        if lots < self._min_lots or lots * price < self._min_worth:
            return 0, "balance" if bound else "minimum_size"
        return lots, "balance" if bound else ""

    def fits(self, highest: int, largest: int) -> bool:
        """Whether `asked_at_once` stays below `largest` with prices up to `highest`."""
        return max(self._asked_top, self._bottom * highest, self._fixed or 0) < largest

    def asked_at_once(self, prices: Ticks, stops: Ticks) -> Ticks:
        """The lots that entries ask for, shape (n,); stops are 0 where there is none, where nothing is asked for by risk."""
        if self._fixed is not None:
            return np.full(len(prices), self._fixed)
        if not self._asked_by_stop:
            return self._asked_top // (self._bottom * prices)
        distance = np.where(stops > 0, np.abs(prices - stops), 0)
        return np.where(distance > 0, self._asked_top // (self._bottom * np.maximum(distance, 1)), 0)

    def needed(self, prices: Ticks, lots: Ticks) -> NDArray[np.float64]:
        """The units of free money that pay for so many lots, as near as floats come."""
        return np.asarray(prices * (self._balance.bottom / self._balance.top) * lots)

    def _asked(self, price: int, stop: int | None) -> int | None:
        if self._fixed is not None:
            return self._fixed
        if not self._asked_by_stop:
            return self._asked_top // (self._bottom * price)
        if stop is None:
            return None
        distance = abs(price - stop)
        return self._asked_top // (self._bottom * distance) if distance else 0


class Costs:
    """Slippage and fees in whole numbers."""

    __slots__ = ("_slippage", "_unit", "fee_ratio")

    def __init__(self, terms: BacktestTerms, grid: Grid) -> None:
        self._slippage = Ratio.of(terms.slippage)
        # A fee is settled to 10 decimals, whatever the grid's units are.
        quanta = Ratio.of(terms.fee_rate * grid.spec.tick * grid.spec.lot * 10**DECIMALS)
        self.fee_ratio, self._unit = quanta, int(10 ** (grid.places - DECIMALS))

    def bought_at(self, price: int) -> int:
        """What a buyer pays who takes, in ticks: rounded against him (domain.matching.slipped)."""
        rate = self._slippage
        return -(-price * (rate.bottom + rate.top) // rate.bottom)

    def sold_at(self, price: int) -> int:
        """What a seller gets who takes, in ticks; never below one."""
        rate = self._slippage
        return max(price * (rate.bottom - rate.top) // rate.bottom, 1)

    def fee(self, price: int, lots: int) -> int:
        """The fee on one side in units, half to even at 10 decimals as the venue settles it."""
        whole, rest = divmod(price * lots * self.fee_ratio.top, self.fee_ratio.bottom)
        twice = 2 * rest
        if twice > self.fee_ratio.bottom or (twice == self.fee_ratio.bottom and whole & 1):
            whole += 1
        return whole * self._unit

    def taken(self, prices: Ticks, *, buys: NDArray[np.bool_]) -> Ticks:
        """`bought_at` and `sold_at` of many."""
        rate = self._slippage
        bought = -(-prices * (rate.bottom + rate.top) // rate.bottom)
        return np.where(buys, bought, np.maximum(prices * (rate.bottom - rate.top) // rate.bottom, 1))

    def fees(self, prices: Ticks, lots: Ticks) -> Ticks:
        """`fee` of many."""
        whole, rest = np.divmod(prices * lots * self.fee_ratio.top, self.fee_ratio.bottom)
        twice, bottom = 2 * rest, self.fee_ratio.bottom
        return np.asarray((whole + ((twice > bottom) | ((twice == bottom) & (whole & 1 == 1)))) * self._unit)


def _ceil(value: Decimal) -> int:
    whole = int(value)
    return whole + (value > whole)
