"""Fields of forms for exact numbers: people type thousands separators and percents; what comes out are amounts and fractions."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from django import forms

from signalist.domain.money import plain

HUNDRED = Decimal(100)
# A comma before decimals would otherwise make 0,5 a five.
_GROUPED = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?")


class AmountField(forms.DecimalField):
    """An exact number above zero. Commas and spaces between thousands are taken away, commas elsewhere refused."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("widget", forms.TextInput())  # a number input takes no separators
        super().__init__(max_digits=28, decimal_places=10, **kwargs)
        self.widget.attrs |= {"inputmode": "decimal", "autocomplete": "off"}

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        return {}  # no min, max and step: the browser's own bubbles know no percents

    def to_python(self, value: Any) -> Any:
        if isinstance(value, str):
            value = "".join(value.split()).removesuffix("%")
            if "," in value and not _GROUPED.fullmatch(value):
                raise forms.ValidationError("Write it as 1,000.50: commas between thousands, a point before decimals.")
            value = value.replace(",", "")
        number = super().to_python(value)
        if number is not None and number <= 0:
            raise forms.ValidationError("Enter a number above zero.")
        return number


class PercentField(AmountField):
    """Typed as a percent, cleaned to the fraction that is stored."""

    def __init__(self, *, most: Decimal, **kwargs: Any) -> None:
        self._most = most
        super().__init__(**kwargs)

    def clean(self, value: Any) -> Decimal | None:
        percent = super().clean(value)
        if percent is None:
            return None
        if percent > self._most:
            raise forms.ValidationError(f"Enter {plain(self._most)} or less.")
        if percent.as_tuple().exponent < -8:
            raise forms.ValidationError("Enter at most 8 decimals.")
        return percent / HUNDRED
