"""`{% load display %}`: numbers, results, states, times and icons as every page writes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django import template
from django.forms import BoundField
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from signalist.display import numbers
from signalist.display.icons import ICONS
from signalist.display.last_price import last_price as drawn_price
from signalist.display.words import layer

register = template.Library()

STATES = {
    "TAKEN": ("ok", "Taken"),
    "RESIZED": ("info", "Resized"),
    "SKIPPED": ("idle", "Skipped"),
    "DENIED": ("bad", "Denied"),
    "PENDING": ("idle", "Deciding"),
    "ACTIVE": ("ok", "Active"),
    "PAUSED": ("warn", "Paused"),
    "ENDED": ("idle", "Ended"),
    "REDUCING": ("warn", "REDUCING"),
    "HALTED": ("bad", "HALTED"),
    "CREATED": ("idle", "CREATED"),
    "SENDING": ("info", "SENDING"),
    "WORKING": ("ok", "WORKING"),
    "UNKNOWN": ("warn", "UNKNOWN"),
    "PARTIAL": ("info", "PARTIAL"),
    "FILLED": ("ok", "FILLED"),
    "CANCELLED": ("idle", "CANCELLED"),
    "REJECTED": ("bad", "REJECTED"),
    "EXPIRED": ("idle", "EXPIRED"),
}
"""How stored states look: the class of `.state` (shape and colour) and the word."""

register.filter("price", numbers.price)
register.filter("quantity", numbers.quantity)
register.filter("percent", numbers.percent)
register.filter("bp", numbers.basis_points)
register.filter("multiple", numbers.multiple)
register.filter("layer", layer)


@register.filter
def money(value: Decimal | None, currency: str = "") -> str:
    """An amount without its unit."""
    return numbers.money(value, currency)


@register.filter
def signed_money(value: Decimal | None, currency: str = "") -> str:
    """An amount that is a change or a result."""
    return numbers.money(value, currency, signed=True)


@register.filter
def signed_percent(value: Decimal | None) -> str:
    """A fraction that is a change or a result."""
    return numbers.percent(value, signed=True)


@register.filter
def age(span: timedelta | None) -> str:
    """A time span."""
    return numbers.age(span)


@register.filter
def slug_words(value: str) -> str:
    """A rule's name as words: daily_loss is `daily loss`."""
    return value.replace("_", " ")


@register.simple_tag
def amount(value: Decimal | None, currency: str = "") -> SafeString:
    """An amount with its unit."""
    if value is None:
        return mark_safe(numbers.MISSING)  # noqa: S308 a constant
    return format_html('{}<span class="unit">{}</span>', numbers.money(value, currency), currency)


@register.simple_tag
def result(value: Decimal | None, currency: str = "", live: bool = False, unit: bool = True) -> SafeString:
    """A signed result with arrow, sign, colour and unit; `live` marks a figure that is pushed, without `unit` that stands elsewhere."""
    if value is None:
        return mark_safe(numbers.MISSING)  # noqa: S308 a constant
    return format_html(
        '<span class="{}{}">{}{}</span>',
        numbers.direction(value, currency),
        " live-value" if live else "",
        numbers.money(value, currency, signed=True),
        format_html('<span class="unit">{}</span>', currency) if currency and unit else "",
    )


@register.simple_tag
def result_percent(value: Decimal | float | None, live: bool = False) -> SafeString:
    """A signed fraction as a percentage, with arrow, sign and colour."""
    if value is None:
        return mark_safe(numbers.MISSING)  # noqa: S308 a constant
    shown = numbers.percent(value, signed=True)
    kind = numbers.direction(Decimal(str(value)) * 100)
    return format_html('<span class="{}{}">{}</span>', kind, " live-value" if live else "", shown)


@register.simple_tag
def state(value: str, box: bool = False) -> SafeString:
    """A stored state as shape, word and colour."""
    kind, word = STATES.get(value, ("idle", value))
    return format_html('<span class="state{} {}">{}</span>', " box" if box else "", kind, word)


@register.simple_tag
def moment(value: datetime | None, form: str = "time") -> SafeString:
    """A time, in UTC and saying so; a script shows it in the reader's zone. `form`: time, day, both,
    exact (milliseconds), short and dated (for an axis, whose zone stands beside it, the latter with the day) or minute."""
    if value is None:
        return mark_safe(numbers.MISSING)  # noqa: S308 a constant
    utc = value.astimezone(UTC)
    words = {
        "time": f"{numbers.clock(utc)} UTC",
        "day": numbers.day(utc),
        "both": f"{numbers.day(utc)}, {numbers.clock(utc)} UTC",
        "exact": f"{numbers.clock(utc)}.{utc.microsecond // 1000:03d}",
        "short": f"{utc:%H:%M}",
        "dated": f"{utc.day} {utc:%b %H:%M}",
        "minute": f"{utc:%H:%M} UTC",
    }
    iso = utc.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return format_html('<time datetime="{}" data-local="{}">{}</time>', iso, form, words[form])


@register.simple_tag
def last_price(instrument: Any, last: Any, oob: bool = False) -> SafeString:
    """An instrument's newest price (`markets.overview.LastPrice`) as the element that pushes replace."""
    old = None if last.is_fresh else last.age
    return drawn_price(instrument.pk, last.price, instrument.tick, instrument.quote, last.at, old, oob=bool(oob))


@register.simple_tag
def icon(name: str) -> SafeString:
    """A line icon, hidden from screen readers: the words beside it say what it means."""
    return format_html('<svg class="icon" viewBox="0 0 16 16" aria-hidden="true"><path d="{}"/></svg>', ICONS[name])


@register.simple_tag
def control(field: BoundField, bare: bool = False) -> SafeString:
    """A form field's control, dressed; `bare` inside an `.affix`, which draws the edge. Errors and hints are tied to it by Django."""
    attributes: dict[str, str | bool] = {"placeholder": False}  # a hint that vanishes while typing helps nobody
    if not bare and field.widget_type not in ("checkbox", "radioselect"):
        attributes["class"] = "input"
    return field.as_widget(attrs=attributes)


@register.simple_tag
def switch(value: str, box: bool = False) -> SafeString:
    """A state of the kill switch, by its own word: ACTIVE, REDUCING or HALTED."""
    kind, _ = STATES.get(value, ("idle", value))
    return format_html('<span class="state{} {}">{}</span>', " box" if box else "", kind, value)


@register.simple_tag(takes_context=True)
def query_with(context: dict[str, Any], **changes: Any) -> str:
    """The present query string with some parameters changed (None takes one away), for pagers, filters and sorting."""
    query = context["request"].GET.copy()
    for name, value in changes.items():
        if value is None:
            query.pop(name, None)
        else:
            query[name] = value
    return f"?{query.urlencode()}" if query else "?"


@register.simple_tag
def bar_width(used: Decimal | float | None, limit: Decimal | float | None) -> str:
    """How much of a limit is used, for the width of an SVG bar from 0 to 100."""
    if used is None or not limit:
        return "0"
    return f"{min(max(float(used) / float(limit), 0.0), 1.0) * 100:.1f}"
