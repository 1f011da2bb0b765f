"""Reading and writing in bulk: the same values as through the ORM, without its cost."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connection, models, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from signalist.accounts.models import Account, PaperAccount, PaperDesk, PaperOrder
from signalist.db import fast
from signalist.domain.errors import DomainError
from signalist.events.models import Event
from signalist.trading.models import AccountDay
from tenants.doors import OutsideTenant, across_tenants, acting_for
from tenants.models import Membership
from tests.cast import Cast
from tests.domain.drawn import stored

pytestmark = pytest.mark.django_db

D = Decimal
NOON = datetime(2022, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)


def _order(n: int, **changes: Any) -> PaperOrder:
    values: dict[str, Any] = {
        "client_order_id": f"order-{n}",
        "ref": "A",
        "symbol": "BTC-PERP",
        "quantity": D("1234567.1234567891"),
        "price": None,
        "trigger": D("44000.5"),
        "reduce_only": n % 2 == 0,
        "leverage": D(10),
        "active_from": NOON + timedelta(minutes=n),
        "status": "WORKING",
        "filled": D(0),
    }
    return PaperOrder(**{**values, **changes})


def _values(row: models.Model) -> dict[str, Any]:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


# --- Writing -------------------------------------------------------------------------------------


def test_inserted_rows_are_what_the_orm_would_have_written() -> None:
    fast.insert([_order(1), _order(2)])
    PaperOrder.objects.bulk_create([_order(3), _order(4)])
    written = {row.client_order_id: _values(row) for row in PaperOrder.objects.all()}
    for quick, slow in (("order-1", "order-3"), ("order-2", "order-4")):
        differing = {name for name in written[quick] if written[quick][name] != written[slow][name]}
        assert differing == {"id", "client_order_id", "active_from"}


def test_inserted_rows_get_their_keys_where_they_are_asked_for() -> None:
    rows = [_order(n) for n in range(5)]
    fast.insert(rows, returning=True)
    for row in rows:
        assert _values(PaperOrder.objects.get(pk=row.pk)) == _values(row)
        assert not row._state.adding


def test_more_rows_than_fit_into_a_statement_are_all_inserted() -> None:
    rows = [_order(n) for n in range(1001)]
    fast.insert(rows, returning=True)
    assert PaperOrder.objects.count() == 1001
    assert len({row.pk for row in rows}) == 1001


def test_nothing_inserted_updated_or_looked_for_is_no_statement() -> None:
    with CaptureQueriesContext(connection) as statements:
        fast.insert(list[PaperOrder]())
        fast.update(list[PaperOrder](), ("status",))
        assert fast.select_ids(PaperOrder, []) == []
    assert len(statements) == 0


def test_a_conflict_is_answered_as_the_clause_says() -> None:
    fast.insert([_order(1)])
    with pytest.raises(IntegrityError), transaction.atomic():
        fast.insert([_order(1)])
    fast.insert([_order(1, status="FILLED"), _order(2)], conflict="ON CONFLICT DO NOTHING")
    assert dict(PaperOrder.objects.values_list("client_order_id", "status")) == {
        "order-1": "WORKING",
        "order-2": "WORKING",
    }


def test_a_column_that_the_database_fills_is_left_to_it() -> None:
    with across_tenants("tests"):
        fast.insert([Event(kind="told", payload={"n": 1}, at=NOON)])
        Event.objects.create(kind="told", payload={"n": 1}, at=NOON)
        quick, slow = Event.objects.order_by("pk")
    assert quick.xid == slow.xid
    assert (quick.payload, quick.at, quick.version) == (slow.payload, slow.at, slow.version)


def test_an_update_touches_the_named_columns_of_the_named_rows() -> None:
    fast.insert([_order(1), _order(2), _order(3)], returning=True)
    before = {row.client_order_id: _values(row) for row in PaperOrder.objects.all()}
    first, second = PaperOrder.objects.order_by("pk")[:2]
    first.status, first.filled, first.symbol = "FILLED", D("0.1"), "not among the names"
    second.status, second.filled = "PARTIAL", D("0.2")
    fast.update([first, second], ("status", "filled"))
    after = {row.client_order_id: _values(row) for row in PaperOrder.objects.all()}
    assert after == {
        "order-1": before["order-1"] | {"status": "FILLED", "filled": D("0.1")},
        "order-2": before["order-2"] | {"status": "PARTIAL", "filled": D("0.2")},
        "order-3": before["order-3"],
    }


def test_a_row_is_updated_by_another_unique_field() -> None:
    fast.insert([_order(1), _order(2)])
    fast.update([PaperOrder(client_order_id="order-2", price=D("7.5"))], ("price",), key="client_order_id")
    assert [row.price for row in PaperOrder.objects.order_by("pk")] == [None, D("7.5")]


@pytest.mark.parametrize("value", [1.5, D("0.00000000001"), D("NaN")])
def test_a_number_that_does_not_fit_is_refused(value: object) -> None:
    fast.insert([PaperAccount(ref="A", currency="USD", cash=D(1))], returning=True)
    with pytest.raises(DomainError):
        fast.insert([PaperAccount(ref="B", currency="USD", cash=value)])  # type: ignore[misc]
    with pytest.raises(DomainError):
        fast.update([PaperAccount(ref="A", cash=value)], ("cash",), key="ref")  # type: ignore[misc]
    assert list(PaperAccount.objects.values_list("cash", flat=True)) == [1]


def test_execute_says_how_many_rows_it_touched() -> None:
    fast.insert([_order(1), _order(2), _order(3, status="FILLED")])
    assert fast.execute("UPDATE accounts_paperorder SET status = %s WHERE status = %s", ["EXPIRED", "WORKING"]) == 2


# --- Reading -------------------------------------------------------------------------------------


def test_selected_rows_are_what_the_orm_would_have_read() -> None:
    PaperOrder.objects.bulk_create([_order(n, price=D(n) or None) for n in range(4)])
    quick = fast.select(PaperOrder, "price IS NULL OR price > %s ORDER BY id DESC", [D(1)])
    slow = PaperOrder.objects.exclude(client_order_id="order-1").order_by("-id")
    assert [_values(row) for row in quick] == [_values(row) for row in slow]
    assert quick == list(slow)


def test_json_and_dates_are_read_as_the_orm_reads_them() -> None:
    PaperDesk.objects.create(pk=1, version=3, cursors={"BTC-PERP": "2022-01-01T00:00:00+00:00", "n": [1, None]})
    (desk,) = fast.select(PaperDesk, "version > %s", [2])
    assert _values(desk) == _values(PaperDesk.objects.get())


def test_a_selected_row_can_be_saved_again() -> None:
    PaperOrder.objects.bulk_create([_order(1)])
    (row,) = fast.select(PaperOrder, "status = %s", ["WORKING"])
    row.status = "FILLED"
    row.save()
    assert PaperOrder.objects.get().status == "FILLED"


def test_rows_are_selected_by_ids_in_the_order_of_their_keys() -> None:
    PaperOrder.objects.bulk_create([_order(n) for n in range(5)])
    wanted = ["order-4", "order-0", "order-2", "unknown"]
    rows = fast.select_ids(PaperOrder, wanted, "leverage > 1 AND filled = '0'", column="client_order_id")
    assert [row.client_order_id for row in rows] == ["order-0", "order-2", "order-4"]


@pytest.mark.parametrize("lock", ["", "update", "skip"])
def test_a_lock_changes_nothing_about_what_is_read(lock: str) -> None:
    PaperOrder.objects.bulk_create([_order(n) for n in range(3)])
    with transaction.atomic():
        assert len(fast.select(PaperOrder, "status = %s ORDER BY id", ["WORKING"], lock=lock)) == 3


in_one_transaction = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)


@in_one_transaction
@given(
    quantities=st.lists(st.tuples(stored, stored | st.none()), min_size=1, max_size=5),
    moment=st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 -- they get UTC
)
def test_any_row_comes_back_as_it_was_written(
    quantities: list[tuple[Decimal, Decimal | None]], moment: datetime
) -> None:
    PaperOrder.objects.all().delete()
    rows = [
        _order(n, quantity=quantity, price=price, active_from=moment) for n, (quantity, price) in enumerate(quantities)
    ]
    fast.insert(rows, returning=True)
    assert [_values(row) for row in fast.select(PaperOrder, "1 = 1 ORDER BY id")] == [_values(row) for row in rows]
    for row in rows:
        row.price, row.quantity = row.quantity, -row.quantity
    fast.update(rows, ("price", "quantity"))
    assert [_values(row) for row in PaperOrder.objects.order_by("id")] == [_values(row) for row in rows]


# --- As it lies in the table --------------------------------------------------------------------


def _stored(model: type[models.Model]) -> list[tuple[Any, ...]]:
    """The rows as the driver gives them, without what distinguishes them."""
    apart = {"id", "public_id", "client_order_id", "venue_ref", "account_id"}
    columns = ", ".join(f'"{f.column}"' for f in model._meta.concrete_fields if f.column not in apart)
    return fast.tuples(f'SELECT {columns} FROM "{model._meta.db_table}" ORDER BY id')


@pytest.mark.parametrize("moment", [NOON, NOON.replace(microsecond=0), NOON.replace(microsecond=120_000)], ids=str)
def test_quick_rows_lie_in_the_table_exactly_as_slow_ones(cast: Cast, moment: datetime) -> None:
    """Or SQL would compare and order them differently."""

    def account(ref: str) -> Account:
        return Account(tenant=cast.acme, name="Paper", venue="paper", venue_ref=ref, currency="USD", created_at=moment)

    with acting_for(cast.acme.pk):
        quick, slow = account("quick"), account("slow")
        fast.insert([quick], returning=True)
        slow.save()
        days = [AccountDay(tenant=cast.acme, account=a, day=moment.date(), equity=D("-0.10")) for a in (quick, slow)]
        events = [Event(kind="told", payload={"ä": [1, None, "0.1"]}, at=moment, tenant_id=cast.acme.pk) for _ in "ab"]
        orders = [_order(n, active_from=moment, reduce_only=True) for n in (1, 2)]
        for first, second in (days, events, orders):
            fast.insert([first])
            second.save()
        for model in (Account, AccountDay, Event, PaperOrder):
            stored = _stored(model)
            assert len(stored) == 2
            assert stored[0] == stored[1]
        assert Account.objects.get(public_id=quick.public_id) == quick
        assert PaperOrder.objects.filter(active_from=moment, trigger=D("44000.5")).count() == 2


def test_updated_columns_lie_in_the_table_exactly_as_the_orm_writes_them() -> None:
    fast.insert([_order(n, active_from=NOON) for n in (1, 2)])
    quick, slow = PaperOrder.objects.order_by("pk")
    for row in (quick, slow):
        row.price, row.trigger, row.active_from, row.reduce_only = D(7), None, NOON.replace(microsecond=0), False
    names = ("price", "trigger", "active_from", "reduce_only")
    fast.update([quick], names)
    slow.save(update_fields=names)
    first, second = _stored(PaperOrder)
    assert first == second


# --- Tenants -------------------------------------------------------------------------------------


@pytest.fixture
def account(cast: Cast) -> Iterator[Account]:
    with acting_for(cast.acme.pk):
        yield Account(tenant=cast.acme, name="Paper", venue="paper", venue_ref="acme-1", currency="USD")


def test_tenant_rows_are_behind_the_door_here_too(cast: Cast) -> None:
    with pytest.raises(OutsideTenant):
        fast.select(Membership, "1 = 1")
    with pytest.raises(OutsideTenant):
        fast.execute("DELETE FROM tenants_membership", [])
    with pytest.raises(OutsideTenant):
        fast.tuples("SELECT role FROM tenants_membership")


def test_a_row_of_another_tenant_is_not_inserted(cast: Cast, account: Account) -> None:
    account.tenant = cast.globex
    with pytest.raises(OutsideTenant):
        fast.insert([account])
    account.tenant = cast.acme
    fast.insert([account], returning=True)
    assert Account.objects.get() == account


def test_a_row_of_another_tenant_is_not_updated(cast: Cast, account: Account) -> None:
    fast.insert([account], returning=True)
    stolen = Account(pk=account.pk, tenant=cast.globex, name="changed")
    with pytest.raises(OutsideTenant):
        fast.update([stolen], ("name",))
    assert Account.objects.get().name == "Paper"
