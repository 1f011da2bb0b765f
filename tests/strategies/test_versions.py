"""A version goes from draft over the gate and a review to its followers, who are asked before they move; nobody else sees its source."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.mail import EmailMessage
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django_q.models import Schedule as Timetable

from signalist.accounts.actions import open_paper_account
from signalist.clock import utc_now
from signalist.domain.money import ZERO
from signalist.events.models import Event
from signalist.strategies import actions
from signalist.strategies.actions import Refused
from signalist.strategies.gate_models import GateReport
from signalist.strategies.jobs import check_version
from signalist.strategies.models import Schedule, Strategy, StrategyVersion
from signalist.strategies.version_models import VersionState, VersionStep
from signalist.trading import moving
from signalist.trading.models import Subscription
from signalist.trading.news import tell_followers
from tenants.doors import acting_for
from tenants.models import User
from tests.cast import PASSWORD, Cast
from tests.pages.ledger import instrument as market

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 7, 1, tzinfo=UTC)
SOURCE = """
from signalist_strategy import Parameter, Signals, indicators
parameters = {"period": Parameter(int, 5, min=2, max=50)}
def history(parameters):
    return parameters.period + 1
def signals(candles, parameters):
    mean = indicators.sma(candles.close, parameters.period)
    return Signals(enter_long=indicators.crossed_above(candles.close, mean), exit_long=indicators.crossed_below(candles.close, mean),
                   stop_long=candles.close * 0.98)
"""
SLOWER = SOURCE.replace("int, 5", "int, 9")
MOODY = (
    SOURCE
    + """
import numpy as np
def signals(candles, parameters):
    return Signals(enter_long=np.random.default_rng().random(len(candles)) < 0.5)
"""
)
"""Says different things about the same candles."""


@pytest.fixture
def reviewer(db: None) -> User:
    return User.objects.create_user("rita@example.com", "a password for tests only", is_staff=True)


def _passed(version: StrategyVersion) -> None:
    """As after the gate, which has tests of its own."""
    checks = [{"name": "stops", "passed": True, "detail": f"stops of {version.history}", "line": None}]
    GateReport.objects.create(version=version, passed=True, checks=checks, checked_at=NOW)
    actions.checked(version, NOW, passed=True)


def _published(strategy: Strategy, source: str, instrument: int, author: User, reviewer: User) -> StrategyVersion:
    version = actions.draft(strategy, source, [(instrument, "1m")], "", author, NOW)
    actions.submit(version, author, NOW)
    _passed(version)
    actions.publish(version, reviewer, NOW)
    return version


def test_a_version_is_immutable_and_known_by_its_contents(cast: Cast) -> None:
    strategy = actions.create(cast.theo, "Mine", "mine", "")
    first = actions.draft(strategy, SOURCE, [], "", cast.theo, NOW)
    assert (first.number, first.state, first.parameters, first.history) == (1, "DRAFT", {"period": 5}, 6)
    assert actions.draft(strategy, SOURCE, [], "said better", cast.theo, NOW) == first
    assert StrategyVersion.objects.get(pk=first.pk).changes == "said better"
    second = actions.draft(strategy, SLOWER, [], "slower", cast.theo, NOW)
    assert (second.number, second.parameters, second.history) == (2, {"period": 9}, 10)
    assert len({first.content_hash, second.content_hash}) == 2
    for name, value in (
        ("source", SLOWER),
        ("parameters", {"period": 6}),
        ("history", 9),
        ("content_hash", "x"),
        ("number", 7),
        ("markets", [[1, "1h"]]),
    ):
        changed = StrategyVersion.objects.get(pk=first.pk)
        setattr(changed, name, value)
        with pytest.raises(ValueError, match="never changes"):
            changed.save()
    with pytest.raises(Refused, match="one of the house's own"):
        actions.create(cast.theo, "Bollinger", "bollinger-breakout", "")
    with pytest.raises(Refused, match="called mine already"):
        actions.create(cast.gus, "Mine too", "mine", "")


def test_a_broken_file_is_told_with_its_line_and_nothing_of_ours(cast: Cast) -> None:
    strategy = actions.create(cast.theo, "Mine", "mine", "")
    for broken, line, said in (
        (SOURCE + "\n1 / 0\n", 11, "ZeroDivisionError"),
        ("import os\n" + SOURCE, 1, "may not import os"),
    ):
        with pytest.raises(Refused) as refused:
            actions.draft(strategy, broken, [], "", cast.theo, NOW)
        assert (refused.value.field, refused.value.line) == ("source", line)
        assert said in str(refused.value)
        assert "Traceback" not in str(refused.value) and "sandbox/" not in str(refused.value)
    assert not strategy.versions.exists()


def test_nothing_is_published_past_the_gate_and_the_review(cast: Cast, reviewer: User) -> None:
    instrument = market("NOVA/USD")
    strategy = actions.create(cast.theo, "Mine", "mine", "")
    version = actions.draft(strategy, SOURCE, [], "", cast.theo, NOW)
    with pytest.raises(Refused, match="Choose a market first"):
        actions.submit(version, cast.theo, NOW)
    version = actions.draft(strategy, SOURCE, [(instrument.pk, "1m")], "", cast.theo, NOW)
    for act in (actions.publish, actions.retire):
        with pytest.raises(Refused):
            act(version, reviewer, NOW)
    actions.submit(version, cast.theo, NOW)
    with pytest.raises(Refused, match="at the gate"):
        actions.submit(version, cast.theo, NOW)
    _passed(version)
    with pytest.raises(Refused, match="Only staff"):
        actions.publish(version, cast.olivia, NOW)
    cast.theo.is_staff = True
    with pytest.raises(Refused, match="of their own"):
        actions.publish(version, cast.theo, NOW)
    written = VersionStep.objects.filter(version=version).order_by("pk")[:1]
    VersionStep.objects.filter(pk__in=written).update(
        by=reviewer
    )  # as where the author has shared the strategy with them
    with pytest.raises(Refused, match="what they have written"):
        actions.publish(version, reviewer, NOW)
    VersionStep.objects.filter(pk__in=written).update(by=cast.theo)
    with pytest.raises(Refused, match="Say what is wrong"):
        actions.send_back(version, reviewer, NOW, " ")
    assert not Schedule.objects.filter(version=version).exists()
    actions.publish(version, reviewer, NOW)
    assert [(s.instrument_id, s.timeframe, s.is_active) for s in version.schedules.all()] == [
        (instrument.pk, "1m", True)
    ]
    with pytest.raises(Refused, match="Nothing differs from version 2, which is published"):
        actions.draft(strategy, SOURCE, [(instrument.pk, "1m")], "", cast.theo, NOW)
    actions.retire(version, cast.theo, NOW)
    assert actions.draft(strategy, SOURCE, [(instrument.pk, "1m")], "again", cast.theo, NOW).number == 3
    states = VersionStep.objects.filter(version=version).order_by("pk").values_list("state", "by__email")
    assert list(states) == [
        ("DRAFT", "theo@example.com"), ("CHECKING", "theo@example.com"), ("REVIEW", None), ("PUBLISHED", "rita@example.com"),
        ("RETIRED", "theo@example.com"),
    ]  # fmt: skip


def test_the_gate_sends_back_what_it_refuses(cast: Cast) -> None:
    strategy = actions.create(cast.theo, "Mine", "mine", "")
    version = actions.draft(strategy, MOODY, [(market("NOVA/USD").pk, "1m")], "", cast.theo, NOW)
    actions.submit(version, cast.theo, NOW)
    assert actions.take_to_gate(version.pk, utc_now()) is not None
    check_version(version.pk)  # a job that is delivered twice, while another worker has it
    assert version.gate_reports.count() == 0
    StrategyVersion.objects.update(examined_until=utc_now() - timedelta(seconds=1))  # whose time is over
    check_version(version.pk)
    check_version(version.pk)  # and once it is done
    version.refresh_from_db()
    assert version.state == VersionState.DRAFT
    step = VersionStep.objects.filter(version=version).order_by("-pk").first()
    assert step is not None
    assert "determinism" in step.note
    assert version.gate_reports.count() == 1


def test_one_version_is_at_the_gate_at_a_time_and_one_that_got_stuck_comes_back(cast: Cast) -> None:
    strategy, places = actions.create(cast.theo, "Mine", "mine", ""), [(market("NOVA/USD").pk, "1m")]
    first = actions.draft(strategy, SOURCE, places, "", cast.theo, NOW)
    actions.submit(first, cast.theo, NOW)
    other = actions.draft(actions.create(cast.theo, "Other", "other", ""), SLOWER, places, "", cast.theo, NOW)
    with pytest.raises(Refused, match="Version 1 of Mine is at the gate"):
        actions.submit(other, cast.theo, NOW)
    assert actions.release_stale(NOW + actions.STALE) == 0
    assert actions.release_stale(NOW + actions.STALE + timedelta(seconds=1)) == 1
    first.refresh_from_db()
    assert first.state == VersionState.DRAFT
    actions.submit(other, cast.theo, NOW)
    assert Timetable.objects.get(func="signalist.strategies.jobs.release_versions").minutes == 10


def test_followers_are_told_of_a_newer_version_and_stay_with_theirs_until_their_owner_moves_them(
    client: Client, cast: Cast, reviewer: User, mailoutbox: list[EmailMessage], django_capture_on_commit_callbacks: Any
) -> None:
    instrument = market("NOVA/USD")
    strategy = actions.create(cast.gus, "Gus's", "guss", "")
    first = _published(strategy, SOURCE, instrument.pk, cast.gus, reviewer)
    with acting_for(cast.acme.pk):
        account = open_paper_account(cast.acme.pk, "Paper", "USD", ZERO)
        subscription = Subscription.objects.create(
            tenant=cast.acme, account=account, strategy=strategy, schedule=first.schedules.get(), instrument=instrument,
            capital=1000, risk_fraction="0.01", started_at=NOW,
        )  # fmt: skip
        assert moving.newer(subscription) is None
    second = _published(strategy, SLOWER, instrument.pk, cast.gus, reviewer)
    address = f"/subscriptions/{subscription.public_id}/version/"
    client.force_login(cast.theo)
    with django_capture_on_commit_callbacks(execute=True):
        assert [tell_followers(one.pk)[:7] for one in (second, second, first)] == ["told: 1", "told: 0", "told: 0"]
    with acting_for(cast.acme.pk):
        told = Event.objects.get(kind="version_published")
    assert (told.tenant_id, told.payload["version"], told.payload["followed"]) == (cast.acme.pk, 2, 1)
    assert sorted(mail.to[0] for mail in mailoutbox) == ["olivia@example.com", "theo@example.com"]
    assert "an older version" in mailoutbox[0].body
    assert f'href="{address}">version 2 is there' in client.get("/subscriptions/").content.decode()
    page = client.get(f"/subscriptions/{subscription.public_id}/").content.decode()
    assert "Version 2 is there" in page
    shown = client.get(address).content.decode()
    for words in ("Version 2 instead of 1", "Period", "stops of 6", "stops of 10"):
        assert words in shown
    assert "indicators.sma" not in shown

    client.post(address, {"answer": "stay", "number": "2"})
    assert "version 2 is there" not in client.get("/subscriptions/").content.decode()
    assert "is there" not in client.get(f"/subscriptions/{subscription.public_id}/").content.decode()
    asked = client.post(address, {"answer": "move", "number": "2"}).headers["Location"]
    assert asked.startswith("/accounts/reauthenticate/?next=%2Fsubscriptions%2F")
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    client.post(address, {"answer": "move", "number": "3"})
    with acting_for(cast.acme.pk):
        assert Subscription.objects.get().schedule.version == first
    client.post(address, {"answer": "move", "number": "2"})
    with acting_for(cast.acme.pk):
        assert Subscription.objects.get().schedule.version == second

    Schedule.objects.filter(version=first).update(is_active=False, suspended_at=NOW)
    client.force_login(cast.gus)
    again = "/authoring/guss/1/resume/"
    assert "Put it on again" in client.get("/authoring/guss/1/").content.decode()
    assert client.post(again).headers["Location"].startswith("/accounts/reauthenticate/")
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    client.post(again)
    assert first.schedules.get().is_active
    assert "Put it on again" not in client.get("/authoring/guss/1/").content.decode()
    client.force_login(cast.theo)
    assert client.post(again).status_code == 404
    client.force_login(cast.gus)
    assert client.get(address).status_code == 404
    assert client.post(address, {"answer": "move", "number": "2"}).status_code == 404
    client.force_login(cast.vera)
    assert client.post(address, {"answer": "move", "number": "2"}).status_code == 403


def test_an_author_writes_on_pages_and_nobody_else_reads_it(client: Client, cast: Cast, reviewer: User) -> None:
    instrument = market("NOVA/USD")
    client.force_login(cast.theo)
    assert client.post("/authoring/new/", {"name": "Mine", "slug": "mine"}).url == "/authoring/mine/write/"
    assert "def signals" in client.get("/authoring/mine/write/").content.decode()
    chosen = {"instruments": [str(instrument.pk)], "timeframe": "5m", "changes": "first"}
    broken = client.post("/authoring/mine/write/", {**chosen, "source": SOURCE + "1 / 0\n"}).content.decode()
    assert "Line 10" in broken and "ZeroDivisionError" in broken
    upload = SimpleUploadedFile("mine.py", SOURCE.replace("\n", "\r\n").encode())
    assert client.post("/authoring/mine/write/", {**chosen, "upload": upload}).url == "/authoring/mine/1/"
    binary = client.post("/authoring/mine/write/", {**chosen, "upload": SimpleUploadedFile("x.py", b"\xff")})
    assert "not UTF-8" in binary.content.decode()
    assert "indicators.sma" in client.get("/authoring/mine/1/").content.decode()
    assert "Mine" in client.get("/authoring/").content.decode()
    assert client.post("/authoring/mine/1/publish/").status_code == 404

    for other in (cast.gus, cast.olivia, reviewer):  # a draft is not even the reviewers'
        client.force_login(other)
        assert {
            client.get(path).status_code
            for path in ("/authoring/mine/1/", "/authoring/mine/", "/authoring/mine/write/")
        } <= {404, 302}
        assert client.post("/authoring/mine/1/submit/").status_code in (404, 302)
    client.force_login(cast.vera)
    assert client.get("/authoring/").status_code == 403

    Strategy.objects.update(author=cast.vera)  # an author whose role writes no more
    assert client.post("/authoring/mine/1/submit/").status_code == 403
    Strategy.objects.update(author=cast.theo)
    client.force_login(cast.theo)
    version = StrategyVersion.objects.get(strategy__slug="mine")
    asked = client.post("/authoring/mine/1/submit/").headers["Location"]
    version.refresh_from_db()
    assert (asked, version.state) == ("/accounts/reauthenticate/?next=%2Fauthoring%2Fmine%2F1%2F", VersionState.DRAFT)
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    client.post("/authoring/mine/1/submit/")
    version.refresh_from_db()
    assert version.state == VersionState.CHECKING
    _passed(version)
    client.force_login(cast.gus)
    assert client.get("/authoring/mine/1/").status_code == 404
    cast.gus.is_staff = True
    cast.gus.save()
    for act in ("publish", "send-back", "retire"):  # being staff is not enough: it is done with powers that were begun
        powers = client.post(f"/authoring/mine/1/{act}/", {"note": "well done"}).headers["Location"]
        assert powers.startswith("/staff/powers/?next=")
    assert client.get("/authoring/mine/1/").headers["Location"].startswith("/staff/powers/?next=")
    assert "Mine v1" not in client.get("/authoring/").content.decode()
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    client.post("/staff/powers/", {"reason": "a review"})
    assert "indicators.sma" in client.get("/authoring/mine/1/").content.decode()
    assert "Mine v1" in client.get("/authoring/").content.decode()
    session = client.session
    session["account_authentication_methods"] = []  # the proof has run out, the powers have not
    session.save()
    for act in ("publish", "retire"):
        asked = client.post(f"/authoring/mine/1/{act}/", {"note": "well done"}).headers["Location"]
        assert asked == "/accounts/reauthenticate/?next=%2Fauthoring%2Fmine%2F1%2F%3Fnote%3Dwell%2Bdone"
    assert 'value="well done"' in client.get("/authoring/mine/1/?note=well+done").content.decode()
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    version.refresh_from_db()
    assert version.state == VersionState.REVIEW
    client.post("/authoring/mine/1/publish/", {"note": "well done"})
    version.refresh_from_db()
    assert version.state == VersionState.PUBLISHED
    public = client.get("/marketplace/mine/").content.decode()
    assert "v1" in public and "indicators.sma" not in public


@pytest.mark.postgresql
def test_the_web_s_role_may_do_all_of_it_and_rewrites_no_step(client: Client, cast: Cast, reviewer: User) -> None:
    instrument = market("NOVA/USD")
    client.force_login(cast.theo)
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE signalist_web")
        client.post("/authoring/new/", {"name": "Mine", "slug": "mine"})
        chosen = {"instruments": [str(instrument.pk)], "timeframe": "5m", "source": SOURCE}
        assert client.post("/authoring/mine/write/", chosen).url == "/authoring/mine/1/"
        client.post("/accounts/reauthenticate/", {"password": PASSWORD})
        client.post("/authoring/mine/1/submit/")
        assert "At the gate" in client.get("/authoring/mine/1/").content.decode()
        with pytest.raises(DatabaseError), transaction.atomic():
            cursor.execute("UPDATE strategies_versionstep SET note = 'never happened'")
        cursor.execute("RESET ROLE")
