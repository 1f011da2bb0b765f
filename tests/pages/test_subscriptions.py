"""Subscriptions: how each does and why, and what its owner may change; the outsider gets nothing, the reader changes nothing."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal

import pytest

from signalist.domain.rules import Limits
from signalist.events.models import Event
from signalist.marketplace.bars import day_bars
from signalist.risk.outages import SHOWN
from signalist.trading.models import (
    AccountDay,
    Execution,
    Instruction,
    Position,
    Subscription,
    SubscriptionStatus,
    Trade,
)
from tests.cast import PASSWORD, Cast
from tests.flows.scene import EXIT_LONG, LONG, entry
from tests.pages import ledger
from tests.pages.acme import Acme, plain
from tests.pages.counting import asks
from tests.pages.following import acme_follows

BUY = entry(LONG, "39600", "40800")
# The shell; how many of each, how many in the list, the rows; positions, what covers them, prices, closing; results of days.
LIST = 11
# The same without counting; then its ledger in two; its decisions with their subscription, account and signals; its outages.
ONE = 18
CHANGES = ("pause", "resume", "cancel", "terms")


@pytest.fixture
def acme(transactional_db: None, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> Iterator[Acme]:
    with acme_follows(cast, monkeypatch) as world:
        yield world


@pytest.fixture
def desk(acme: Acme) -> Subscription:
    return acme.follower("Desk")


def where(subscription: Subscription, change: str = "") -> str:
    return f"/subscriptions/{subscription.public_id}/" + (f"{change}/" if change else "")


def row(page: str, strategy: str) -> str:
    """The words of the row of a strategy's subscription."""
    (found,) = (plain(r) for r in re.findall(r"<tr>.*?</tr>", page, re.DOTALL) if f">{strategy}</a>" in r)
    return found


def region(page: str, key: str) -> str:
    """The words of a part of the page that is fetched anew while it is looked at."""
    part = page.partition(f'id="{key}"')[2]
    return plain("<p" + part.partition("</dl>" if key == "now-figures" else "</section>")[0])


def traded(acme: Acme) -> None:
    """A trade that ended at its target: 2.5 BTC from 40,000 to 40,800, with 101.00 of fees."""
    acme.scene.signal(BUY)
    acme.scene.minute(high="40900", close="40000")
    assert Trade.objects.get().net == 1899


# --- The list ------------------------------------------------------------------------------------


def test_without_any_it_says_what_to_do(acme: Acme) -> None:
    said = acme.text("/subscriptions/")
    assert "0 active, 0 paused, 0 ended." in said
    assert "No account follows a strategy Choose one, see what its last signal would have done" in said
    assert "None has ended" in acme.text("/subscriptions/?ended")


def test_the_list_shows_terms_position_and_results(acme: Acme, desk: Subscription) -> None:
    traded(acme)
    acme.scene.signal(BUY)
    acme.scene.price("40100")
    assert row(acme.html("/subscriptions/"), "crossover") == (
        "crossover version 1 · since 6 May 2024 Desk paper, USD Active BTC-PERP 1m 100,000.00 USD 1.00% risk per trade "
        "LONG 2.50000 BTC +250.00 USD +2,099.00 USD +1,899.00 USD 1 trade"
    )  # today: 1,899.00, and 250.00 less the fee of 50.00 for entering
    assert "All on paper: no real money is at stake." in acme.text("/subscriptions/")


def test_real_and_paper_are_told_apart(acme: Acme, desk: Subscription) -> None:
    acme.make_real(acme.follower("Bank"))
    said = acme.text("/subscriptions/")
    assert "Bank live, USD" in said
    assert "Desk paper, USD" in said
    assert "All on paper" not in said


def test_what_has_ended_is_in_a_list_of_its_own(acme: Acme, desk: Subscription) -> None:
    acme.post(where(desk, "cancel"), acme.cast.theo)
    assert "crossover" not in acme.text("/subscriptions/")
    assert "Ended" in row(acme.html("/subscriptions/?ended"), "crossover")


def test_twenty_five_are_on_a_page_at_the_same_cost(acme: Acme, desk: Subscription) -> None:
    acme.scene.signal(BUY)
    acme.html("/subscriptions/")
    with asks(LIST):
        acme.html("/subscriptions/")
    for n in range(26):
        acme.follower(f"Desk {n}")
    acme.scene.minute(high="40900", close="40000")
    acme.scene.signal(BUY)
    assert Position.objects.filter(is_open=True).count() == 27
    acme.html("/subscriptions/")
    with asks(LIST):
        page = acme.html("/subscriptions/")
    assert page.count('<th scope="row">') == 25
    assert acme.html("/subscriptions/?page=2").count('<th scope="row">') == 2


# --- One -----------------------------------------------------------------------------------------


def test_a_new_one_says_that_it_waits(acme: Acme, desk: Subscription) -> None:
    said = acme.text(where(desk))
    assert "Account Desk (paper, not real money) follows version 1 on BTC-PERP, 1m candles, since 6 May 2024" in said
    assert "Flat. It enters at the strategy’s next signal that your limits let through." in said
    assert "Nothing decided yet" in said
    assert "A line begins with the first closed trade." in said
    assert "No trade has closed in the last thirty days." in said
    assert "outages" not in said


def test_it_shows_what_it_holds_what_it_decided_and_what_it_came_to(acme: Acme, desk: Subscription) -> None:
    traded(acme)
    acme.scene.signal(BUY)
    acme.scene.price("40200")
    page = acme.html(where(desk))
    assert region(page, "now-figures").startswith("Today +2,349.00 USD as of 12:02:00 UTC Realised today +1,899.00 USD")
    assert "Since it began +1,899.00 USD 1 trade, fees 101.00 Won 100.00% 1 of 1 trades" in region(page, "now-figures")
    held = region(page, "now-position")
    assert "Stop at venue Open result +500.00 USD +0.50 R" in held
    assert "Stop 39,600.0 Target 40,800.0" in held
    decided = region(page, "now-decisions")
    assert decided.count("Taken") == 2
    assert "Within every limit: Margin 10,000.00 USD of" in decided
    days = plain(page.partition('id="h-days"')[2].partition("</section>")[0])
    assert "6 May 2024 1, 1 +2,000.00 101.00 +1,899.00" in days


def test_a_decision_says_which_rule_it_was(acme: Acme) -> None:
    desk = acme.follower("Desk", limits=Limits(daily_entries=1))
    traded(acme)
    acme.scene.signal(BUY)
    assert "Denied LONG Entries per day · subscription: 1 of 1 were used today." in region(
        acme.html(where(desk)), "now-decisions"
    )


def test_exits_that_found_nothing_are_left_out(acme: Acme, desk: Subscription) -> None:
    acme.scene.signal(EXIT_LONG)
    assert acme.scene.execution(desk).rule == "no_position"
    assert "Nothing decided yet" in acme.text(where(desk))


def test_it_is_fetched_anew_while_it_is_looked_at_without_its_buttons(acme: Acme, desk: Subscription) -> None:
    page = acme.html(where(desk))
    assert f'hx-get="{where(desk)}" hx-trigger="every 5s" hx-swap="none"' in page
    for key in ("now-figures", "now-position", "now-decisions"):
        part = page.partition(f'id="{key}"')[2].partition("</section>")[0].partition("</dl>")[0]
        assert "<form" not in part
        assert "<button" not in part


def test_every_link_in_what_is_fetched_anew_keeps_the_focus(acme: Acme, desk: Subscription) -> None:
    """htmx gives it back to the element of the same id."""
    traded(acme)
    acme.scene.signal(BUY)
    page = acme.html(where(desk))
    for key in ("now-position", "now-decisions"):
        links = re.findall(r"<a [^>]*>", page.partition(f'id="{key}"')[2].partition("</section>")[0])
        ids = re.findall(r' id="([^"]+)"', " ".join(links))
        assert len(ids) == len(links) > 0
        assert all(page.count(f'id="{found}"') == 1 for found in ids)


def test_a_denial_reads_the_same_here_as_among_all_decisions(acme: Acme, desk: Subscription) -> None:
    acme.scene.signal(BUY)
    numbers = {"result_today": "-2310", "limit": "2500", "kind": "daily_loss_fraction", "layer": "account"}
    Execution.objects.filter(subscription=desk).update(status="DENIED", rule="daily_loss", numbers=numbers)
    AccountDay.objects.filter(account=desk.account).update(equity=Decimal(50000))
    words = "Used 4.62% of 5.00%: 2,310.00 of 2,500.00 USD."
    assert words in acme.text("/decisions/")
    assert words in region(acme.html(where(desk)), "now-decisions")


def test_one_costs_the_same_however_much_it_did(acme: Acme, desk: Subscription) -> None:
    acme.scene.signal(BUY)
    acme.html(where(desk))
    with asks(ONE):
        acme.html(where(desk))
    acme.scene.minute(high="40900", close="40000")
    acme.scene.signal(BUY)
    acme.html(where(desk))
    with asks(ONE):
        acme.html(where(desk))


def test_what_outages_missed_is_listed_newest_first_with_what_was_done(acme: Acme, desk: Subscription) -> None:
    now, other = acme.scene.clock.now(), acme.follower("Other")
    before = now - timedelta(hours=1)
    ledger.missed(desk, now - timedelta(days=2), choice="CLOSE", exit_at=before, closed=True)
    ledger.missed(desk, now, 5, 3, choice="ASK", exit_at=now, asked=True)
    ledger.missed(desk, before, 1, 1)
    ledger.missed(other, now - timedelta(days=3), 7, 7)
    ledger.missed(acme.follower("Gus", tenant=acme.cast.globex), now - timedelta(days=4), 8, 8)
    part = acme.html(where(desk)).partition('id="h-outages"')[2].partition("</section>")[0]
    said = [plain(row) for row in re.findall(r"<tr>.*?</tr>", part, re.DOTALL)[1:]]
    at = "6 May 2024, 12:01:00 UTC"
    assert said == [
        f"6 May 2024, 11:57:00 UTC to {at} 5 3 {at} The position was held. No entries from then on until somebody resumes.",
        "6 May 2024, 11:01:00 UTC 1 1 – There was nothing to do.",
        "4 May 2024, 11:57:00 UTC to 4 May 2024, 12:01:00 UTC 5 0 6 May 2024, 11:01:00 UTC The position was closed.",
    ]
    for minutes in range(SHOWN):
        ledger.missed(desk, now + timedelta(minutes=1 + minutes), 1)
    part = acme.html(where(desk)).partition('id="h-outages"')[2].partition("</section>")[0]
    assert part.count("<tr>") == 1 + SHOWN and "The position was held" not in part


def test_days_are_bars_up_and_down_from_zero_on_one_scale() -> None:
    drawn = day_bars([(date(2026, 11, 1), Decimal(30)), (date(2026, 11, 3), Decimal(-10))])
    assert drawn is not None
    assert (drawn.zero, drawn.high, drawn.low) == ("75.00%", 30, -10)
    up, down = drawn.bars
    assert (up.css, up.y, up.height) == ("up", "0.00", "75.00")
    assert (down.css, down.y, down.height) == ("down", "75.00", "25.00")
    assert float(down.x) - float(up.x) == 160, "the day between them is left out"


def test_without_a_day_there_are_no_bars_and_a_day_of_nothing_is_still_seen() -> None:
    assert day_bars([]) is None
    flat = day_bars([(date(2026, 11, 1), Decimal(0))])
    assert flat is not None
    assert float(flat.bars[0].height) > 0


# --- Changes -------------------------------------------------------------------------------------


def test_pause_and_resume_are_done_by_whoever_may_trade_and_told(acme: Acme, desk: Subscription) -> None:
    acme.post(where(desk, "pause"), acme.cast.theo)
    desk.refresh_from_db()
    assert (desk.status, desk.paused_at) == (SubscriptionStatus.PAUSED, acme.scene.clock.now())
    said = acme.text(where(desk))
    assert "Paused: no entries. Exits and protection go on." in said
    assert "Resume" in said
    acme.post(where(desk, "resume"), acme.cast.olivia)
    desk.refresh_from_db()
    assert desk.status == SubscriptionStatus.ACTIVE
    by = [event.payload["by"] for event in Event.objects.filter(kind__startswith="subscription_").order_by("pk")]
    assert by == [str(acme.cast.theo.public_id), str(acme.cast.olivia.public_id)]


def test_what_was_done_already_is_said_and_not_done_twice(acme: Acme, desk: Subscription) -> None:
    for _ in range(2):
        acme.post(where(desk, "pause"), acme.cast.theo)
    assert "The subscription is not active; reload the page to see its state." in acme.text(where(desk))
    assert Event.objects.filter(kind="subscription_paused").count() == 1


def test_cancelling_leaves_what_is_open_to_its_exits_unless_told_otherwise(acme: Acme, desk: Subscription) -> None:
    acme.scene.signal(BUY)
    page = acme.text(where(desk))
    assert "What it holds: LONG 2.50000 BTC Leave it open Stop, target and the strategy’s exits go on" in page
    acme.post(where(desk, "cancel"), acme.cast.theo, close="later")
    acme.scene.settle()
    assert Subscription.objects.get().status == SubscriptionStatus.ENDED
    assert acme.scene.position(desk).is_open
    assert not Instruction.objects.exists()
    assert "What it still holds keeps its stop, its target and the strategy’s exits" in acme.text(where(desk))


def test_cancelling_can_close_what_is_open_at_once(acme: Acme, desk: Subscription) -> None:
    acme.scene.signal(BUY)
    acme.post(where(desk, "cancel"), acme.cast.theo, close="now")
    acme.scene.settle()
    assert Subscription.objects.get().status == SubscriptionStatus.ENDED
    assert acme.scene.trade(desk).exit_type == "MANUAL"
    assert Instruction.objects.get().by == acme.cast.theo
    assert "What it held is being closed at market." in acme.text(where(desk))


def test_closing_at_once_asks_for_nothing_where_nothing_is_open(acme: Acme, desk: Subscription) -> None:
    acme.post(where(desk, "cancel"), acme.cast.theo, close="now")
    assert Subscription.objects.get().status == SubscriptionStatus.ENDED
    assert not Instruction.objects.exists()


def test_terms_are_shown_as_they_are_and_changed_as_they_are_typed(acme: Acme, desk: Subscription) -> None:
    page = acme.html(where(desk, "terms"))
    assert 'name="capital" value="100000"' in page
    assert 'name="risk" value="1"' in page
    form = {"capital": "50,000", "sizing": "share", "share": "12.5", "leverage": "2", "daily_entries": "4"}
    asked = acme.post(where(desk, "terms"), acme.cast.theo, **form).headers["Location"]
    back = acme.post(asked, acme.cast.theo, password=PASSWORD).headers["Location"]
    assert 'name="capital" value="50,000"' in acme.html(back), "what was typed is there again"
    desk.refresh_from_db()
    assert desk.capital == 100_000
    answer = acme.post(where(desk, "terms"), acme.cast.theo, **form)
    assert (answer.status_code, answer.headers["Location"]) == (302, where(desk))
    desk.refresh_from_db()
    assert (desk.capital, desk.risk_fraction, desk.notional_fraction) == (50_000, None, Decimal("0.125"))
    assert (desk.leverage, desk.max_daily_entries) == (2, 4)
    assert Event.objects.get(kind="subscription_changed").payload["by"] == str(acme.cast.theo.public_id)
    assert "Share per trade 12.50%" in acme.text(where(desk))


def test_new_terms_are_previewed_with_what_the_day_used_already(acme: Acme, desk: Subscription) -> None:
    traded(acme)
    form = {"capital": "50000", "sizing": "risk", "risk": "1", "leverage": "10", "daily_entries": "2", "preview": "1"}
    answer = acme.post(where(desk, "terms"), acme.cast.theo, **form)
    said = plain(answer.content.decode().partition('id="preview"')[2])
    assert "Loss at the stop −500.00 USD" in said
    assert "Entries today, subscription limit reached 2 of 2 · subscription" in said
    assert "Pause between entries" not in said
    Subscription.objects.filter(pk=desk.pk).update(cooldown_seconds=60)
    for pause, denied in (("86400", True), ("1", False)):
        answer = acme.post(where(desk, "terms"), acme.cast.theo, **form, cooldown=pause)
        said = plain(answer.content.decode().partition('id="preview"')[2])
        assert ("Denied Pause between entries · subscription" in said) is denied
        assert f"{pause} s from signal to signal · subscription; last entry" in said
        assert "Loss at the stop −500.00 USD" in said, "the size is that of the entry after the pause"
    desk.refresh_from_db()
    assert desk.capital == 100_000


def test_terms_that_cannot_be_meant_are_said_beside_their_field(acme: Acme, desk: Subscription) -> None:
    form = {"capital": "50000", "sizing": "risk", "risk": "1", "leverage": "21"}
    page = acme.post(where(desk, "terms"), acme.cast.theo, **form).content.decode()
    assert "paper:BTC-PERP offers a leverage of 1 to 20, not 21." in page
    desk.refresh_from_db()
    assert desk.leverage == 10


def test_what_has_ended_offers_no_change(acme: Acme, desk: Subscription) -> None:
    acme.post(where(desk, "cancel"), acme.cast.theo)
    page = acme.html(where(desk))
    assert not any(where(desk, change) in page for change in CHANGES)
    assert acme.get(where(desk, "terms"), acme.cast.theo).headers["Location"] == where(desk)
    acme.post(where(desk, "resume"), acme.cast.theo)
    assert Subscription.objects.get().status == SubscriptionStatus.ENDED


# --- Who ------------------------------------------------------------------------------------------


def test_the_reader_sees_everything_and_changes_nothing(acme: Acme, desk: Subscription) -> None:
    acme.scene.signal(BUY)
    page = acme.html(where(desk), acme.cast.vera)
    assert "2.50000" in page
    assert not any(where(desk, change) in page for change in CHANGES)
    for change in CHANGES:
        assert acme.post(where(desk, change), acme.cast.vera, close="now").status_code == 403
    desk.refresh_from_db()
    assert desk.status == SubscriptionStatus.ACTIVE
    assert not Instruction.objects.exists()


def test_the_outsider_finds_nothing(acme: Acme, desk: Subscription) -> None:
    assert "0 active" in acme.text("/subscriptions/", acme.cast.gus)
    acme.refused_to_others(where(desk))
    for change in CHANGES:
        assert acme.post(where(desk, change), acme.cast.gus).status_code == 404
    desk.refresh_from_db()
    assert desk.status == SubscriptionStatus.ACTIVE


@pytest.mark.parametrize("change", ["pause", "resume", "cancel"])
def test_a_link_changes_nothing(acme: Acme, desk: Subscription, change: str) -> None:
    assert acme.get(where(desk, change), acme.cast.theo).status_code == 405


def test_what_never_was_is_not_there(acme: Acme) -> None:
    assert acme.get(f"/subscriptions/{uuid.uuid4()}/", acme.cast.theo).status_code == 404
