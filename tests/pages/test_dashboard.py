"""The dashboard: figures that add up, say what they do not know, and never mix real with paper, currencies, or tenants."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.template.loader import render_to_string
from django.test import Client

from signalist.accounts.models import Account
from signalist.dashboard import equity, fragments, selectors
from signalist.dashboard.day import Gauge
from signalist.dashboard.selectors import KeyFigures, Today
from signalist.trading.models import AccountBalance, AccountDay, Subscription
from tenants.doors import across_tenants, viewing
from tenants.models import Tenant, User
from tests.cast import Cast
from tests.pages import ledger
from tests.pages.counting import asks
from tests.pages.ledger import NOON

pytestmark = pytest.mark.django_db

MIDNIGHT = NOON.replace(hour=0)
REGIONS = {
    "key-figures": fragments.standing,
    "today": fragments.standing,
    "engine-status": fragments.engine_status,
    "kill-state": fragments.kill_state,
}


@pytest.fixture(autouse=True)
def _no_memory() -> None:
    equity.forget_peaks()


def _followed(tenant: Tenant, money: str | None = "1000", slug: str = "drift", **more: object) -> Subscription:
    """An engine on recorded time, one market at 100, and an account of the tenant that follows a strategy on it."""
    with across_tenants("tests"):
        ledger.engine()
        return ledger.follows(ledger.account(tenant, money), ledger.schedule(ledger.instrument(), slug), **more)


def _figures(tenant: Tenant) -> KeyFigures:
    with viewing(tenant.pk):
        return selectors.key_figures(selectors.standing(tenant.base_currency, NOON))


def _today(tenant: Tenant) -> Today:
    with viewing(tenant.pk):
        return selectors.today(selectors.standing(tenant.base_currency, NOON))


def _page(client: Client, user: User, address: str = "/dashboard/") -> str:
    client.force_login(user)
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


def _region(page: str, name: str, end: str) -> str:
    found = re.search(rf'<\w+[^>]* id="{name}".*?</{end}>', page, re.DOTALL)
    assert found is not None, f"no region {name}"
    return found[0]


# --- Figures ---------------------------------------------------------------------------------------


def test_equity_is_the_venue_s_money_and_the_open_results(cast: Cast) -> None:
    following = _followed(cast.acme)
    with across_tenants("tests"):
        ledger.position(following, "2", "90", stop="85")
    figures = _figures(cast.acme)
    assert (figures.open_result.amount, figures.equity.amount) == (Decimal(20), Decimal(1020))
    assert figures.at_stops.amount == Decimal(-30)  # two units from 100 down to 85
    assert figures.at_stops_fraction == Decimal(-30) / Decimal(1020)


def test_today_counts_from_the_last_worth_that_was_noted_by_midnight(cast: Cast) -> None:
    following = _followed(cast.acme)
    with across_tenants("tests"):
        ledger.worth(following.account, "700", MIDNIGHT - timedelta(hours=2))
        ledger.worth(following.account, "950", MIDNIGHT)
        ledger.worth(following.account, "990", MIDNIGHT + timedelta(minutes=1))
    figures = _figures(cast.acme)
    assert figures.today.amount == Decimal(50)
    assert figures.today_fraction == Decimal(50) / Decimal(950)


def test_an_account_without_a_past_counts_from_its_deposit(cast: Cast) -> None:
    following = _followed(cast.acme)
    assert _figures(cast.acme).today.amount is None  # nothing says what it began with
    with across_tenants("tests"):
        AccountDay.objects.create(tenant=cast.acme, account=following.account, day=NOON.date(), equity=Decimal(980))
    assert _figures(cast.acme).today.amount == Decimal(20)
    with across_tenants("tests"):
        Account.objects.filter(pk=following.account_id).update(deposit=Decimal(900))
    assert _figures(cast.acme).today.amount == Decimal(100)


def test_the_day_s_parts_add_up_to_the_day(cast: Cast) -> None:
    following = _followed(cast.acme)
    with across_tenants("tests"):
        ledger.worth(following.account, "960", MIDNIGHT)
        ledger.trade(following, "30", "4", NOON - timedelta(hours=2))
        ledger.trade(following, "-10", "2", NOON - timedelta(hours=1), measured=False)
        ledger.trade(following, "500", "0", MIDNIGHT - timedelta(hours=1))  # yesterday's
        ledger.position(following, "1", "75", stop="70", fees="1")
    today = _today(cast.acme)
    assert today.closed is not None
    assert (today.closed.trades, today.closed.gross, today.closed.fees, today.closed.net) == (2, 20, 6, 14)
    assert today.total.amount == Decimal(65)  # 1000 and 25 open, from 960
    assert today.open_change == Decimal(51)
    assert today.closed.gross - today.closed.fees + today.open_change == today.total.amount


@pytest.mark.parametrize("still", ["holds", "closed one today", "closed one just now"])
def test_what_ended_before_today_counts_as_long_as_it_is_at_work(client: Client, cast: Cast, still: str) -> None:
    before = {"status": "ENDED", "ended_at": MIDNIGHT - timedelta(hours=1)}
    following = _followed(cast.acme, **before)
    with across_tenants("tests"):
        idle = ledger.schedule(following.instrument, "idle")
        ledger.trade(ledger.follows(following.account, idle, **before), "7", "0", MIDNIGHT - timedelta(hours=2))
        ledger.worth(following.account, "980", MIDNIGHT)
        if still == "holds":
            ledger.position(following, "2", "90")
        else:
            ledger.trade(following, "20", "0", measured=still == "closed one today")
    today = _today(cast.acme)
    assert [(each.strategy, each.result) for each in today.strategies] == [("Drift", 20)]
    assert today.closed is not None
    assert today.closed.trades == (0 if still == "holds" else 1)
    assert today.gauges == ()  # it enters nothing any more
    assert "Drift" in _region(_page(client, cast.theo), "today", "section")


def test_drawdown_is_measured_from_the_highest_point_of_thirty_days(cast: Cast) -> None:
    following = _followed(cast.acme)
    with across_tenants("tests"):
        ledger.worth(following.account, "5000", NOON - timedelta(days=40))  # too long ago
        ledger.worth(following.account, "1250", NOON - timedelta(days=3))
    figures = _figures(cast.acme)
    assert figures.peak == 1250.0
    assert figures.drawdown == pytest.approx(-0.2)


def test_at_a_new_high_there_is_no_drawdown(cast: Cast) -> None:
    following = _followed(cast.acme)
    with across_tenants("tests"):
        ledger.worth(following.account, "900", NOON - timedelta(days=3))
    assert (_figures(cast.acme).drawdown, _figures(cast.acme).peak) == (0.0, 1000.0)


def test_two_accounts_are_one_line_and_each_counts_from_its_first_point_on(cast: Cast) -> None:
    with across_tenants("tests"):
        first, second = ledger.account(cast.acme), ledger.account(cast.acme)
        for minute, (one, other) in enumerate((("100", None), ("110", "50"), (None, "60"))):
            at = NOON + timedelta(minutes=minute)
            for holder, value in ((first, one), (second, other)):
                if value is not None:
                    ledger.worth(holder, value, at)
        line = equity.line({first.pk: 1.0, second.pk: 1.0}, NOON)
    assert [value for _, value in line] == [100.0, 160.0, 170.0]
    assert [at for at, _ in line] == [NOON + timedelta(minutes=n) for n in range(3)]


def test_the_line_of_all_time_reads_no_more_the_longer_it_is(cast: Cast) -> None:
    """Of what is long ago one point a day at most; of the last thirty days every one."""
    with across_tenants("tests"):
        first, second = ledger.account(cast.acme), ledger.account(cast.acme)
        for day in range(5):
            for hour in (1, 13):
                ledger.worth(
                    first, f"{100 + day}.{hour:02}", MIDNIGHT - timedelta(days=40 - day) + timedelta(hours=hour)
                )
        ledger.worth(second, "7", MIDNIGHT - timedelta(days=37))
        ledger.worth(first, "200", NOON - timedelta(minutes=1))
        ledger.worth(first, "210", NOON)
        with asks(3):
            line = equity.whole_line({first.pk: 1.0, second.pk: 2.0}, NOON)
        with asks(3):
            ages = equity.whole_line({first.pk: 1.0, second.pk: 2.0}, NOON + timedelta(days=20_000))
    days_ago = [round((MIDNIGHT - at).total_seconds() / 86_400, 2) for at, _ in line[:-2]]
    assert days_ago == [39.96, 39, 38, 37, 36, 35, 34, 33, 32, 31, 30]
    values = [round(value, 2) for _, value in line]
    assert values == [100.01, 100.13, 101.13, 116.13, 117.13, *[118.13] * 6, 214.0, 224.0]
    assert len(ages) <= 366
    assert (ages[0], ages[-1][1]) == (line[0], 224.0)


def test_a_young_line_of_all_time_is_every_point(client: Client, cast: Cast) -> None:
    following = _followed(cast.acme)
    with across_tenants("tests"):
        for minute in range(3):
            ledger.worth(following.account, f"{990 + minute}", NOON - timedelta(minutes=minute))
        line = equity.whole_line({following.account_id: 1.0}, NOON)
        assert [value for _, value in line] == [992.0, 991.0, 990.0]
        assert equity.whole_line({}, NOON) == []
    assert "one point a day at most" in _page(client, cast.theo, "/dashboard/?period=all")


# --- What is not known is said ----------------------------------------------------------------------


def test_a_market_without_a_price_makes_equity_unknown_not_zero(client: Client, cast: Cast) -> None:
    with across_tenants("tests"):
        due = ledger.schedule(ledger.instrument(price=None))
        ledger.position(ledger.follows(ledger.account(cast.acme), due))
    assert _figures(cast.acme).equity.amount is None
    figures = _region(_page(client, cast.theo), "key-figures", "dl")
    assert "no price for NOVA/USD" in figures
    assert "0.00" not in figures.split("Today")[0]


def test_an_account_that_its_venue_has_not_reported_is_named(client: Client, cast: Cast) -> None:
    _followed(cast.acme, money=None)
    assert _figures(cast.acme).equity.amount is None
    assert "Main has not been read yet" in _page(client, cast.theo)


def test_currencies_without_a_rate_are_listed_and_never_summed(client: Client, cast: Cast) -> None:
    _followed(cast.acme)
    with across_tenants("tests"):
        ledger.account(cast.acme, "500", currency="EUR", name="Euros")
    figures = _figures(cast.acme)
    assert figures.equity.amount is None
    assert [(str(part.amount.normalize()), part.currency) for part in figures.equity.parts] == [
        ("5E+2", "EUR"),
        ("1E+3", "USD"),
    ]
    assert "Incomplete: no rate for EUR" in _page(client, cast.theo)


@pytest.mark.parametrize(("base", "quote", "value"), [("EUR", "USD", "1.25"), ("USD", "EUR", "0.8")])
def test_a_dated_rate_in_either_direction_completes_the_total(
    client: Client, cast: Cast, base: str, quote: str, value: str
) -> None:
    _followed(cast.acme)
    with across_tenants("tests"):
        ledger.account(cast.acme, "500", currency="EUR", name="Euros")
        ledger.rate(base, quote, "9", NOON - timedelta(days=9))
        ledger.rate(base, quote, value)
        ledger.rate(base, quote, "77", NOON + timedelta(hours=1))  # not known yet
    assert _figures(cast.acme).equity.amount == Decimal(1625)
    assert "other currencies at today’s rates" in _page(client, cast.theo)


# --- Real and paper, tenants and roles --------------------------------------------------------------


def test_paper_is_told_aside_and_in_no_total_where_there_is_real_money(client: Client, cast: Cast) -> None:
    paper = _followed(cast.acme)
    with across_tenants("tests"):
        real = ledger.account(cast.acme, "40", venue="kraken", name="Kraken", deposit=Decimal(30))
        ledger.position(paper)
        ledger.worth(real, "35", NOON - timedelta(hours=1))
        ledger.worth(paper.account, "99999", NOON - timedelta(hours=1))
    figures = _figures(cast.acme)
    assert not figures.is_paper
    assert (figures.equity.amount, figures.positions, figures.open_result.amount) == (Decimal(40), 0, Decimal(0))
    assert figures.peak == 40.0
    assert figures.aside is not None
    assert figures.aside.equity.amount == Decimal(1010)
    page = _page(client, cast.theo)
    assert "Paper is kept apart" in page
    assert "All accounts here are paper" not in page


def test_a_page_of_paper_alone_says_so_once(client: Client, cast: Cast) -> None:
    _followed(cast.acme)
    assert _page(client, cast.theo).count("All accounts here are paper") == 1


def test_the_outsider_sees_nothing_of_acme_s(client: Client, cast: Cast) -> None:
    following = _followed(cast.acme, "123456.78", slug="acme-secret")
    with across_tenants("tests"):
        ledger.worth(following.account, "123456.78", NOON - timedelta(minutes=5))
        ledger.position(following)
    page = _page(client, cast.gus)
    assert "123,4" not in page
    assert "acme-secret" not in page.lower()
    for context in REGIONS.values():
        with viewing(cast.globex.pk):
            assert "123456" not in str(context(cast.globex.pk))


def test_anonymous_is_sent_to_log_in(client: Client) -> None:
    assert client.get("/dashboard/").headers["Location"] == "/accounts/login/?next=/dashboard/"


def test_a_newcomer_is_told_what_to_do(client: Client, cast: Cast) -> None:
    with across_tenants("tests"):
        ledger.account(cast.acme, deposit=Decimal(1000))
    page = _page(client, cast.theo)
    assert "Begin in three steps" in page
    assert "Your role" not in page
    assert "Your role" in _page(client, cast.vera)


def test_who_ever_followed_is_no_newcomer(client: Client, cast: Cast) -> None:
    _followed(cast.acme, status="ENDED", ended_at=NOON)
    page = _page(client, cast.theo)
    assert "Begin in three steps" not in page
    assert "Recent decisions" in page


def test_a_workspace_without_an_account_says_what_that_means(client: Client, cast: Cast) -> None:
    page = _page(client, cast.theo)
    assert "No account yet" in page
    assert "0.00" not in page


# --- The day's limits and the state of trading ------------------------------------------------------


def _gauges(tenant: Tenant) -> dict[str, Gauge]:
    return {gauge.kind: gauge for gauge in _today(tenant).gauges}


def test_the_loss_limit_counts_closed_and_open_as_the_rule_does(cast: Cast) -> None:
    following = _followed(cast.acme, daily_loss_amount=Decimal(50), daily_loss_fraction=Decimal("0.02"))
    with across_tenants("tests"):
        ledger.trade(following, "-5", "1", NOON - timedelta(hours=1))
        ledger.position(following, "1", "109", fees="1")
    assert _gauges(cast.acme)["Daily loss"].used == Decimal(16)
    assert _gauges(cast.acme)["Daily loss"].limit == Decimal(50)
    with across_tenants("tests"):
        AccountDay.objects.create(tenant=cast.acme, account=following.account, day=NOON.date(), equity=Decimal(1000))
    assert _gauges(cast.acme)["Daily loss"].limit == Decimal(20)  # the tighter of the two


def test_the_strictest_limit_of_entries_is_shown(cast: Cast) -> None:
    following = _followed(cast.acme)
    with across_tenants("tests"):
        ledger.decided(following, NOON - timedelta(hours=1))
        ledger.decided(following, NOON - timedelta(hours=1), status="DENIED")
        ledger.decided(following, MIDNIGHT - timedelta(hours=1))
    entries = _gauges(cast.acme)["Entries"]
    assert (entries.used, entries.limit, entries.layer) == (1, 100, "platform")
    with across_tenants("tests"):
        Subscription.objects.update(max_daily_entries=1)
    entries = _gauges(cast.acme)["Entries"]
    assert (entries.limit, entries.layer, entries.share) == (1, "subscription", 1)


def test_a_limit_that_is_reached_says_so_in_words(client: Client, cast: Cast) -> None:
    following = _followed(cast.acme, max_daily_entries=2)
    with across_tenants("tests"):
        for _ in range(2):
            ledger.decided(following, NOON - timedelta(hours=1))
    assert "Limit reached" in _region(_page(client, cast.theo), "today", "section")


def test_strategies_are_ranked_by_what_they_made_of_the_day(cast: Cast) -> None:
    first = _followed(cast.acme, slug="loser")
    with across_tenants("tests"):
        second = ledger.follows(first.account, ledger.schedule(first.instrument, "winner"))
        ledger.trade(first, "-30", "0", NOON - timedelta(hours=1))
        ledger.trade(second, "60", "0", NOON - timedelta(hours=1))
    found = _today(cast.acme).strategies
    assert [(each.slug, each.result, each.bar) for each in found] == [("winner", 60, 100.0), ("loser", -30, -50.0)]


def test_the_strictest_state_of_any_account_is_the_state_of_trading(client: Client, cast: Cast) -> None:
    _followed(cast.acme)
    assert ">ACTIVE<" in _region(_page(client, cast.theo), "kill-state", "div")
    with across_tenants("tests"):
        ledger.account(cast.acme, name="Second", state="REDUCING", state_reason="drawdown")
        ledger.account(cast.acme, name="Third", state="HALTED", state_reason="the books differ")
    shown = _region(_page(client, cast.theo), "kill-state", "div></div")
    assert ">HALTED<" in shown
    assert "Second is REDUCING: drawdown" in shown
    assert "Third is HALTED: the books differ" in shown
    assert 'role="alert"' in shown


def test_a_stopped_engine_is_told_before_everything_else(client: Client, cast: Cast) -> None:
    with across_tenants("tests"):
        ledger.account(cast.acme, deposit=Decimal(1000))
    shown = _region(_page(client, cast.theo), "kill-state", "div></div")
    assert "Engine offline" in shown
    assert 'role="alert"' in shown
    assert "may open positions" not in shown


# --- The line ---------------------------------------------------------------------------------------


def test_a_period_shows_its_own_stretch_of_the_line(client: Client, cast: Cast) -> None:
    following = _followed(cast.acme)
    with across_tenants("tests"):
        for hours, value in ((300, "500"), (5, "800"), (2, "900")):
            ledger.worth(following.account, value, NOON - timedelta(hours=hours))
    assert "from 800.00 to 900.00 USD" in _page(client, cast.theo)
    assert "from 500.00 to 900.00 USD" in _page(client, cast.theo, "/dashboard/?period=30d")
    assert "Nothing is noted for this period yet" in _page(client, cast.theo, "/dashboard/?period=1h")
    assert "from 800.00 to 900.00 USD" in _page(client, cast.theo, "/dashboard/?period=nonsense")


def test_the_line_is_offered_as_a_table(client: Client, cast: Cast) -> None:
    following = _followed(cast.acme)
    with across_tenants("tests"):
        for minutes in range(120):
            ledger.worth(following.account, str(900 + minutes % 7), NOON - timedelta(minutes=120 - minutes))
    page = _page(client, cast.theo, "/dashboard/?show=table")
    table = _region(page, "equity", "section")
    assert "<caption" in table
    assert 20 < table.count("<tr>") < 64
    assert table.count('scope="col"') == 4
    assert 'href="?#equity"' in table


def test_the_line_has_at_most_a_thousand_points(client: Client, cast: Cast) -> None:
    following = _followed(cast.acme)
    with across_tenants("tests"):
        for minutes in range(1300):
            ledger.worth(following.account, str(900 + minutes % 7), NOON - timedelta(minutes=1300 - minutes))
    paths = re.findall(r'class="c-line "? ?d="([^"]+)"', _page(client, cast.theo))
    assert paths
    assert all(path.count("L") <= 1000 for path in paths)


# --- The page ---------------------------------------------------------------------------------------


def test_a_region_looks_the_same_at_first_paint_and_pushed(client: Client, cast: Cast) -> None:
    following = _followed(cast.acme)
    with across_tenants("tests"):
        ledger.stop_order(ledger.position(following))
    page = _page(client, cast.theo)
    for name, context in REGIONS.items():
        with viewing(cast.acme.pk):
            pushed = render_to_string(f"regions/{name}.html", {**context(cast.acme.pk), "oob": True}).strip()
        assert pushed.startswith("<")
        assert f'id="{name}"' in pushed.split(">")[0]
        assert pushed.replace(' hx-swap-oob="true"', "") in page
        assert "<form" not in pushed
        assert "<button" not in pushed


def test_the_prices_of_all_markets_are_pushed_to_everybody(cast: Cast) -> None:
    ledger.engine()
    first, second, silent = (
        ledger.instrument(f"{name}/USD", price) for name, price in zip("ABC", ("1", "2", None), strict=True)
    )
    pushed = render_to_string("regions/last-prices.html", {**fragments.prices(), "oob": True})
    assert f'id="last-{first.pk}"' in pushed
    assert f'id="last-{second.pk}"' in pushed
    assert f'id="last-{silent.pk}"' not in pushed
    assert pushed.count('hx-swap-oob="true"') == 2


def test_the_page_asks_the_same_whatever_there_is(client: Client, cast: Cast) -> None:
    following = _followed(cast.acme)
    with across_tenants("tests"):
        ledger.stop_order(ledger.position(following))
        ledger.trade(following, "1", "0", NOON - timedelta(hours=1))
    _page(client, cast.theo)
    with asks(QUERIES):
        _page_again(client)
    with across_tenants("tests"):
        for n in range(6):
            due = ledger.schedule(ledger.instrument(f"X{n}/USD"), f"strategy-{n}")
            more = ledger.follows(ledger.account(cast.acme, name=f"Account {n}"), due)
            ledger.stop_order(ledger.position(more))
            ledger.trade(more, "1", "0", NOON - timedelta(hours=1), measured=bool(n % 2))
    _page_again(client)  # schedules and instruments are read once and kept
    equity.forget_peaks()
    with asks(QUERIES + 1):  # the peak of another set of accounts
        _page_again(client)


QUERIES = 37


def _page_again(client: Client) -> None:
    assert client.get("/dashboard/").status_code == 200


def test_the_page_has_one_heading_and_nothing_inline(client: Client, cast: Cast) -> None:
    following = _followed(cast.acme)
    with across_tenants("tests"):
        ledger.position(following)
    for address in ("/dashboard/", "/dashboard/?show=table"):
        page = _page(client, cast.theo, address)
        assert page.count("<h1") == 1
        assert " style=" not in page
        assert not re.search(r"<script(?![^>]*\bsrc=)", page)


def test_a_balance_that_changes_shows_at_once(client: Client, cast: Cast) -> None:
    following = _followed(cast.acme)
    assert "1,000.00" in _page(client, cast.theo)
    with across_tenants("tests"):
        AccountBalance.objects.filter(account=following.account).update(total=Decimal("1234.5"))
    assert "1,234.50" in _page(client, cast.theo)


def test_the_present_is_the_newest_price_only_while_an_engine_runs_on_recorded_time(client: Client, cast: Cast) -> None:
    with across_tenants("tests"):
        ledger.instrument(at=datetime(2021, 3, 4, 5, 6, tzinfo=UTC))
        ledger.account(cast.acme)
    assert "March 2021" not in _page(client, cast.theo)
    ledger.engine()
    assert "Thursday 4 March 2021" in _page(client, cast.theo)
