"""Markets: prices that say how old they are, changes that say since when, and on each chart only the reader's own trades."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client

from signalist.display.candle_chart import Bar, Level, Mark, candle_chart
from signalist.execution import limits
from signalist.markets import overview
from signalist.markets.models import Instrument
from signalist.markets.pages import candles as pages
from signalist.trading.models import Position
from tenants.doors import across_tenants
from tenants.models import User
from tests.cast import Cast
from tests.pages import ledger
from tests.pages.counting import asks
from tests.pages.ledger import NOON

pytestmark = pytest.mark.django_db

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
LIST, ROWS = "/markets/", 25


def _page(client: Client, user: User, address: str = LIST) -> str:
    client.force_login(user)
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


def _market(symbol: str = "NOVA/USD", price: str | None = "105") -> Instrument:
    """A market with eight minutes of candles up to noon, when an engine runs on recorded time."""
    ledger.engine()
    made = ledger.instrument(symbol, price)
    ledger.candles(made, "1m", MINUTE, "100", "100", "100", "100", "101", "103", "102", "104")
    return made


def _on(market: Instrument) -> str:
    return f"/markets/{market.pk}/"


# --- The list ---------------------------------------------------------------------------------------


def test_change_is_over_twenty_four_hours_where_the_candles_reach_back(cast: Cast) -> None:
    market = ledger.instrument(price="110")
    ledger.candles(market, "1h", HOUR, *["90"] * 3, *["100"] * 24, "108")
    [glance] = overview.glances([market], NOON)
    assert glance.change == Decimal("0.1")
    assert glance.since == NOON - timedelta(hours=24)
    assert not glance.is_short
    assert (glance.closes[0], glance.closes[-1]) == (100, 110)


def test_a_short_history_says_since_when_it_counts(client: Client, cast: Cast) -> None:
    market = _market()
    [glance] = overview.glances([market], NOON)
    assert glance.change == Decimal("0.05")  # 100 to 105
    assert glance.is_short
    page = _page(client, cast.vera)
    assert "+5.00%" in page
    assert 'since <time datetime="2026-11-20T11:53:00.000Z"' in page


def test_the_longest_history_is_taken_in_its_finest_candles(cast: Cast) -> None:
    market = ledger.instrument()
    ledger.candles(market, "10s", timedelta(seconds=10), *["50"] * 7)
    ledger.candles(market, "1h", HOUR, *[str(100 + n) for n in range(11)])
    [glance] = overview.glances([market], NOON)
    assert glance.closes[0] == 100
    assert len(glance.closes) > 10


def test_instruments_with_different_candles_share_one_stretch_of_time(cast: Cast) -> None:
    old, young = ledger.instrument("OLD/USD"), ledger.instrument("YOUNG/USD")
    ledger.candles(old, "1h", HOUR, *[str(n) for n in range(1, 20)])
    ledger.candles(young, "1m", MINUTE, "200", "100")
    first, second = overview.glances([old, young], NOON)
    assert len(first.closes) == 20
    assert (second.closes[0], second.since) == (200, NOON - MINUTE)
    assert first.since == NOON - timedelta(hours=18)


def test_a_price_that_nobody_trades_on_says_how_old_it_is(client: Client, cast: Cast) -> None:
    ledger.engine()
    ledger.instrument("FRESH/USD", at=NOON)
    ledger.instrument("OLD/USD", at=NOON - timedelta(seconds=91))
    page = _page(client, cast.vera)
    assert "1 min 31 s old" in page
    assert page.count(" old</span>") == 1


def test_too_old_on_a_page_is_what_is_too_old_to_trade_on() -> None:
    assert overview.FRESH_WITHIN == limits.FRESH_WITHIN


def test_an_instrument_without_price_and_candles_shows_dashes_not_zeros(client: Client, cast: Cast) -> None:
    ledger.instrument(price=None)
    row = _page(client, cast.vera).split("<tbody>")[1].split("</tbody>")[0]
    assert "no price yet" in row
    assert "no candles yet" in row
    assert "0.00" not in row


def test_strategies_that_run_on_it_are_named(client: Client, cast: Cast) -> None:
    market = _market()
    ledger.schedule(market, "drift", "1m")
    ledger.schedule(market, "drift", "10s")
    other = ledger.schedule(market, "gone")
    other.is_active = False
    other.save()
    for address in (LIST, _on(market)):
        page = _page(client, cast.vera, address)
        assert "Drift" in page
        assert "10s, 1m" in page
        assert "Gone" not in page


def test_an_empty_market_says_what_to_do(client: Client, cast: Cast) -> None:
    assert "No instruments yet" in _page(client, cast.vera)


def test_the_list_is_paged(client: Client, cast: Cast) -> None:
    for n in range(ROWS + 1):
        ledger.instrument(f"A{n:02}/USD")
    assert _page(client, cast.vera).count('scope="row"') == ROWS
    second = _page(client, cast.vera, "/markets/?page=2")
    assert second.count('scope="row"') == 1
    assert "A25/USD" in second


def test_the_list_asks_the_same_for_many_as_for_one(client: Client, cast: Cast) -> None:
    _market()
    _page(client, cast.vera)
    with asks(11):
        client.get(LIST)
    for n in range(12):
        market = ledger.instrument(f"A{n}/USD")
        ledger.candles(market, "1m", MINUTE, "1", "2")
        ledger.schedule(market, f"strategy-{n}")
    with asks(11):
        client.get(LIST)


# --- One instrument ---------------------------------------------------------------------------------


def test_own_trades_are_marked_and_numbered_as_in_the_list(client: Client, cast: Cast) -> None:
    market = _market()
    with across_tenants("tests"):
        following = ledger.follows(ledger.account(cast.acme), ledger.schedule(market))
        ledger.trade(following, "3", "1", NOON - MINUTE)
        ledger.position(following, "2", "102", stop="101", target=Decimal("106"), at=NOON - MINUTE)
    page = _page(client, cast.vera, _on(market))
    marks = page.split('id="candles"')[1].split('<ol class="y"')[0]
    assert marks.count('class="c-in"') == 2
    assert marks.count('class="c-out"') == 1
    assert re.findall(r">(Stop|Target|Entry) 1<", marks) == ["Stop", "Target", "Entry"]
    listed = page.split('id="h-passages"')[1]
    assert re.findall(r'scope="row"><a[^>]*>(\d)<', listed) == ["1", "2"]
    assert "+2.00" in listed  # three less the fee of one
    assert ">Open<" in listed


def test_the_outsider_sees_the_market_and_no_trade_of_acme_s(client: Client, cast: Cast) -> None:
    market = _market()
    with across_tenants("tests"):
        following = ledger.follows(ledger.account(cast.acme, name="Acme's own"), ledger.schedule(market))
        ledger.position(following, "2", "102", stop="101", at=NOON - MINUTE)
    page = _page(client, cast.gus, _on(market))
    assert "104.00" in page
    assert "Acme" not in page
    assert 'class="c-in" d="M0' not in page
    assert "No trades of yours in this stretch" in page


def test_what_was_closed_before_the_chart_begins_is_not_on_it(client: Client, cast: Cast) -> None:
    market = _market()
    with across_tenants("tests"):
        following = ledger.follows(ledger.account(cast.acme), ledger.schedule(market))
        ledger.trade(following, "3", "1", NOON - timedelta(hours=3))
        ledger.position(following, at=NOON - timedelta(hours=2))
    listed = _page(client, cast.vera, _on(market)).split('id="h-passages"')[1]
    assert re.findall(r'scope="row"><a[^>]*>(\d)<', listed) == ["1"]
    assert ">Open<" in listed


def test_an_old_open_position_stays_however_many_came_after_it(client: Client, cast: Cast) -> None:
    market = _market()
    with across_tenants("tests"):
        due = ledger.schedule(market)
        holding = ledger.position(
            ledger.follows(ledger.account(cast.acme), due), stop="71", at=NOON - timedelta(hours=9)
        )
        busy = ledger.follows(ledger.account(cast.acme), due)
        for second in range(25):
            ledger.trade(busy, "3", "1", NOON - timedelta(seconds=second))
    page = _page(client, cast.vera, _on(market))
    listed = page.split('id="h-passages"')[1]
    assert len(re.findall(r'scope="row"><a[^>]*>(\d+)<', listed)) == 20
    assert f'href="/positions/{holding.pk}/">20<' in listed  # the oldest of those that are shown
    assert "71.00" in page.split('id="h-open"')[1].split("</section>")[0]


def test_times_say_their_zone_where_no_script_changes_them(client: Client, cast: Cast) -> None:
    market = _market()
    listed = _page(client, cast.vera)
    assert re.search(r'since <time [^>]*data-local="minute">\d\d:\d\d UTC</time></span>', listed)
    assert "times in <span data-zone>UTC</span>" in _page(client, cast.vera, _on(market))


def test_the_timeframe_is_chosen_among_those_that_have_candles(client: Client, cast: Cast) -> None:
    market = _market()
    ledger.candles(market, "1h", HOUR, "70", "80", "90")
    assert "8 closed" in _page(client, cast.vera, _on(market))
    page = _page(client, cast.vera, f"{_on(market)}?timeframe=1h")
    assert "3 closed" in page
    assert 'aria-current="true">1h<' in page
    assert 'timeframe=4h"' not in page
    assert "8 closed" in _page(client, cast.vera, f"{_on(market)}?timeframe=4h")


def test_the_chart_says_its_result_in_words(client: Client, cast: Cast) -> None:
    page = _page(client, cast.vera, _on(_market()))
    assert 'aria-label="NOVA/USD, 1m candles: from 100.00 to 104.00 USD, lowest 100.00, highest 104.00"' in page


def test_a_market_without_candles_says_when_they_come(client: Client, cast: Cast) -> None:
    page = _page(client, cast.vera, _on(ledger.instrument(price=None)))
    assert "No candle of this instrument has closed yet" in page
    assert "No price yet" in page


def test_an_instrument_that_does_not_exist_is_404(client: Client, cast: Cast) -> None:
    client.force_login(cast.vera)
    assert client.get("/markets/999/").status_code == 404


@pytest.mark.parametrize("address", ["/markets/", "/markets/1/"])
def test_anonymous_is_sent_to_log_in(client: Client, address: str) -> None:
    assert client.get(address).headers["Location"] == f"/accounts/login/?next={address}"


def test_the_script_gets_the_same_candles_named_by_their_opens(client: Client, cast: Cast) -> None:
    market = _market()
    with across_tenants("tests"):
        following = ledger.follows(ledger.account(cast.acme), ledger.schedule(market))
        # Filled within the last candle but one, and on the very close of the last.
        ledger.position(following, "2", "102", stop="101", at=NOON - timedelta(seconds=90))
    found = re.search(r'id="candles-data" type="application/json">([^<]+)', _page(client, cast.vera, _on(market)))
    assert found is not None
    data = json.loads(found[1])
    noon = int(NOON.timestamp())
    assert data["candles"][-1] == [noon - 60, 102.0, 104.0, 102.0, 104.0]
    assert data["marks"] == [[noon - 120, "up", 1]]
    assert data["levels"] == [[101.0, "Stop 1", "stop"], [102.0, "Entry 1", "entry"]]
    assert (data["places"], data["seconds"]) == (2, 60)


def test_without_the_library_no_script_draws_and_nobody_is_credited(
    client: Client, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    market = _market()
    monkeypatch.setattr(pages, "library", lambda: None)
    assert "chart.js" not in _page(client, cast.vera, _on(market))
    monkeypatch.setattr(pages, "library", lambda: "/static/the-library.js")
    page = _page(client, cast.vera, _on(market))
    assert '<script src="/static/the-library.js" defer></script>' in page
    assert "js/chart.js" in page
    assert "https://www.tradingview.com/" in page
    assert 'class="c-rise"' in page  # the drawing stays


def test_the_page_has_one_heading_and_nothing_inline_but_data(client: Client, cast: Cast) -> None:
    for address in (_on(_market()), LIST):
        page = _page(client, cast.vera, address)
        assert page.count("<h1") == 1
        assert " style=" not in page
        assert not re.search(r'<script(?![^>]*(\bsrc=|type="application/json"))', page)


def test_the_page_asks_the_same_for_many_trades_as_for_one(client: Client, cast: Cast) -> None:
    market = _market()
    with across_tenants("tests"):
        following = ledger.follows(ledger.account(cast.acme), ledger.schedule(market))
        ledger.trade(following, "3", "1", NOON - MINUTE)
    _page(client, cast.vera, _on(market))
    with asks(12):
        client.get(_on(market))
    with across_tenants("tests"):
        for n in range(8):
            other = ledger.follows(ledger.account(cast.acme, name=f"Account {n}"), ledger.schedule(market, f"s{n}"))
            ledger.trade(other, "3", "1", NOON - MINUTE)
        assert Position.objects.count() == 9
    with asks(12):
        client.get(_on(market))


# --- Candles as numbers for SVG ---------------------------------------------------------------------


def _bars(*closes: float) -> list[Bar]:
    opens = (closes[0], *closes[:-1])
    return [
        Bar(NOON + MINUTE * n, o, max(o, c) + 1, min(o, c) - 1, c)
        for n, (o, c) in enumerate(zip(opens, closes, strict=True))
    ]


def test_rising_and_falling_bars_are_drawn_apart() -> None:
    chart = candle_chart("", _bars(10, 12, 11), str)
    assert chart.rise.count("M") == chart.rise_wicks.count("M") == 2  # one that stood still rises
    assert chart.fall.count("M") == chart.fall_wicks.count("M") == 1


def test_a_bar_that_stood_still_can_be_seen() -> None:
    assert re.search(r"v0\.35h", candle_chart("", _bars(10, 10), str).rise)


def test_a_level_far_away_does_not_flatten_the_bars_and_is_named() -> None:
    near, far = Level(9.0, "Stop 1", "c-stop"), Level(900.0, "Target 1", "c-target")
    chart = candle_chart("", _bars(10, 12, 11), str, [near, far])
    assert [level.word for level in chart.levels] == ["Stop 1"]
    assert list(chart.beyond) == [far]
    assert max(float(word) for word in chart.y) < 20


def test_marks_stand_at_the_bar_in_which_they_happened() -> None:
    bars = _bars(10, 12, 11, 13)
    moments = (-90, -30, 0, 30, 60, 400)
    marks = [Mark(NOON + timedelta(seconds=s), 11.0, "up", n) for n, s in enumerate(moments)]
    placed = {mark.word: mark.x for mark in candle_chart("", bars, str, (), marks).marks}
    assert placed == {"1": "12.50%", "2": "12.50%", "3": "37.50%", "4": "37.50%", "5": "87.50%"}


def test_no_bars_make_an_empty_chart() -> None:
    assert candle_chart("", [], str).empty
