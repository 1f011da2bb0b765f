"""Exact numbers on their way into a document: the quick way gives what the thorough one gives, and refuses what that refuses."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalist.db.columns import _plain_decimal
from signalist.domain.errors import DomainError
from signalist.domain.money import exact


@given(
    st.decimals(allow_nan=True, allow_infinity=True)
    | st.decimals(places=10, min_value=-10, max_value=10)
    | st.integers()
)
def test_a_number_is_written_as_it_is_or_refused(value: Any) -> None:
    try:
        wanted = exact(value)
    except DomainError:
        with pytest.raises(DomainError):
            _plain_decimal(value)
    else:
        assert Decimal(_plain_decimal(value)) == wanted


@pytest.mark.parametrize(
    "value", [Decimal("NaN123"), Decimal("-Infinity"), Decimal("0.12345678901"), Decimal(10) ** 18, 0.5]
)
def test_it_refuses_what_a_column_cannot_hold(value: Any) -> None:
    with pytest.raises(DomainError):
        _plain_decimal(value)
