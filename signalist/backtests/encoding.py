"""Results as JSON: an exact amount is written as the number it is, digit by digit, and the same values always give the same bytes."""

from __future__ import annotations

import json
import math
from decimal import Decimal

from signalist.domain.money import plain


def encoded(value: object) -> str:
    """`value` as one line of JSON. Raises ValueError for a number that JSON cannot say, TypeError for a value that is none of its kinds."""
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise ValueError(f"{value} cannot be written as JSON.")
        return plain(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(str(key))}: {encoded(held)}" for key, held in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(encoded, value)) + "]"
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} cannot be written as JSON.")
    return json.dumps(value)
