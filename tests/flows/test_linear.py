"""What one more subscriber costs does not depend on how many there are already."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest
from django.db import connection

from signalist.db import fast
from signalist.execution import claims, decide, leases
from tenants.doors import across_tenants

pytestmark = pytest.mark.django_db

NOON = datetime(2022, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("table", "condition", "behind"),
    [
        ("trading_execution", decide._WAITING, (-1, 0)),
        ("trading_order", claims._WAITING, (NOON, -1, 0)),
        ("trading_position", "protection_due AND {mine} ORDER BY opened_at, id LIMIT %s", ()),
    ],
)
def test_what_waits_is_found_without_joining_all_accounts(
    table: str, condition: str, behind: tuple[object, ...]
) -> None:
    """A planner that has not seen yet how a table has grown joins row by row, and walks all accounts for each."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite looks an account up by its key either way")
    held, holder = leases.of(uuid.uuid4())
    with across_tenants("engine"):
        plan = fast.tuples(
            f"EXPLAIN SELECT id FROM {table} WHERE {condition.format(mine=held)}", [*behind, *holder, 400]
        )
    told = "\n".join(line for (line,) in plan)
    assert "SubPlan" in told
    assert "Join" not in told and "Nested Loop" not in told, told
