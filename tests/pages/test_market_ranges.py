"""The range of candles on an instrument's page: by number, length or two ends in the reader's zone; paged, and taken away as a file."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client

from signalist.markets import ranges
from signalist.markets.models import Candle, Instrument
from signalist.markets.pages import window
from signalist.trading.passages import own_passages
from tenants.doors import across_tenants, acting_for
from tests.cast import Cast
from tests.pages import ledger
from tests.pages.counting import asks
from tests.pages.ledger import NOON

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


def market(count: int = 300) -> Instrument:
    """So many minutes up to noon (UTC), each closing at its own number, counted down to noon."""
    ledger.engine()
    made = ledger.instrument(price="100")
    prices = dict.fromkeys(("open", "high", "low"), Decimal(500)) | {"volume": Decimal(1)}
    rows = [
        Candle(instrument=made, timeframe="1m", close_time=NOON - MINUTE * n, close=n, **prices) for n in range(count)
    ]
    Candle.objects.bulk_create(rows)
    return made


def test_a_reader_chooses_a_range_in_their_own_zone_and_takes_it_away(client: Client, cast: Cast) -> None:
    made = market()
    cast.vera.time_zone = "Europe/Berlin"
    cast.vera.save()
    client.force_login(cast.vera)

    def page(query: str = "") -> str:
        answer = client.get(f"/markets/{made.pk}/{query}")
        assert answer.status_code == 200
        return answer.content.decode()

    def link(words: str, text: str) -> str:
        found = re.search(rf'href="([^"]*)">{words}<', text)
        return html.unescape(found[1]) if found else ""

    def closes(query: str) -> list[str]:
        answer = client.get(f"/markets/{made.pk}/candles.csv{query}")
        return [line.split(",")[0] for line in answer.content.decode().splitlines()[1:]]

    # Noon is one o'clock in Berlin in winter.
    text = page("?from=2026-11-20T12:00&to=2026-11-20T12:30&with=rsi:14&with=sma:20")
    assert "30 closed" in text and "Europe/Berlin" in text
    assert 'name="from" value="2026-11-20T12:00"' in text and 'name="to" value="2026-11-20T12:30"' in text
    assert 'id="rsi-14"' in text and "SMA 20" in text and 'id="volume"' in text
    assert text.split('id="volume"')[1].split('class="c-line')[0].count("V0.00h") == 30  # a bar for each, of one size
    file = link("CSV of this range", text.replace(" download>", ">"))
    assert client.get(file)["Content-Disposition"].endswith('NOVA-USD-1m-20261120T110000Z-20261120T113000Z.csv"')
    found = closes(file[file.index("?") :])
    assert (len(found), found[0], found[-1]) == (30, "2026-11-20T11:01:00Z", "2026-11-20T11:30:00Z")

    older, newer = link("Older", text), link("Newer", text)
    assert "from=2026-11-20T10%3A30%3A00Z&to=2026-11-20T11%3A00%3A00Z" in older and "with=rsi%3A14" in older
    assert 'name="to" value="2026-11-20T13:00"' in page(newer) and not link("Newer", page(newer))
    assert '"follows": true' in page(newer) and '"follows": false' in text

    # A number of candles pages without a range; the newest is where it began.
    first = page("?bars=60")
    assert "60 closed" in first and not link("Newer", first) and not link("Newest", first)
    second = page(link("Older", first))
    assert "60 closed" in second and link("Newest", second)
    assert "from 500.00 to 60.00 USD, lowest 500.00" in second
    assert "60 closed" in page(link("Newer", second)) and '"follows": true' in page(link("Newer", second))
    assert "60 closed" in page("?span=1h") and 'aria-current="true">1 h<' in page("?span=1h")
    assert "1 d<" in first and "1 w<" not in first  # ten thousand minutes are no chart

    text = page("?from=2026-11-18T00:00&to=2026-11-18T01:00")
    assert "No 1m candles here" in text and "The archive begins" in text and "2026-11-20T07:01:00.000Z" in text
    assert "60 closed" in page(link("Newer", text)) and not link("Older", text)
    assert "No candle of this instrument has closed yet" not in text

    for query, words in (
        ("?from=2026-11-20T12:00&to=2026-11-20T11:00", "The end must lie behind the beginning"),
        ("?from=yesterday", "Write it as 2026-01-05T14:30"),
        ("?to=0001-01-01T00:00", "Choose a day between 1970 and 2199"),
        ("?from=2026-03-29T02:30", "the clocks go forward"),
        ("?span=7d", "span is one of 1h"),
    ):
        text = html.unescape(page(query))
        assert words in text and "120 closed" in text, query  # the newest are shown instead
        refused = client.get(f"/markets/{made.pk}/candles.csv{query}")
        assert refused.status_code == 400 and words in refused.content.decode()
    assert len(closes("?timeframe=1m")) == 300 and len(closes("?span=1h")) == 60
    assert len(closes("?to=2026-11-20T08:10")) == 10 and closes("?timeframe=1h&span=1h") == []
    with asks(12):
        page("?from=2026-11-20T12:00&to=2026-11-20T12:30&with=rsi:14")


def test_a_range_with_too_much_in_it_says_so_and_hides_nothing(
    client: Client, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = market(40)
    monkeypatch.setattr(window, "MOST_DRAWN", 10)
    client.force_login(cast.vera)
    text = client.get(f"/markets/{made.pk}/?from=2026-11-20T11:30Z&to=2026-11-20T12:00Z").content.decode()
    assert "10 closed" in text and "The range holds 30 candles; the newest 10 are drawn" in text
    assert "from=2026-11-20T11%3A30%3A00Z&amp;to=2026-11-20T11%3A50%3A00Z" in text
    assert ranges.counted(made.pk, "1m", ranges.Range(), most=39) == ranges.Counted(39, is_exact=False)
    assert ranges.counted(made.pk, "1m", ranges.Range(), most=40) == ranges.Counted(40, is_exact=True)
    monkeypatch.setattr(ranges, "MOST_COUNTED", 20)
    assert client.get(f"/markets/{made.pk}/candles.csv?from=2026-11-20T11:30Z").status_code == 400


def test_a_past_range_shows_what_was_done_in_it_alone(client: Client, cast: Cast) -> None:
    made = market()
    with across_tenants("tests"):
        due = ledger.schedule(made)
        following = ledger.follows(ledger.account(cast.acme), due)
        ledger.position(following, "2", "102", stop="101", at=NOON - MINUTE)
        ledger.trade(ledger.follows(ledger.account(cast.acme, name="Other"), due), "3", "1", NOON - MINUTE)
    client.force_login(cast.vera)
    text = client.get(f"/markets/{made.pk}/?to=2026-11-20T09:00Z&bars=60").content.decode()
    assert "No trades of yours in this stretch" in text
    assert "Stop 1" not in text and "101.00" in text.split('id="h-open"')[1].split("</section>")[0]
    with acting_for(cast.acme.pk):
        assert len(own_passages(made.pk, NOON - MINUTE * 60)) == 2
        assert len(own_passages(made.pk, NOON - MINUTE * 60, until=NOON - timedelta(days=2))) == 1
