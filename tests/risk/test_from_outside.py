"""The kill switch thrown by a process of its own while an engine trades, with no web process and no job runner: how soon it holds."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from decimal import Decimal

import pytest

from tests.engine.processes import until
from tests.flows.commands import OwnDatabase, engine, manage
from tests.flows.forks import Started

# A strategy that enters at every ten seconds' candle, and a subscriber whose entries are too small to run out of money.
SET_UP = """
from decimal import Decimal
from datetime import timedelta
from signalist.accounts.actions import welcome
from signalist.accounts.models import Account
from signalist.clock import utc_now
from signalist.markets import synthetic
from signalist.strategies.models import Schedule, Strategy, StrategyVersion
from signalist.trading.actions import subscribe
from signalist.trading.terms import Terms
from tenants.doors import across_tenants
from tenants.models import User
SOURCE = '''
from signalist_strategy import Signals
parameters = {}
history = 1
def signals(candles, parameters):
    turn = candles.time // 10 % 2
    return Signals(enter_long=turn == 0, exit_long=turn == 1)
'''
with across_tenants("tests"):
    instrument = next(iter(synthetic.instruments().values()))
    welcome(User.objects.create_user("nell@example.com"))
    strategy = Strategy.objects.create(slug="always", name="always")
    version = StrategyVersion.objects.create(strategy=strategy, number=1, source=SOURCE, content_hash="", history=1, state="PUBLISHED")
    schedule = Schedule.objects.create(version=version, instrument=instrument, timeframe="10s")
    Account.objects.update(currency=instrument.quote)
    terms = Terms(Decimal(1000), notional_fraction=Decimal("0.1"))
    subscribe(Account.objects.get(), schedule, instrument, terms, utc_now() - timedelta(hours=1), nets=True)
"""
ACME = """
from tenants.doors import across_tenants
from tenants.models import Tenant
with across_tenants("tests"):
    print(Tenant.objects.create(name="Acme").public_id)
"""
ENTRIES = "SELECT COUNT(*) FROM trading_execution WHERE kind = 'LONG' AND status IN ('TAKEN', 'RESIZED')"
DENIED = "SELECT numbers FROM trading_execution WHERE kind = 'LONG' AND rule = 'kill_switch'"
SENT_AFTER = """
SELECT COUNT(*) FROM trading_orderattempt a JOIN trading_order o ON o.id = a.order_id
WHERE o.leg = 'ENTRY' AND a.action = 'PLACE' AND a.sent_at > (SELECT MAX(at) FROM risk_sharedswitchchange)
"""


@pytest.fixture
def trading(own_database: OwnDatabase) -> Iterator[Started]:
    """An engine that trades the synthetic market, alone."""
    done = manage(own_database, "shell", "--no-imports", "-c", SET_UP)
    assert done.status == 0, done.err
    process = engine(own_database, "--market", "synthetic")
    yield process
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


def count(database: OwnDatabase, statement: str) -> Decimal:
    return Decimal(database.rows(statement)[0][0])


@pytest.mark.soak
def test_it_holds_with_its_commit_though_nothing_else_runs(own_database: OwnDatabase, trading: Started) -> None:
    until(lambda: count(own_database, ENTRIES) >= 1, "the engine enters", 90)
    begun = time.monotonic()
    said = manage(own_database, "kill", "--layer", "platform", "--state", "HALTED", "--reason", "a drill")
    assert said.status == 0, said.err
    assert "platform: HALTED." in said.out and "a drill" in said.out
    assert time.monotonic() - begun < 30
    entered = count(own_database, ENTRIES)
    until(lambda: own_database.rows(DENIED), "an entry is denied by name", 60)
    assert "platform" in str(own_database.rows(DENIED)[0][0])
    assert count(own_database, ENTRIES) == entered
    assert count(own_database, SENT_AFTER) == 0
    assert trading.poll() is None
    assert "a drill" in manage(own_database, "kill", "--show").out
    resumed = manage(own_database, "kill", "--layer", "platform", "--state", "ACTIVE", "--reason", "over")
    assert "No switch is thrown" in resumed.out
    until(lambda: count(own_database, ENTRIES) > entered, "the engine enters again", 90)


def test_the_command_says_what_it_needs(own_database: OwnDatabase) -> None:
    for arguments, said in (
        (["--layer", "platform", "--state", "HALTED"], "Say why"),
        (["--layer", "account", "--id", "seven", "--state", "HALTED", "--reason", "x"], "--id must be"),
        (["--layer", "strategy", "--id", "none", "--state", "HALTED", "--reason", "x"], "There is no strategy"),
        ([], "Name --layer and --state"),
    ):
        answer = manage(own_database, "kill", *arguments)
        assert answer.status == 2 and said in answer.err, answer
    assert "No switch is thrown" in manage(own_database, "kill", "--show").out


def test_what_the_command_throws_is_the_operators(own_database: OwnDatabase) -> None:
    done = manage(own_database, "shell", "--no-imports", "-c", ACME)
    assert done.status == 0, done.err
    key = done.out.split()[-1]
    manage(own_database, "kill", "--layer", "tenant", "--id", key, "--state", "HALTED", "--reason", "fraud review")
    rows = own_database.rows("SELECT state, stopped_by_operator FROM risk_tenantswitch")
    assert [(state, bool(held)) for state, held in rows] == [("HALTED", True)]
