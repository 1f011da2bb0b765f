"""Dated exchange rates for totals over several currencies. What has no rate is said to be missing, never left out in silence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db.models import Max, Q

from signalist.domain.money import ZERO, Money, settle
from signalist.markets.models import FxRate


@dataclass(frozen=True, slots=True)
class Rate:
    """Units of the total's currency for one unit of another, and of when that is."""

    rate: Decimal
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Total:
    """A sum in `currency` of `parts`, one for each currency. `amount` is None while something that belongs to it is not known.

    `missing` says what: currencies without a rate, or whatever a caller could not tell.
    """

    amount: Decimal | None
    currency: str
    parts: tuple[Money, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def is_mixed(self) -> bool:
        """Whether anything in it is of another currency."""
        return any(part.currency != self.currency for part in self.parts)


def rates_to(currency: str, others: Iterable[str], now: datetime) -> dict[str, Rate]:
    """The newest rates at or before `now` of those `others` that have one, in either direction as `markets.selectors.rate` does it.

    No query where all is in one currency, two whatever the number of currencies otherwise.
    """
    foreign = sorted(set(others) - {currency})
    found = {currency: Rate(Decimal(1), None)}
    if not foreign:
        return found
    between = Q(base__in=foreign, quote=currency) | Q(base=currency, quote__in=foreign)
    newest = list(FxRate.objects.filter(between, at__lte=now).values("base", "quote").annotate(newest=Max("at")))
    if not newest:
        return found
    chosen = Q()
    for pair in newest:
        chosen |= Q(base=pair["base"], quote=pair["quote"], at=pair["newest"])
    # Those quoted the other way round come first, so that a direct rate takes their place.
    for row in sorted(FxRate.objects.filter(chosen), key=lambda rate: rate.quote == currency):
        if row.quote == currency:
            found[row.base] = Rate(row.rate, row.at)
        else:
            found[row.quote] = Rate(1 / row.rate, row.at)
    return found


def total(parts: Mapping[str, Decimal], currency: str, rates: Mapping[str, Rate], missing: Iterable[str] = ()) -> Total:
    """The sum of amounts by currency. What `rates` cannot value makes it incomplete, as does anything in `missing`."""
    unknown = tuple(missing) + tuple(f"no rate for {code}" for code in sorted(parts) if code not in rates)
    shown = tuple(Money(parts[code], code) for code in sorted(parts))
    if unknown:
        return Total(None, currency, shown, unknown)
    return Total(settle(sum((parts[code] * rates[code].rate for code in parts), ZERO)), currency, shown)
