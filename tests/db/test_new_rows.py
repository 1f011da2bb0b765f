"""Rows made without a constructor call are the rows that the constructor makes."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.db import models

from signalist.accounts.models import Account
from signalist.db import fast
from signalist.events.models import Event
from signalist.trading.models import Execution, Fill, Order, Position, Reservation, Subscription, Trade

NOON = datetime(2022, 1, 1, 12, tzinfo=UTC)
MADE_ANEW = {"public_id"}


@pytest.mark.parametrize("model", [Order, Fill, Position, Trade, Reservation, Execution, Event, Subscription])
def test_every_default_is_the_fields_own(model: type[models.Model]) -> None:
    quick, slow = fast.new(model), model()
    # What the database fills in by itself is not ours to write.
    own = [f for f in model._meta.concrete_fields if f.db_default is models.NOT_PROVIDED and f.name not in MADE_ANEW]
    assert {f.attname: getattr(quick, f.attname) for f in own} == {f.attname: getattr(slow, f.attname) for f in own}
    assert quick._state.adding


def test_values_that_are_made_for_each_row_are_not_shared() -> None:
    assert fast.new(Event).payload is not fast.new(Event).payload
    assert fast.new(Subscription).public_id != fast.new(Subscription).public_id


def test_a_related_row_brings_its_key_and_is_at_hand() -> None:
    account = Account(pk=7)
    order = fast.new(Order, account=account, position=None, quantity=Decimal(1))
    assert (order.account_id, order.account, order.position_id, order.position) == (7, account, None, None)
    order.account_id = 8
    assert "account" not in order._state.fields_cache, "another key is another account"


def test_a_name_that_is_no_fields_is_refused() -> None:
    with pytest.raises(TypeError, match="quantiti"):
        fast.new(Order, quantiti=Decimal(1))
