"""`{% load dashboard %}`: what the dashboard and the landing page write beyond the numbers that every page writes."""

from __future__ import annotations

from django import template

from signalist.display import numbers

register = template.Library()


@register.filter
def count(value: int | None) -> str:
    """A whole number with commas between thousands."""
    return numbers.number(value, 0)
