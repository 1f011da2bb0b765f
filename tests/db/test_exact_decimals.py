"""The exact number column: what goes in comes out, on whichever database, and SQL orders and compares it as a number."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.db.models import F, Max, Min, Sum
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from signalist.accounts.models import PaperAccount, PaperOrder, PaperPosition
from signalist.db.connections import compare_decimal_texts
from signalist.domain.errors import DomainError
from signalist.domain.money import LARGEST, QUANTUM
from tests.domain.drawn import stored

pytestmark = pytest.mark.django_db

D = Decimal
# Every example begins with an empty table, so one transaction may serve them all.
in_one_transaction = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
AWKWARD = [
    *("1234567.1234567891", "0", "0.0000000001", "-0.0000000001", "0.1", "100", "1E+3", "99999999.99999999"),
    *("123456789012345678.0123456789", "-123456789012345678.9876543210"),
    *(str(LARGEST), str(-LARGEST)),
]


def _store(*values: Decimal) -> None:
    PaperAccount.objects.all().delete()
    PaperAccount.objects.bulk_create(
        [PaperAccount(ref=f"{n}", currency="USD", cash=value) for n, value in enumerate(values)]
    )


def _read(ref: str = "0") -> Decimal:
    return PaperAccount.objects.get(ref=ref).cash


# --- Round trip ----------------------------------------------------------------------------------


@pytest.mark.parametrize("text", AWKWARD)
def test_a_number_comes_back_to_the_last_digit(text: str) -> None:
    PaperAccount.objects.create(ref="0", currency="USD", cash=D(text))
    assert _read() == D(text)


@in_one_transaction
@given(stored)
def test_any_number_that_fits_comes_back_to_the_last_digit(value: Decimal) -> None:
    _store(value)
    assert _read() == value
    PaperAccount.objects.update(cash=-value)
    assert _read() == -value


@pytest.mark.parametrize("text", ["1", "1.0", "1E+3", "0", "-0", "-0.00", "12.5"])
def test_both_databases_give_ten_decimals_and_no_negative_zero(text: str) -> None:
    _store(D(text))
    assert format(_read(), "f") == format(abs(D(text)).quantize(QUANTUM), "f")


def test_whole_numbers_and_strings_are_taken_as_exact() -> None:
    _store(D(0))
    for value in (7, "7.25"):
        PaperAccount.objects.update(cash=value)
        assert _read() == D(value)


def test_null_stays_null() -> None:
    order = PaperOrder(reduce_only=True, quantity=1, leverage=1, filled=0, active_from="2022-01-01T00:00Z")
    order.save()
    order.refresh_from_db()
    assert (order.price, order.trigger) == (None, None)
    assert PaperOrder.objects.filter(price__isnull=True).count() == 1


def test_a_number_is_stored_as_a_number_that_is_no_float() -> None:
    _store(D("1234567.1234567891"))
    types = {"sqlite": "SELECT typeof(cash), cash || '' FROM accounts_paperaccount"}
    types["postgresql"] = "SELECT pg_typeof(cash)::text, cash::text FROM accounts_paperaccount"
    with connection.cursor() as cursor:
        cursor.execute(types[connection.vendor])
        column, text = cursor.fetchone()
    assert column == {"sqlite": "text", "postgresql": "numeric"}[connection.vendor]
    assert text == "1234567.1234567891"


# --- Refusals ------------------------------------------------------------------------------------

UNFIT = [1.5, 0.1, "0.00000000001", D("1.23456789012"), D("NaN"), D("Infinity"), D("1E+18"), "abc", True]


@pytest.mark.parametrize("value", UNFIT)
def test_what_does_not_fit_is_refused_on_every_way_into_the_table(value: object) -> None:
    _store(D(5))
    with pytest.raises(DomainError), transaction.atomic():
        PaperAccount.objects.create(ref="1", currency="USD", cash=value)
    with pytest.raises(DomainError), transaction.atomic():
        PaperAccount.objects.bulk_create([PaperAccount(ref="1", currency="USD", cash=value)])  # type: ignore[misc]
    with pytest.raises(DomainError), transaction.atomic():
        PaperAccount.objects.update(cash=value)
    assert list(PaperAccount.objects.values_list("cash", flat=True)) == [5]


@pytest.mark.parametrize("value", UNFIT)
def test_what_does_not_fit_is_no_question_either(value: object) -> None:
    with pytest.raises((DomainError, ValidationError)):
        PaperAccount.objects.filter(cash=value).exists()


@pytest.mark.parametrize("value", UNFIT)
def test_a_form_hears_why_a_number_does_not_fit(value: object) -> None:
    account = PaperAccount(ref="1", currency="USD", cash=value)  # type: ignore[misc]
    with pytest.raises(ValidationError) as refused:
        account.full_clean()
    assert "cash" in refused.value.message_dict


def test_a_sum_in_sql_is_exact_or_refused() -> None:
    """SQLite adds floats: 0.1 and 0.2 would come back as 0.30000000000000004."""
    _store(D("0.1"), D("0.2"))
    if connection.vendor == "sqlite":
        with pytest.raises(DomainError, match="fold it in Python"):
            PaperAccount.objects.aggregate(sum=Sum("cash"))
    else:
        assert PaperAccount.objects.aggregate(sum=Sum("cash")) == {"sum": D("0.3")}


# --- Order and comparison ------------------------------------------------------------------------

several = st.lists(stored | st.integers(-20, 20).map(D), min_size=1, max_size=8)


@in_one_transaction
@given(several)
def test_sql_orders_by_value(values: list[Decimal]) -> None:
    _store(*values)
    assert list(PaperAccount.objects.order_by("cash").values_list("cash", flat=True)) == sorted(values)
    assert list(PaperAccount.objects.order_by("-cash").values_list("cash", flat=True)) == sorted(values, reverse=True)


@in_one_transaction
@given(several, stored | st.integers(-20, 20).map(D))
def test_sql_compares_by_value(values: list[Decimal], bound: Decimal) -> None:
    _store(*values)
    values = sorted(values)

    def found(**condition: object) -> list[Decimal]:
        return list(PaperAccount.objects.filter(**condition).order_by("cash").values_list("cash", flat=True))

    assert found(cash__lt=bound) == [v for v in values if v < bound]
    assert found(cash__lte=bound) == [v for v in values if v <= bound]
    assert found(cash__gt=bound) == [v for v in values if v > bound]
    assert found(cash__gte=bound) == [v for v in values if v >= bound]
    assert found(cash=bound) == [v for v in values if v == bound]
    assert found(cash__range=(values[0], bound)) == [v for v in values if v <= bound]
    assert found(cash__in=[bound, values[0]]) == [v for v in values if v in (bound, values[0])]


@in_one_transaction
@given(several)
def test_sql_finds_the_largest_and_the_smallest(values: list[Decimal]) -> None:
    _store(*values)
    found = PaperAccount.objects.aggregate(low=Min("cash"), high=Max("cash"))
    assert found == {"low": min(values), "high": max(values)}


def test_sql_compares_two_columns_by_value() -> None:
    PaperPosition.objects.create(ref="a", symbol="X", quantity=9, value=10, margin=0)
    PaperPosition.objects.create(ref="b", symbol="X", quantity=-9, value=-10, margin=0)
    assert [p.ref for p in PaperPosition.objects.filter(quantity__lt=F("value"))] == ["a"]


def test_numbers_that_are_written_differently_are_the_same_number() -> None:
    _store(D("1.50"))
    assert PaperAccount.objects.filter(cash=D("1.5")).exists()
    assert PaperAccount.objects.filter(cash="1.5000000000").exists()


def test_a_table_may_demand_that_a_number_is_there() -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        PaperAccount.objects.create(ref="0", currency="USD", cash=None)


@given(stored, stored)
def test_the_collation_is_the_order_of_numbers(one: Decimal, other: Decimal) -> None:
    texts = [format(value.quantize(QUANTUM), "f") for value in (one, other)]
    assert compare_decimal_texts(*texts) == (one > other) - (one < other)
    assert compare_decimal_texts(texts[0], texts[0]) == 0
