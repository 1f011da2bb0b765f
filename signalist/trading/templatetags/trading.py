"""`{% load trading %}`: what trading pages write beyond the numbers that every page writes."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from django import template

from signalist.display import numbers

register = template.Library()


@register.filter
def after(span: timedelta | None) -> str:
    """How long after the first step: +0.212 s; the steps of a pipeline are told apart by milliseconds."""
    return numbers.MISSING if span is None else f"{numbers.number(span.total_seconds(), 3, signed=True)} s"


@register.filter
def milliseconds(span: timedelta | float | None) -> str:
    """A span, or a number of milliseconds, in whole milliseconds, without its unit."""
    if span is None:
        return numbers.MISSING
    return numbers.number(span.total_seconds() * 1000 if isinstance(span, timedelta) else span, 0)


@register.filter
def basis_points(value: Decimal | None) -> str:
    """Basis points to a tenth, with their sign, without their unit."""
    return numbers.number(value, 1, signed=True)


@register.filter
def tenth(value: float) -> str:
    """A place or width in an SVG, in percent."""
    return f"{value:.1f}"


@register.filter
def times(value: Decimal) -> str:
    """A leverage: 5×."""
    return f"{value.normalize():f}×"
