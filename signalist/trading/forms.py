"""What is filled in on pages of what is traded."""

from __future__ import annotations

from decimal import Decimal

from django import forms

from signalist.trading.discrepancies import Answer


class AnswerForm(forms.Form):
    """An answer to a difference; `ours` and `theirs` are the numbers that were shown with it."""

    answer = forms.ChoiceField(choices=Answer.choices)
    price = forms.DecimalField(required=False, max_digits=28, decimal_places=10, min_value=Decimal("1e-10"))
    ours = forms.DecimalField(required=False, max_digits=28, decimal_places=10)
    theirs = forms.DecimalField(required=False, max_digits=28, decimal_places=10)
