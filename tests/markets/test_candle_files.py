"""`manage.py candles`: what goes out comes back the same, what is wrong is said with its line and column, and holes are found."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from signalist.events.models import Event
from signalist.markets.models import Candle
from tenants.doors import across_tenants
from tests.markets.feed_world import instrument

pytestmark = pytest.mark.django_db
HEAD = "open_time,open,high,low,close,volume\n"


def candles(*words: object) -> tuple[str, str]:
    """What the command says on standard output and standard error."""
    out, err = StringIO(), StringIO()
    call_command("candles", *map(str, words), stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def minutes(*numbers: int, close: int = 100) -> str:
    return HEAD + "".join(f"2024-05-06T12:{n:02}:00Z,100,200,50,{close},1.5\n" for n in numbers)


def test_what_goes_in_comes_out_and_holes_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signalist.markets.management.commands.candles.become_engine", lambda: None)
    btc = instrument("BTC/USD")
    instrument("BTC/USD", "other")
    source, again = tmp_path / "in.csv", tmp_path / "out.csv.gz"
    source.write_text(minutes(*range(10), 12, 13, 14))
    of = ("--instrument", "loop:BTC/USD", "--timeframe", "1m")
    assert "13 read, 13 new, 0 there already, 0 that differ" in candles("import", source, *of)[0]
    found = Candle.objects.order_by("close_time")
    assert [c.close_time.minute for c in found.filter(timeframe="5m")] == [5, 10]
    with across_tenants("tests"):
        assert not Event.objects.exists()  # they are of the past: nobody is told, and nothing is run late
    said = json.loads(candles("gaps", "--json", "--timeframe", "1m")[0])
    assert said["missing"] == 2 and said["gaps"][0]["instrument"] == "loop:BTC/USD"
    assert (said["gaps"][0]["first"], said["gaps"][0]["candles"]) == ("2024-05-06T12:11:00+00:00", 2)
    assert "1 gaps, 2 candles missing" in candles("gaps", "--instrument", "loop:BTC/USD", "--timeframe", "1m")[0]
    assert "13 candles" in candles("export", again, *of)[1]
    assert "13 there already" in candles("import", again, *of)[0]
    source.write_text(minutes(0, close=150))
    assert "1 that differ left as they were" in candles("import", source, *of)[0]
    assert found.filter(timeframe="1m")[0].close == 100
    assert "1 that differ corrected" in candles("import", source, *of, "--correct")[0]
    assert found.filter(timeframe="1m")[0].close == 150 and btc.pk == found[0].instrument_id
    source.write_text(minutes(0) + "2024-05-06T12:01:00Z,100,90,50,80,1\n")
    for words, sentence in (
        (("import", source, *of), "line 3, column open"),
        (("import", source, "--instrument", "BTC/USD", "--timeframe", "1m"), "Several venues"),
        (("gaps", "--instrument", "NOPE"), "There is no instrument 'NOPE'; there are loop:BTC/USD"),
        (("export", tmp_path / "no" / "dir.csv", *of), "cannot be written"),
    ):
        err = StringIO()
        with pytest.raises(SystemExit) as end:
            call_command("candles", *map(str, words), stdout=StringIO(), stderr=err)
        assert end.value.code == 2 and sentence in err.getvalue()
