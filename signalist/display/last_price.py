"""A newest price as one element of a page, found and replaced by its id: for `markets/last_price.html` and for pushes many times a second.

Put together by hand, because rendering a template for it takes as long as fifty of these.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from signalist.display import numbers

_FORM = (
    '<span id="last-{key}" class="last" data-price="{exact}" data-at="{seconds}"{oob}><span class="live-value">{price}</span>'
    '<span class="unit">{unit}</span><span class="sub">{when}</span></span>'
)
_TIME = '<time datetime="{iso}" data-local="time">{clock} UTC</time>'
_OLD = '<span class="state warn">{age} old</span>'
_OOB = ' hx-swap-oob="true"'


def last_price(
    key: int, price: Decimal, tick: Decimal, unit: str, at: datetime, old: timedelta | None = None, *, oob: bool = False
) -> SafeString:
    """The price of instrument `key` in `unit`, made at `at`; `old` is its age where it is too old to be called new."""
    utc = at.astimezone(UTC)
    if old is None:
        iso = utc.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        when = _TIME.format(iso=iso, clock=numbers.clock(utc))
    else:
        when = _OLD.format(age=numbers.age(old))
    return mark_safe(  # noqa: S308 numbers and times, and the unit escaped
        _FORM.format(
            key=key,
            exact=price,
            seconds=at.timestamp(),
            oob=_OOB if oob else "",
            price=numbers.price(price, tick),
            unit=escape(unit),
            when=when,
        )
    )
