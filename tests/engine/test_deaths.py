"""An engine that dies where only a lasting engine passes, and the next one that goes on."""

from __future__ import annotations

import signal

import pytest

from tests.engine.processes import until
from tests.flows.commands import OwnDatabase, engine, manage

NEWCOMER = """
from signalist.accounts.actions import welcome
from tenants.models import User
welcome(User.objects.create_user("nell@example.com"))
"""


def _newest_price(database: OwnDatabase) -> str:
    return str(database.rows("SELECT MAX(at) FROM markets_latestprice")[0][0] or "")


@pytest.mark.parametrize(
    "place",
    # A snapshot is taken at the next full minute: nobody waits for that in the bounded part.
    ["engine.feeds.committed", pytest.param("measure.snapshot.committed", marks=pytest.mark.soak)],
)
def test_the_next_engine_goes_on_where_one_died(own_database: OwnDatabase, place: str) -> None:
    assert manage(own_database, "shell", "-c", NEWCOMER).status == 0
    dying = engine(own_database, "--market", "synthetic", SIGNALIST_FAILPOINT=f"{place}:1")
    assert dying.wait(90) == -signal.SIGKILL
    before = _newest_price(own_database)
    heir = engine(own_database, "--market", "synthetic")
    try:
        until(lambda: _newest_price(own_database) > before, "the market moves again", 30)
        until(lambda: own_database.rows("SELECT 1 FROM accounts_paperaccount"), "the newcomer's account is open", 30)
    finally:
        heir.send_signal(signal.SIGTERM)
        assert heir.wait(30) == 0
    doubled = "SELECT account_id, at FROM trading_equitypoint GROUP BY account_id, at HAVING COUNT(*) > 1"
    assert own_database.rows(doubled) == []
    assert len(own_database.rows("SELECT 1 FROM execution_engineprocess WHERE feeds = 'synthetic'")) <= 1
