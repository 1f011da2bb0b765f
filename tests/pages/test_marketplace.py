"""The marketplace: what everybody may see of strategies, with records that add up and never mix, and nothing that belongs to a tenant."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client

from signalist.marketplace import selectors
from signalist.marketplace.records import RiskClass
from signalist.strategies.models import Schedule, Strategy, StrategyVersion
from signalist.trading.models import Subscription
from tenants.doors import across_tenants
from tenants.models import User
from tests.cast import Cast
from tests.pages import ledger
from tests.pages.acme import plain
from tests.pages.counting import asks
from tests.pages.offers import BEGIN, followed, offered, recorded, signalled

pytestmark = pytest.mark.django_db

# Session, user, memberships; the list as it is kept; what the workspace follows.
LIST_KEPT = 5
# Besides the shell and what is kept: engines twice, schedules, signals and their results, what runs, versions, the workspace's own.
STRATEGY_KEPT = 12


@pytest.fixture(autouse=True)
def nothing_kept() -> None:
    cache.clear()


def page(client: Client, address: str = "/marketplace/", user: User | None = None) -> str:
    if user is not None:
        client.force_login(user)
    answer = client.get(address)
    assert answer.status_code == 200, answer.status_code
    return answer.content.decode()


def words(markup: str) -> str:
    return plain(markup.partition("<main")[2].partition("</main>")[0])


def row(markup: str, name: str) -> str:
    """The words of the row that begins with this strategy."""
    rows = re.findall(r"<tr.*?</tr>", markup, re.DOTALL)
    (found,) = (plain(r) for r in rows if f">{name}</a>" in r)
    return found


def names(markup: str) -> list[str]:
    """The strategies of the list, in its order."""
    return re.findall(r'<th scope="row"><a href="/marketplace/[\w-]+/">([^<]+)</a>', markup)


# --- The list ------------------------------------------------------------------------------------


def test_without_anything_on_offer_it_says_so_and_why(client: Client) -> None:
    assert "Nothing is offered yet A strategy appears here once its author has published it" in words(page(client))


def test_everybody_sees_a_strategy_with_its_paper_record(client: Client, cast: Cast) -> None:
    (drift,) = offered("drift", author=cast.olivia)
    recorded(drift, "0.02", "-0.03", "0.015", trades=2, slippage="0.00012", delay=640)
    followed(drift, 3)
    shown = row(page(client), "Drift")
    # Summed: 2.00% − 3.00% + 1.50%; from 1.02 down to 0.99; four of six trades won.
    assert shown == (
        "Drift olivia NOVA/USD at each 1m close Not rated +0.50% 1 day −2.94% 6 66.67% +1.2 bp 0.6 s None yet 0 3 on paper"
    )


def test_a_strategy_of_several_markets_shares_the_capital_among_them(client: Client) -> None:
    nova, luma = offered("drift", "NOVA/USD", "LUMA/USD")
    recorded(nova, "0.02")
    recorded(luma, "0.04")
    assert "+3.00%" in row(page(client), "Drift")
    detail = words(page(client, "/marketplace/drift/"))
    assert "NOVA/USD 1m +2.00%" in detail
    assert "LUMA/USD 1m +4.00%" in detail


def test_live_and_paper_stand_in_columns_of_their_own(client: Client) -> None:
    (drift,) = offered("drift")
    recorded(drift, "0.02", paper=False)
    recorded(drift, "-0.05", paper=True)
    shown = page(client)
    assert "Live, followers’ fills" in shown
    assert "Paper, hypothetical" in shown
    assert re.search(r"\+2\.00%.*−5\.00%", row(shown, "Drift"))
    assert "No live record yet" not in shown


def test_while_nobody_follows_with_real_money_it_says_so_once(client: Client) -> None:
    for slug in ("drift", "surge"):
        recorded(offered(slug)[0], "0.02")
    shown = page(client)
    assert shown.count("No live record yet") == 1
    assert "Live, followers’ fills" not in shown


def test_without_a_closed_trade_it_claims_nothing(client: Client) -> None:
    offered("drift")
    assert "None yet: no follower’s trade has closed." in row(page(client), "Drift")
    detail = words(page(client, "/marketplace/drift/"))
    assert "Record None yet" in detail
    assert "Its record begins with the first one." in detail


def test_there_is_no_backtest_and_the_column_says_so(client: Client) -> None:
    recorded(offered("drift")[0], "0.02")
    assert "None yet" in row(page(client), "Drift")


def test_a_risk_class_comes_from_the_worst_fall_at_one_per_cent_a_trade() -> None:
    calm, rough, wild, new = (offered(slug)[0] for slug in ("calm", "rough", "wild", "new"))
    recorded(calm, *["0.001"] * 18, *["-0.001"] * 2, r="1")
    recorded(rough, *["-0.001"] * 20, r="-0.5")
    recorded(wild, *["-0.001"] * 20, r="-1")
    recorded(new, *["0.001"] * 19, r="1")
    found = {offer.slug: offer.risk for offer in selectors.catalogue()}
    assert found == {"calm": RiskClass.LOW, "rough": RiskClass.MEDIUM, "wild": RiskClass.HIGH, "new": None}


def test_a_record_goes_back_ninety_days_from_its_newest_trade() -> None:
    (drift,) = offered("drift")
    recorded(drift, "0.5", begin=BEGIN - timedelta(days=91))
    recorded(drift, "0.01")
    found = selectors.catalogue()[0].paper
    assert found is not None
    assert (found.signals, found.returned) == (1, Decimal("0.01"))


def test_a_strategy_has_one_record_whatever_others_did(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each by its own newest trade and its own number of signals: as the list says it, so does the strategy's page."""
    monkeypatch.setattr("signalist.marketplace.records.MOST_SIGNALS", 3)
    (drift,), (tide,) = offered("drift"), offered("tide")
    recorded(drift, *["0.01"] * 5)
    recorded(tide, *["0.02"] * 2, begin=BEGIN + timedelta(days=200))
    listed = {offer.slug: offer.paper for offer in selectors.catalogue()}
    alone = {slug: found.paper for slug in listed if (found := selectors.offer(slug)) is not None}
    assert {slug: record and (record.signals, record.since, record.returned) for slug, record in listed.items()} == {
        "drift": (3, BEGIN + timedelta(hours=2, minutes=30), Decimal("0.03")),
        "tide": (2, BEGIN + timedelta(days=200, minutes=30), Decimal("0.04")),
    }
    assert listed == alone


def test_only_members_see_what_their_own_workspace_follows(client: Client, cast: Cast) -> None:
    (drift,) = offered("drift")
    with across_tenants("tests"):
        ledger.follows(ledger.account(cast.acme), drift)
    assert "subscribed" not in page(client)
    assert "Drift subscribed" in row(page(client, user=cast.vera), "Drift")
    assert "subscribed" not in page(client, user=cast.gus)
    with across_tenants("tests"):
        Subscription.objects.update(status="ENDED")
    assert "subscribed" not in page(client, user=cast.vera)


def test_nothing_in_it_belongs_to_a_tenant(client: Client, cast: Cast) -> None:
    (drift,) = offered("drift", author=cast.theo)
    with across_tenants("tests"):
        ledger.trade(ledger.follows(ledger.account(cast.acme, name="Secret desk"), drift), "10", "1")
    recorded(drift, "0.02")
    for address in ("/marketplace/", "/marketplace/drift/"):
        shown = page(client, address)
        assert "theo" in shown  # the author's name
        for private in ("Secret desk", "Acme", cast.theo.email, cast.acme.public_id):
            assert str(private) not in shown


def test_an_author_without_a_name_is_not_known_by_the_e_mail(client: Client) -> None:
    offered("drift", author=User.objects.create_user("shy@example.com"))
    shown = page(client)
    assert "Unnamed author" in shown
    assert "shy" not in shown


# --- Finding -------------------------------------------------------------------------------------


@pytest.fixture
def shelf(cast: Cast) -> None:
    """Three strategies that differ in everything."""
    recorded(offered("drift", "NOVA/USD", author=cast.olivia, description="Follows the tide.")[0], "0.01", "-0.005")
    (surge,) = offered("surge", "LUMA/USD", code="1h")
    recorded(surge, "0.03", paper=False)
    followed(surge, 9, paper=False)
    offered("idle", "NOVA/USD", "AUR/USD", code="5m")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=drif", {"Drift"}),
        ("q=olivia", {"Drift"}),
        ("q=tide", {"Drift"}),
        ("q=LUMA", {"Surge"}),
        ("q=nova idle", {"Idle"}),
        ("market=NOVA/USD", {"Drift", "Idle"}),
        ("timeframe=1h", {"Surge"}),
        ("market=NOVA/USD&timeframe=5m", {"Idle"}),
        ("risk=Low", set()),
    ],
)
def test_it_is_searched_and_filtered(client: Client, shelf: None, query: str, found: set[str]) -> None:
    shown = page(client, f"/marketplace/?{query}")
    assert set(names(shown)) == found
    assert f"{len(found)} of 3" in shown
    assert ("Nothing fits" in shown) == (not found)


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("name", ["Drift", "Idle", "Surge"]),
        ("newest", ["Idle", "Surge", "Drift"]),
        ("followers", ["Surge", "Drift", "Idle"]),
        ("return", ["Surge", "Drift", "Idle"]),
        ("trades", ["Surge", "Drift", "Idle"]),  # one live trade comes before two on paper
        ("nonsense", ["Surge", "Drift", "Idle"]),
    ],
)
def test_it_is_ordered_with_live_before_paper_and_nothing_last(
    client: Client, shelf: None, sort: str, order: list[str]
) -> None:
    assert names(page(client, f"/marketplace/?sort={sort}")) == order


def test_what_was_looked_for_stays_in_the_form(client: Client, shelf: None) -> None:
    shown = page(client, "/marketplace/?q=%22%3E%3Cb%3E&market=NOVA/USD&sort=name")
    assert 'value="&quot;&gt;&lt;b&gt;"' in shown
    assert "<option selected>NOVA/USD</option>" in shown
    assert '<option value="name" selected>' in shown


def test_twenty_five_are_on_a_page(client: Client) -> None:
    for number in range(27):
        offered(f"number-{number:02}")
    first, second = page(client, "/marketplace/?sort=name"), page(client, "/marketplace/?sort=name&page=2")
    assert (len(names(first)), len(names(second))) == (25, 2)
    assert 'href="?sort=name&amp;page=2"' in first


# --- Kept for five minutes -----------------------------------------------------------------------


def test_the_pager_is_swapped_with_the_results_that_it_leads_through(client: Client) -> None:
    for n in range(26):
        offered(f"s{n:02}")
    results = page(client).partition('id="results"')[2].partition("</section>")[0]
    assert "1 to 25 of 26" in plain(results)


def test_the_list_is_kept_and_costs_the_same_however_long_it_is(client: Client, cast: Cast) -> None:
    recorded(offered("drift")[0], "0.01")
    page(client, user=cast.theo)
    with asks(LIST_KEPT):
        page(client)
    for number in range(5):
        recorded(offered(f"more-{number}")[0], "0.01", "0.02")
    assert names(page(client)) == ["Drift"], "it was read anew"
    cache.clear()
    assert len(names(page(client))) == 6
    with asks(LIST_KEPT):
        page(client)


def test_making_it_costs_a_constant_number_of_queries() -> None:
    for number in range(2):
        recorded(offered(f"first-{number}")[0], "0.01")
    with asks(5):  # strategies, schedules, the newest record, records, followers
        assert len(selectors._offers(Strategy.objects.all(), 60)) == 2
    for number in range(6):
        recorded(offered(f"more-{number}")[0], "0.01", "0.02")
    with asks(5):
        assert len(selectors._offers(Strategy.objects.all(), 60)) == 8


def test_that_there_is_nothing_is_not_kept(client: Client) -> None:
    page(client)
    offered("drift")
    assert names(page(client)) == ["Drift"]


# --- One strategy --------------------------------------------------------------------------------


def test_a_strategy_shows_its_record_with_drawdown_apart_for_live_and_paper(client: Client) -> None:
    (drift,) = offered("drift", description="Follows the tide.")
    recorded(drift, "0.02", "-0.01", "0.03", paper=False)
    recorded(drift, "0.01", "0.01")
    shown = page(client, "/marketplace/drift/")
    said = words(shown)
    assert "Follows the tide." in said
    assert said.index("Live record") < said.index("Paper record")
    assert "Return of the live record, now +4.00%" in shown
    assert "Drawdown of the live record, worst −0.98%" in shown
    assert "Return of the paper record, now +2.00%" in shown
    assert re.search(r'<path class="c-line hypo"', shown), "a paper line that is solid"
    assert "Won 66.67% 2 of 3 trades" in said
    assert "Average trade +1.33 R" in said


def test_recent_signals_are_shown_once_their_followers_had_their_chance(client: Client) -> None:
    (drift,) = offered("drift")
    recorded(drift, "0.0125", trades=3)
    signalled(drift, BEGIN, kind="EXIT_LONG")
    fresh = signalled(drift, ledger.utc_now(), kind="SHORT", deadline=timedelta(minutes=5))
    said = words(page(client, "/marketplace/drift/"))
    assert "1 Nov 2026, 12:00:00 UTC LONG NOVA/USD 100.00 USD 95.00 110.00 +1.25% 3 trades" in said
    assert "SHORT" not in said, f"{fresh} is still its followers' alone"


def test_parameters_and_versions_are_told(client: Client) -> None:
    (drift,) = offered("drift")
    # As it was when it was made.
    StrategyVersion.objects.filter(pk=drift.version_id).update(
        parameters={"stop_atr": 2.5, "shorts": True}, content_hash="4d4bbea9", history=60
    )
    said = words(page(client, "/marketplace/drift/"))
    assert "Shorts yes Stop atr 2.5 History 60 candles" in said
    assert "v1 4d4bbea" in said


def test_the_source_is_nowhere(client: Client) -> None:
    (drift,) = offered("drift")
    StrategyVersion.objects.filter(pk=drift.version_id).update(source="def signals(): return 'the secret sauce'")
    assert "secret sauce" not in page(client, "/marketplace/drift/")


def test_who_may_trade_is_offered_to_subscribe_and_nobody_else(client: Client, cast: Cast) -> None:
    offered("drift")
    link = 'href="/marketplace/drift/subscribe/"'
    public = page(client, "/marketplace/drift/")
    assert link not in public
    assert "/accounts/login/?next=/marketplace/drift/subscribe/" in public
    assert link in page(client, "/marketplace/drift/", cast.theo)
    assert link not in page(client, "/marketplace/drift/", cast.vera)
    assert "Your role sees everything and changes nothing." in page(client, "/marketplace/drift/", cast.vera)


def test_a_member_sees_which_accounts_follow_it(client: Client, cast: Cast) -> None:
    (drift,) = offered("drift")
    with across_tenants("tests"):
        mine = ledger.follows(ledger.account(cast.acme, name="Desk one"), drift)
    assert f'href="/subscriptions/{mine.public_id}/"' in page(client, "/marketplace/drift/", cast.vera)
    assert "Desk one" not in page(client, "/marketplace/drift/", cast.gus)


def test_what_was_withdrawn_keeps_its_page_and_takes_nobody(client: Client, cast: Cast) -> None:
    (drift,) = offered("drift")
    recorded(drift, "0.01")
    Strategy.objects.update(is_active=False)
    assert names(page(client)) == []
    said = words(page(client, "/marketplace/drift/", cast.theo))
    assert "Not offered any more" in said
    assert "Subscribe" not in said
    assert "+1.00%" in said


def test_what_never_was_is_not_there(client: Client) -> None:
    assert client.get("/marketplace/nothing/").status_code == 404


def test_a_strategy_costs_the_same_however_much_it_said(client: Client, cast: Cast) -> None:
    (drift,) = offered("drift")
    recorded(drift, "0.01")
    page(client, "/marketplace/drift/", cast.theo)
    with asks(STRATEGY_KEPT):
        page(client, "/marketplace/drift/")
    recorded(drift, *["0.01"] * 30)
    version = drift.version
    version.pk, version.number = None, 2
    version.save()
    Schedule.objects.create(version=version, instrument=drift.instrument, timeframe="1h")
    newest = StrategyVersion.objects.create(strategy=version.strategy, number=3, history=1, state="PUBLISHED")
    Schedule.objects.create(version=newest, instrument=drift.instrument, timeframe="1m")
    cache.clear()
    assert "version 3 · NOVA/USD 1h · NOVA/USD 1m" in page(client, "/marketplace/drift/")
    StrategyVersion.objects.filter(pk=newest.pk).update(state="RETIRED")
    cache.clear()
    assert "version 2 · NOVA/USD 1m · NOVA/USD 1h" in page(client, "/marketplace/drift/")
    with asks(STRATEGY_KEPT):
        page(client, "/marketplace/drift/")


def test_pages_hold_no_style_and_no_script_of_their_own(client: Client) -> None:
    recorded(offered("drift")[0], "0.01", "0.02")
    for address in ("/marketplace/", "/marketplace/drift/"):
        shown = html.unescape(page(client, address))
        assert " style=" not in shown
        assert not re.search(r"<script(?![^>]* src=)", shown)
        assert shown.count("<h1") == 1


@pytest.mark.postgresql
def test_the_web_s_role_reads_it_without_a_door(client: Client) -> None:
    recorded(offered("drift")[0], "0.01")
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE signalist_web")
        assert "+1.00%" in page(client)
        assert "+1.00%" in page(client, "/marketplace/drift/")
        cursor.execute("RESET ROLE")
