"""Numbers and times as people read them: exact in, text out. Rounding here is for display only, half up.

Missing is an en dash, never 0 and never blank; a minus is U+2212, as wide as a plus. Nothing here knows a row or a request.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

MISSING = "–"
MINUS = "−"
PLACES = {"BTC": 8, "ETH": 8, "JPY": 0}
"""Places of a currency, where they are not two."""


def number(value: Decimal | int | float | None, places: int, *, signed: bool = False) -> str:
    """`value` with `places` decimals and commas between thousands; `signed` writes a plus before what is above zero."""
    if value is None:
        return MISSING
    exact = value if isinstance(value, Decimal) else Decimal(repr(value) if isinstance(value, float) else value)
    rounded = exact.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)
    text = f"{abs(rounded):,f}"
    if rounded < 0:
        return f"{MINUS}{text}"
    return f"+{text}" if signed and rounded > 0 else text


def places_of(step: Decimal | None) -> int:
    """How many decimals a tick or lot of `step` asks for."""
    return 2 if step is None else max(-int(step.normalize().as_tuple().exponent), 0)


def money(value: Decimal | None, currency: str = "", *, signed: bool = False) -> str:
    """An amount with its currency's places; the unit stands beside it on the page."""
    return number(value, PLACES.get(currency, 2), signed=signed)


def price(value: Decimal | None, tick: Decimal | None = None) -> str:
    """A price to the instrument's tick, trailing zeros kept."""
    return number(value, places_of(tick))


def quantity(value: Decimal | None, lot: Decimal | None = None) -> str:
    """A quantity to the instrument's lot."""
    return number(value, places_of(lot))


def percent(fraction: Decimal | float | None, places: int = 2, *, signed: bool = False) -> str:
    """A stored fraction as a percentage, no space: 0.0164 is 1.64%."""
    if fraction is None:
        return MISSING
    exact = fraction if isinstance(fraction, Decimal) else Decimal(repr(float(fraction)))
    return f"{number(exact * 100, places, signed=signed)}%"


def basis_points(fraction: Decimal | float | None) -> str:
    """A fraction in basis points, one place, signed: positive is paid."""
    if fraction is None:
        return MISSING
    exact = fraction if isinstance(fraction, Decimal) else Decimal(repr(float(fraction)))
    return number(exact * 10_000, 1, signed=True)


def multiple(value: Decimal | float | None) -> str:
    """A multiple of the risk taken: +1.03 R."""
    return MISSING if value is None else f"{number(value, 2, signed=True)} R"


def age(span: timedelta | None) -> str:
    """How long: 0.4 s, 41 s, 2 min 31 s, 3 h 5 min, 3 d."""
    if span is None:
        return MISSING
    seconds = max(span.total_seconds(), 0.0)
    if seconds < 1:
        return f"{seconds:.1f} s"
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86_400} d"


def clock(moment: datetime) -> str:
    """14:32:07."""
    return f"{moment:%H:%M:%S}"


def day(moment: datetime) -> str:
    """20 Nov 2026."""
    return f"{moment.day} {moment:%b %Y}"


def direction(value: Decimal | float | int | None, currency: str = "") -> str:
    """The class of a result: `up`, `down` or `flat`, by the sign of what `money` shows of it; nothing where it is missing."""
    if value is None:
        return ""
    places = PLACES.get(currency, 2)
    rounded = Decimal(str(value)).quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)
    if not rounded:
        return "flat"
    return "up" if rounded > 0 else "down"
