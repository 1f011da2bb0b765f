"""A workspace that does little does not pay for those that do much: its pages find its own rows by an index, and walk past no others'."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, models
from django.test import Client
from django.test.utils import CaptureQueriesContext

from signalist.strategies.models import Signal, StrategyRun
from signalist.trading.models import Execution, Position, Trade
from tenants.doors import across_tenants, viewing
from tests.cast import Cast
from tests.pages import ledger
from tests.pages.ledger import NOON

pytestmark = [pytest.mark.django_db, pytest.mark.postgresql]

MANY, FEW = 5_000, 5
FAR = 1_000_000
"""Where the copies' keys begin."""
LARGE = ("trading_execution", "trading_trade")
PAGES = (
    "/decisions/",
    "/decisions/?outcome=every",
    "/decisions/?outcome=DENIED",
    "/trades/",
    "/trades/?exit=SIGNAL&period=90",
    "/trades/?period=",
    "/dashboard/",
    "/subscriptions/",
)


@pytest.fixture
def busy(cast: Cast) -> None:
    """Globex has traded five thousand times, each on a signal of its own, Acme five times; Acme's are neither oldest nor newest."""
    with across_tenants("tests"):
        ledger.engine()
        market = ledger.instrument()
        due = ledger.schedule(market)
        loud, quiet = (ledger.follows(ledger.account(tenant), due) for tenant in (cast.globex, cast.acme))
        pattern = ledger.trade(loud, "3", "1", NOON - timedelta(hours=1))
        for _ in range(FEW):
            ledger.trade(quiet, "3", "1", NOON - timedelta(hours=1))
        execution = pattern.position.entry_execution
        signal = execution.signal
        assert signal is not None
        _copy(signal.run, candle_close="candle_close - n * interval '1 minute'")
        _copy(signal, public_id="gen_random_uuid()", run_id=f"{FAR} + n")
        _copy(execution, signal_id=f"{FAR} + n")
        _copy(pattern.position)
        _copy(pattern, position_id=f"{FAR} + n")
        with connection.cursor() as cursor:
            for model in (StrategyRun, Signal, Execution, Position, Trade):
                cursor.execute(f"ANALYZE {model._meta.db_table}")


def _copy(row: models.Model, **changes: str) -> None:
    """As many rows like this one, with keys of their own and these columns as SQL of `n` says."""
    table = row._meta.db_table
    columns = [field.column for field in row._meta.concrete_fields]
    values = [{"id": f"{FAR} + n", **changes}.get(column, f'"{column}"') for column in columns]
    into, found = ", ".join(f'"{column}"' for column in columns), ", ".join(values)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({into}) SELECT {found} FROM {table} CROSS JOIN generate_series(1, {MANY}) n"
            f" WHERE id = {row.pk}"
        )


def test_its_pages_walk_past_nobody_else_s_rows(client: Client, cast: Cast, busy: None) -> None:
    client.force_login(cast.theo)
    walked: dict[tuple[str, str], int] = {}
    for address in PAGES:
        with CaptureQueriesContext(connection) as asked:
            assert client.get(address).status_code == 200
        statements = [query["sql"] for query in asked if query["sql"].startswith("SELECT")]
        with viewing(cast.acme.pk):
            walked |= {(address, each): _walked(each) for each in statements if any(name in each for name in LARGE)}
    assert {address for address, _ in walked} == set(PAGES)
    assert {key: rows for key, rows in walked.items() if rows > 20 * FEW} == {}


def _walked(statement: str) -> int:
    """How many rows of the large tables the database looks at for this statement."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}")
        (plan,) = cursor.fetchone()
    found = plan if isinstance(plan, list) else json.loads(plan)
    return sum(
        node["Actual Loops"] * (node["Actual Rows"] + node.get("Rows Removed by Filter", 0))
        for node in _nodes(found[0]["Plan"])
        if node.get("Relation Name") in LARGE or re.search("|".join(LARGE), node.get("Index Name", ""))
    )


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes(part)
