"""Logs: one shape, correlated, and no secret in them whichever way it came in."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from signalist import logs

HEX_KEY = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
BASE64_KEY = "Xk3mPq8RtV1wYz5BcD7fGhJ2kLnM4pQs6TuVw9Xy0Za="


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[structlog.stdlib.BoundLogger]:
    """A logger with production's set-up; what stood before is put back."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    logs.configure({"json": True, "level": "INFO"})
    yield logs.logger("tests.house")
    root.handlers[:] = before
    root.setLevel(level)


def _written(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    captured = capsys.readouterr()
    assert captured.out == ""
    line: dict[str, object] = json.loads(captured.err.strip().splitlines()[-1])
    return line


def test_a_line_is_one_json_object_on_standard_error(
    lines: structlog.stdlib.BoundLogger, capsys: pytest.CaptureFixture[str]
) -> None:
    lines.info("order placed", quantity=Decimal("0.20"), when=datetime(2022, 1, 1, tzinfo=UTC))
    line = _written(capsys)
    assert line["event"] == "order placed"
    assert line["level"] == "info"
    assert line["logger"] == "tests.house"
    assert line["quantity"] == "0.20"
    assert line["when"] == "2022-01-01T00:00:00+00:00"
    assert str(line["timestamp"]).endswith("Z")


def test_a_library_message_takes_the_same_way(
    lines: structlog.stdlib.BoundLogger, capsys: pytest.CaptureFixture[str]
) -> None:
    with logs.correlated("run-7"):
        logging.getLogger("django.request").warning("Not found: %s with password=%s", "/orders", "hunter2")
    line = _written(capsys)
    assert line["event"] == f"Not found: /orders with password={logs.REDACTED}"
    assert line["correlation_id"] == "run-7"


def test_below_the_level_nothing_is_written(
    lines: structlog.stdlib.BoundLogger, capsys: pytest.CaptureFixture[str]
) -> None:
    lines.debug("detail")
    assert capsys.readouterr().err == ""


def test_a_traceback_is_in_the_line_without_its_secrets(
    lines: structlog.stdlib.BoundLogger, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        raise ValueError(f"refused: api_key={HEX_KEY}")
    except ValueError:
        lines.exception("the venue refused")
    trace = str(_written(capsys)["exception"])
    assert "ValueError" in trace
    assert HEX_KEY not in trace


def test_the_inner_correlation_counts_and_the_outer_returns() -> None:
    assert logs.correlation_id() is None
    with logs.correlated("outer"):
        with logs.correlated("inner"):
            assert logs.correlation_id() == "inner"
        assert logs.correlation_id() == "outer"
    assert logs.correlation_id() is None


async def test_a_correlation_follows_its_own_task_only() -> None:
    async def work(name: str) -> str | None:
        with logs.correlated(name):
            await asyncio.sleep(0)
            return logs.correlation_id()

    assert await asyncio.gather(work("a"), work("b")) == ["a", "b"]


def _redacted(**fields: object) -> dict[str, object]:
    return dict(logs.redact(None, "info", dict(fields)))


@pytest.mark.parametrize(
    "name",
    [
        "secret", "client_secret", "token", "accessToken", "password", "DB_PASSWORD", "key", "api_key", "apiKey", "apikey",
        "Authorization", "X-Api-Key", "cookie", "Set-Cookie", "passphrase", "sealed", "credential_keys", "otp", "pin",
    ],
)  # fmt: skip
def test_a_field_with_a_telling_name_is_removed(name: str) -> None:
    assert _redacted(**{name: "hunter2"}) == {name: logs.REDACTED}
    assert _redacted(outer={"inner": [{name: "hunter2"}]}) == {"outer": {"inner": [{name: logs.REDACTED}]}}


@pytest.mark.parametrize("name", ["natural_key", "key_version", "fencing_token", "monkey", "keyboard", "spinning"])
def test_a_harmless_name_is_kept(name: str) -> None:
    assert _redacted(**{name: "3:entry:0"}) == {name: "3:entry:0"}


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer abcdef.ghijkl-mnop",
        "sent Bearer abcdef.ghijkl-mnop to the venue",
        "token=abcdef.ghijkl-mnop&symbol=BTC",
        "{'api_key': 'abcdef.ghijkl-mnop', 'symbol': 'BTC'}",
        '{"password": "abcdef.ghijkl-mnop"}',
        "postgres://theo:abcdef.ghijkl-mnop@db/signalist",
        "Cookie: sessionid=abcdef.ghijkl-mnop; theme=dark",
        "refused: api_secret=abcdef.ghijkl-mnop was sent",
    ],
)
def test_a_secret_inside_a_text_is_removed(text: str) -> None:
    redacted = logs.redact_text(text)
    assert "abcdef.ghijkl-mnop" not in redacted
    assert logs.REDACTED in redacted


@pytest.mark.parametrize(
    "material", [HEX_KEY, HEX_KEY.upper(), BASE64_KEY, "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"]
)
def test_long_key_material_is_removed_wherever_it_stands(material: str) -> None:
    assert material not in logs.redact_text(f"the venue answered {material}, so we stop")
    assert material not in str(_redacted(detail=[{"note": material}]))


@pytest.mark.parametrize(
    "text",
    [
        "order 3f2504e0-4f89-41d3-9a0c-0305e82c3301 filled at 45000.5",
        "signalist/execution/stages/decide_entries_for_subscribers.py line 12",
        "test_it_denies_when_daily_loss_limit_is_hit_for_the_second_time",
        "BTC-PERP 1m closed 2022-01-03T00:01:00+00:00",
        "https://venue.example/api/v3/orders?symbol=BTCUSDT",
    ],
)
def test_what_is_no_secret_is_kept_as_it_is(text: str) -> None:
    assert logs.redact_text(text) == text


def test_bytes_are_counted_and_never_shown() -> None:
    assert _redacted(body=b"hunter2") == {"body": "<7 bytes>"}


def test_an_object_is_looked_through_by_its_text() -> None:
    class Letter:
        def __str__(self) -> str:
            return "password=hunter2"

    assert _redacted(letter=Letter(), order=UUID(int=7)) == {
        "letter": f"password={logs.REDACTED}",
        "order": "00000000-0000-0000-0000-000000000007",
    }


@given(st.binary(min_size=32, max_size=64))
def test_no_random_key_in_hexadecimal_gets_through(key: bytes) -> None:
    assert key.hex() not in logs.redact_text(f"value {key.hex()} seen")
