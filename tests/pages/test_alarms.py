"""What somebody must know soon is on the dashboard, and in the mail of those who may stop the trading, each once."""

from __future__ import annotations

import pytest
from django.core import mail
from django.core.cache import cache
from django.db import connection, transaction
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django_q.models import Schedule

from signalist.accounts.models import Account
from signalist.clock import utc_now
from signalist.dashboard.fragments import kill_state
from signalist.events.outbox import Fact, emit
from signalist.trading import noting
from signalist.trading.alarm_mails import mail_alarms
from signalist.trading.alarms import alarms
from signalist.trading.comparing import Sight
from signalist.trading.discrepancies import Kind
from signalist.trading.models import Position
from tenants.doors import across_tenants, viewing
from tests.cast import Cast
from tests.pages import ledger
from tests.pages.acme import plain

pytestmark = pytest.mark.django_db


def happens(kind: str, position: Position, severity: str = "HIGH", **more: str) -> None:
    with across_tenants("tests"), transaction.atomic():
        emit([Fact(kind, position.tenant_id, utc_now(), {"position": position.pk, "severity": severity, **more})])


def run() -> str:
    """The next minute's."""
    cache.delete("alarms-are-mailed")
    return mail_alarms()


def test_an_alarm_is_on_the_dashboard_and_mailed_once_to_those_who_may_stop(client: Client, cast: Cast) -> None:
    cache.clear()
    with across_tenants("tests"):
        ledger.engine()
        due = ledger.schedule(ledger.instrument())
        held = ledger.position(ledger.follows(ledger.account(cast.acme, name="Desk"), due))
    happens("dust_written_off", held, "INFO")
    assert run().startswith("nobody") and mail.outbox == []
    happens("exit_overtakes", held)

    client.force_login(cast.theo)
    shown = client.get("/dashboard/").content.decode().partition('id="kill-state"')[2].partition("</div></div>")[0]
    assert "An exit overtook its protection" in shown and f'href="/positions/{held.pk}/"' in shown and "Desk" in shown
    assert 'role="alert"' in shown and "Dust" not in shown
    with viewing(cast.globex.pk):
        assert kill_state(cast.globex.pk)["alarms"] == []

    cache.add("alarms-are-mailed", True)
    assert mail_alarms() == "another run does it"
    with override_settings(EMAIL_BACKEND="django.core.mail.backends.smtp.EmailBackend", EMAIL_PORT=1):
        assert run() == "told: 0 people; 2 could not be"
    assert (run(), run()) == ("told: 2 people", "told: 0 people")
    assert [each.to for each in mail.outbox] == [["olivia@example.com"], ["theo@example.com"]]
    assert mail.outbox[0].subject.endswith("An exit overtook its protection: NOVA/USD, Desk (paper)")
    assert "UTC, Acme, NOVA/USD, Desk (paper): An exit overtook" in mail.outbox[0].body

    # Several at once are one mail, and cost what one costs; the reason is the event's own.
    def asked() -> int:
        with CaptureQueriesContext(connection) as queries, viewing(cast.acme.pk):
            assert alarms(cast.acme.pk, ledger.NOON)
        return len(queries)

    before = asked()
    for _ in range(30):
        happens("emergency_exit", held, reason="the stop was refused 3 times")
    assert asked() == before
    assert run() == "told: 2 people" and mail.outbox[2].subject.endswith("30 alarms")
    assert "Emergency exit. It is closed at market: the stop was refused 3 times." in mail.outbox[2].body
    assert "And 10 more." in mail.outbox[2].body

    with across_tenants("tests"), transaction.atomic():
        Account.objects.filter(pk=held.account_id).update(name="The\nDesk")
        payload = {"account": held.account_id, "reason": "its books cannot be kept", "severity": "HIGH"}
        emit([Fact("account_halted", cast.acme.pk, utc_now(), payload)])
    assert run() == "told: 2 people" and mail.outbox[4].subject.endswith("The account was halted: The Desk")
    assert "Desk: The account was halted. Its books cannot be kept." in mail.outbox[4].body
    with across_tenants("tests"), transaction.atomic():
        doubt, gap = (Sight(kind, "NOVA/USD", kind, None, None) for kind in (Kind.EXIT_HELD, Kind.ORDER_CHANGED))
        account = Account.objects.get(pk=held.account_id)
        noting.store([noting.begun(account, sight, held.instrument_id, 1, utc_now()) for sight in (doubt, gap)])
    assert run() == "told: 2 people" and mail.outbox[6].subject.endswith("An exit does not leave: The Desk")
    assert "In NOVA/USD; the page of the account tells of it until it is over." in mail.outbox[6].body
    assert Schedule.objects.get(name="mail alarms").func == f"{mail_alarms.__module__}.{mail_alarms.__name__}"


def test_what_an_outage_missed_says_what_was_done_and_leads_to_the_subscription(client: Client, cast: Cast) -> None:
    cache.clear()
    with across_tenants("tests"), transaction.atomic():
        ledger.engine()
        market = ledger.instrument()
        mine, other = (
            ledger.follows(ledger.account(cast.acme, name=name), ledger.schedule(market, name))
            for name in ("desk", "bank")
        )
        missed = {"entries": 2, "exit": True, "held": True, "closed": False, "asked": True, "severity": "HIGH"}
        missed |= {"since": "2026-11-20T11:50:00+00:00", "until": "2026-11-20T11:58:00+00:00"}
        alone = missed | {"entries": 1, "exit": False, "held": False}
        alone |= {"since": missed["until"], "subscription": other.pk}
        quiet = alone | {"severity": "INFO"}
        for payload in (quiet, alone, missed | {"subscription": mine.pk}):
            emit([Fact("signals_missed", cast.acme.pk, utc_now(), payload)])
    client.force_login(cast.theo)
    page = client.get("/dashboard/").content.decode().partition('id="kill-state"')[2]
    assert page.count("Signals were missed in an outage") == 2
    assert f'href="/subscriptions/{mine.public_id}/"' in page and f'href="/subscriptions/{other.public_id}/"' in page
    assert 'data-local="both">20 Nov 2026, 11:50:00 UTC</time>' in page, "in the reader's own zone"
    words = plain(page).replace(" .", ".")
    assert (
        "2 entries and an exit of what is held were missed. The position was not closed and keeps what protects it"
        in words
    )
    assert (
        "1 entry was missed. No entry is taken until somebody has looked, and resumes it under Stop trading." in words
    )
    assert "on the candle that closed at 20 Nov 2026, 11:58:00 UTC." in words
    with viewing(cast.globex.pk):
        assert alarms(cast.globex.pk, ledger.NOON) == []

    assert run() == "told: 2 people"
    body = mail.outbox[0].body
    assert "Acme, Desk, NOVA/USD, desk (paper): Signals were missed in an outage. 2 entries and an exit" in body
    assert "on candles that closed from 20 November 2026 11:50 to 20 November 2026 11:58 UTC.\nhttp" in body
    assert f"/subscriptions/{mine.public_id}/\n" in body
