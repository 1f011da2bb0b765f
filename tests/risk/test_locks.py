"""The order of locks around the kill switch, with a connection beside ours that holds what another engine would."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import OperationalError, connection

from signalist.accounts.models import Account, AccountState
from signalist.clock import utc_now
from signalist.execution.switch_requests import carry_out
from signalist.risk.actions import Where, switch
from signalist.risk.models import SharedSwitch, SwitchRequest
from signalist.trading.models import Execution
from tenants.doors import across_tenants
from tenants.models import User
from tests.cast import PASSWORD
from tests.flows.scene import EXIT_LONG, LONG, Scene, entry

pytestmark = pytest.mark.postgresql


@contextmanager
def held_elsewhere(table: str, key: int) -> Iterator[None]:
    """Another connection has locked this row, and nobody here waits for it for longer than half a second."""
    other = connection.copy()
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor, connection.cursor() as ours:
            cursor.execute("SET app.across = 'tests'")
            cursor.execute(f"SELECT id FROM {table} WHERE id = %s FOR NO KEY UPDATE", [key])
            assert cursor.fetchone() == (key,)
            ours.execute("SET lock_timeout = '500ms'")
            try:
                yield
            finally:
                ours.execute("RESET lock_timeout")
    finally:
        other.close()


def test_resuming_an_account_does_not_wait_for_what_waits_for_the_account(scene: Scene) -> None:
    scene.minute()
    theo = scene.subscriber()
    scene.signal(entry(LONG, "39600", "40800"))
    account, now = Where.of_account(Account.objects.get(pk=theo.account_id)), scene.clock.now()
    switch(account, AccountState.HALTED, "a drill", now, who="theo")
    scene.minute()
    scene.signal(EXIT_LONG)
    exit_ = Execution.objects.get(kind="EXIT_LONG")
    assert exit_.not_before is not None
    with held_elsewhere("trading_execution", exit_.pk):
        assert switch(account, AccountState.ACTIVE, "over", now, who="theo"), (
            "a decision holds it, and wants the account"
        )
    switch(account, AccountState.HALTED, "again", now, who="theo")
    switch(account, AccountState.ACTIVE, "over", now, who="theo")
    exit_.refresh_from_db()
    assert exit_.not_before is None, "what nobody holds is let out"
    scene.settle()
    assert scene.trade(theo).exit_type == "SIGNAL"


@pytest.mark.django_db(transaction=True)
def test_requests_are_carried_out_one_after_the_other_by_whichever_engine() -> None:
    now = utc_now()
    root = User.objects.create_superuser("root@example.com", PASSWORD)
    common = {"layer": "PLATFORM", "reason": "a drill", "by": root, "at": now}
    first = SwitchRequest.objects.create(state="HALTED", **common)
    SwitchRequest.objects.create(state="REDUCING", **common)
    refused = pytest.raises(OperationalError, match="lock timeout")
    with across_tenants("tests"), held_elsewhere("risk_switchrequest", first.pk), refused:
        carry_out(now)
    assert not SharedSwitch.objects.exists(), "another engine is at the one before"
    with across_tenants("tests"):
        assert carry_out(now) == 2
    assert SharedSwitch.objects.get().state == "HALTED"
