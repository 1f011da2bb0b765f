"""What a result looks like: its colour and its arrow are those of the number that stands there."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.template import Context, Template

from signalist.display.numbers import direction


@pytest.mark.parametrize(
    ("value", "currency", "look"),
    [
        ("0.004", "USD", "flat"),
        ("0.005", "USD", "up"),
        ("-0.004", "USD", "flat"),
        ("0.00400000", "BTC", "up"),
        ("-0.00000001", "BTC", "down"),
        ("0.000000004", "BTC", "flat"),
        ("0.4", "JPY", "flat"),
        ("-0.5", "JPY", "down"),
        ("0.004", "", "flat"),
    ],
)
def test_a_result_is_up_or_down_where_its_currency_shows_it(value: str, currency: str, look: str) -> None:
    assert direction(Decimal(value), currency) == look


@pytest.mark.parametrize(
    ("tag", "shown"),
    [
        ("{% result value 'BTC' %}", '<span class="up">+0.00400000<span class="unit">BTC</span></span>'),
        ("{% result value 'BTC' unit=False %}", '<span class="up">+0.00400000</span>'),
        ("{% result value 'USD' True %}", '<span class="flat live-value">0.00<span class="unit">USD</span></span>'),
        ("{% result None 'BTC' %}", "–"),
    ],
)
def test_a_figure_is_written_in_its_currency_with_or_without_naming_it(tag: str, shown: str) -> None:
    template = Template("{% load display %}" + tag)
    assert template.render(Context({"value": Decimal("0.004")})) == shown
