"""Recorded candles: exact values in, and one clear sentence for whatever is wrong with a file."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from signalist.domain.candles import Candle, CandleArrays
from signalist.domain.timeframes import timeframe
from signalist.markets.recordings import RecordingError, read_recording

MINUTE, FIVE = timeframe("1m"), timeframe("5m")
SHARED = Path(__file__).parents[3] / "shared" / "market"
HEADER = "close_time,open,high,low,close,volume"
ROWS = [
    "2022-01-01T00:01:00Z,10,12,9,11,5",
    "2022-01-01T00:02:00Z,11,11,11,11,0",
    "2022-01-01T00:04:00Z,11,13,11,12,1.5",
]
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file of these lines."""

    def written(*lines: str, name: str = "candles.csv") -> Path:
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return written


def at(minute: int, second: int = 0) -> datetime:
    return datetime(2022, 1, 1, 0, minute, second, tzinfo=UTC)


def refusal(path: Path, **options: datetime) -> RecordingError:
    with pytest.raises(RecordingError) as refused:
        read_recording(path, MINUTE, **options)
    assert str(refused.value) == refused.value.message
    assert "\n" not in refused.value.message
    assert str(path) in refused.value.message
    return refused.value


def test_a_row_becomes_a_candle_and_gaps_are_legal(write: Write) -> None:
    candles = read_recording(write(HEADER, *ROWS), MINUTE)
    assert [candle.close_time for candle in candles] == [at(1), at(2), at(4)]
    assert candles[0] == Candle(at(1), Decimal(10), Decimal(12), Decimal(9), Decimal(11), Decimal(5))
    assert all(candle.checked() is candle for candle in candles)


def test_an_open_time_is_the_close_of_the_candle_before(write: Write) -> None:
    path = write("open_time,open,high,low,close,volume", "2022-01-01T00:05:00Z,10,12,9,11,5")
    assert read_recording(path, FIVE)[0].close_time == at(10)


def test_the_noise_of_floats_is_rounded_to_ten_decimals_half_to_even(write: Write) -> None:
    path = write(
        HEADER,
        "2022-01-01T00:01:00Z,0.09946999000000001,0.1,0.05,0.00000000005e9,1e-05",
        "2022-01-01T00:02:00Z,1,1,0.12345678905,0.12345678915,0",
    )
    first, second = read_recording(path, MINUTE)
    assert str(first.open) == "0.0994699900"
    assert first.close == Decimal("0.05")
    assert first.volume == Decimal("0.00001")
    assert second.low == Decimal("0.1234567890")
    assert second.close == Decimal("0.1234567892")


@pytest.mark.parametrize(
    "written",
    [
        "2022-01-01T00:01:00Z",
        "2022-01-01T00:01:00+00:00",
        "2022-01-01T05:31:00+05:30",
        "2022-01-01 00:01:00.000Z",
        "1640995260",
        "1640995260.0",
        "1640995260000",
    ],
)
def test_times_are_iso_with_a_zone_or_seconds_or_milliseconds(write: Write, written: str) -> None:
    candle = read_recording(write(HEADER, f"{written},10,12,9,11,5"), MINUTE)[0]
    assert candle.close_time == at(1)
    assert candle.close_time.tzinfo is UTC


def test_columns_may_stand_in_any_order_with_others_between_and_blank_lines_after(write: Write) -> None:
    path = write("\ufeffVolume, trades ,low,high,Close,open,CLOSE_TIME", "5,77,9,12,11,10,2022-01-01T00:01:00Z", "", "")
    assert read_recording(path, MINUTE) == [
        Candle(at(1), Decimal(10), Decimal(12), Decimal(9), Decimal(11), Decimal(5))
    ]


@pytest.mark.parametrize("name", ["candles.csv.gz", "candles.csv"])
def test_a_packed_file_is_unpacked_whatever_its_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress("\n".join([HEADER, *ROWS]).encode()))
    assert len(read_recording(path, MINUTE)) == 3


def test_a_range_holds_the_candles_that_lie_wholly_in_it(write: Write) -> None:
    path = write(HEADER, *ROWS)
    assert [candle.close_time for candle in read_recording(path, MINUTE, start=at(1))] == [at(2), at(4)]
    assert [candle.close_time for candle in read_recording(path, MINUTE, end=at(2))] == [at(1), at(2)]
    assert [candle.close_time for candle in read_recording(path, MINUTE, start=at(0, 30), end=at(3, 59))] == [at(2)]
    with pytest.raises(ValueError, match="no time zone"):
        read_recording(path, MINUTE, start=datetime(2022, 1, 1))  # noqa: DTZ001  # what is refused


def test_a_range_without_candles_is_refused_with_the_range_of_the_file(write: Write) -> None:
    refused = refusal(write(HEADER, *ROWS), start=at(30))
    assert "covers 2022-01-01T00:00:00Z to 2022-01-01T00:04:00Z" in refused.message


def _row(time: str = "2022-01-01T00:05:00Z", **changed: str) -> str:
    values = {"open": "10", "high": "12", "low": "9", "close": "11", "volume": "5"} | changed
    return ",".join([time, *values.values()])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (_row(open="ten"), "line 5, column open: 'ten' is not a number"),
        (_row(close=""), "line 5, column close: it is empty"),
        (_row(high="nan"), "line 5, column high: nan is not a finite number"),
        (_row(high="inf"), "line 5, column high: inf is not a finite number"),
        (_row(volume="-Infinity"), "line 5, column volume: -Infinity is not a finite number"),
        (_row(volume="sNaN"), "line 5, column volume: sNaN is not a finite number"),
        (_row(low="-9"), "line 5, column low: a price of -9 is not above zero"),
        (_row(low="0"), "line 5, column low: a price of 0 is not above zero"),
        (_row(low="0.00000000001"), "less than the smallest price that is stored, 0.0000000001"),
        (_row(high="1e30"), "line 5, column high: 1e30 is larger than can be stored"),
        (_row(high="1e99999"), "line 5, column high: 1e99999 is larger than can be stored"),
        (_row(volume="-1"), "line 5, column volume: a volume of -1 is negative"),
        (_row(high="8"), "line 5, column high: 8 is below the low of 9"),
        (_row(open="13"), "line 5, column open: 13 is outside low 9 to high 12"),
        (_row(close="8.5"), "line 5, column close: 8.5 is outside low"),
        (
            _row("2022-01-01T00:04:00Z"),
            "line 5, column close_time: this time is there twice; keep one row for each candle",
        ),
        (
            _row("2022-01-01T00:03:00Z"),
            "line 5, column close_time: this time is before that of the row above; sort the rows",
        ),
        (
            _row("2022-01-01T00:05:30Z"),
            "2022-01-01T00:05:30+00:00 is not on the 1m grid; choose the timeframe of the file",
        ),
        (_row("1640995500500"), "is not on the 1m grid"),
        (_row("2022-01-01T00:05:00"), "2022-01-01T00:05:00 has no time zone; add Z or an offset"),
        (_row("yesterday"), "line 5, column close_time: 'yesterday' is not a time; write ISO 8601"),
        (_row(""), "line 5, column close_time: '' is not a time"),
        (_row("9999-12-31T23:59:00Z"), "is not a time"),
        (_row("0001-01-01T00:00:00+05:00"), "is not a time"),
        (_row("20220101"), "20220101 is neither epoch seconds nor milliseconds"),
        (_row("1640995500000000"), "neither epoch seconds nor milliseconds"),
        ("2022-01-01T00:05:00Z,10,12", "line 5, column low: the row ends before it; give every row all columns"),
    ],
)
def test_a_bad_row_is_refused_by_line_column_and_remedy(write: Write, row: str, message: str) -> None:
    refused = refusal(write(HEADER, *ROWS, row))
    assert message in refused.message
    assert refused.message.endswith(".")
    assert ";" in refused.message
    assert refused.line == 5


def test_a_row_that_ends_before_its_time_is_refused(write: Write) -> None:
    path = write("open,high,low,close,volume,close_time", "10,12,9,11,5")
    assert "line 2, column close_time: the row ends before it" in refusal(path).message


def test_a_bad_row_outside_the_range_is_refused_too(write: Write) -> None:
    assert refusal(write(HEADER, *ROWS, _row(low="-9")), end=at(2)).line == 5


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([""], "is empty; give a file with a header"),
        ([HEADER], "has no candles; give a file with at least one row"),
        (
            ["open,high,low,close,volume"],
            "no column open_time or close_time (the columns are open, high, low, close, volume)",
        ),
        ([f"open_time,{HEADER}"], "there are both open_time and close_time; leave one of them out"),
        (["close_time,open,high,low,close"], "line 1, column volume: there is no such column"),
        (["close_time,open,low,close,volume"], "line 1, column high: there is no such column"),
        ([f"{HEADER},open"], "line 1, column open: the header names it more than once"),
        (["2022-01-01T00:01:00Z,10,12,9,11,5"], "no column open_time or close_time"),
    ],
)
def test_a_header_that_does_not_fit_is_refused(write: Write, lines: list[str], message: str) -> None:
    assert message in refusal(write(*lines)).message


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "nothing.csv"
    path.touch()
    assert "is empty" in refusal(path).message


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "cannot be read (No such file or directory); give the path" in refusal(tmp_path / "missing.csv").message
    assert "cannot be read (Is a directory)" in refusal(tmp_path).message


def test_a_file_that_only_says_it_is_packed_is_refused(write: Write) -> None:
    assert "is not gzip although its name ends in .gz" in refusal(write(HEADER, *ROWS, name="candles.csv.gz")).message


def _cut(packed: bytearray) -> None:
    del packed[-20:]


def _with_another_sum(packed: bytearray) -> None:
    packed[-8] ^= 0xFF


def _scrambled(packed: bytearray) -> None:
    packed[10] = 0x07  # a block of a type that does not exist


@pytest.mark.parametrize("damage", [_cut, _with_another_sum, _scrambled])
def test_a_damaged_packed_file_is_refused(tmp_path: Path, damage: Callable[[bytearray], None]) -> None:
    rows = [f"{(at(0) + timedelta(minutes=n)).isoformat()},10,12,9,{9 + n % 3},5" for n in range(1, 5000)]
    packed = bytearray(gzip.compress("\n".join([HEADER, *rows]).encode()))
    damage(packed)
    path = tmp_path / "candles.csv.gz"
    path.write_bytes(packed)
    assert "the gzip data are damaged or cut off after this line; fetch the file again." in refusal(path).message


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "candles.csv"
    path.write_bytes(HEADER.encode() + b"\n\xff\xfe\x00\n")
    assert "is not UTF-8 text; save the file as UTF-8 CSV" in refusal(path).message


def test_a_field_without_end_is_refused(write: Write) -> None:
    assert "cannot be read as CSV" in refusal(write(HEADER, *ROWS, '"' + "x" * 200_000)).message


RECORDED = [
    ("BTC-PERP-1m-2022-01.csv.gz", "1m", 45_031, "2021-12-31T23:01:00+00:00", "2022-02-01T05:31:00+00:00"),
    ("ETH-BTC-5m-2018-01.csv.gz", "5m", 5_760, "2018-01-10T05:00:00+00:00", None),
    ("LTC-BTC-5m-2018-01.csv.gz", "5m", 5_760, None, None),
    ("XMR-BTC-5m-2018-01.csv.gz", "5m", 5_758, None, None),
    ("ZEC-BTC-5m-2018-01.csv.gz", "5m", 5_757, None, None),
]


@pytest.mark.skipif(not SHARED.is_dir(), reason="the recorded candles are not beside the project")
@pytest.mark.parametrize(("name", "code", "count", "first", "last"), RECORDED)
def test_the_recorded_candles_are_read_whole(
    name: str, code: str, count: int, first: str | None, last: str | None
) -> None:
    candles = read_recording(SHARED / name, timeframe(code))
    assert len(candles) == count
    assert first is None or candles[0].close_time.isoformat() == first
    assert last is None or candles[-1].close_time.isoformat() == last
    assert len(CandleArrays.of(candles)) == count


@pytest.mark.skipif(not SHARED.is_dir(), reason="the recorded candles are not beside the project")
def test_a_day_of_a_recording_is_its_1440_minutes() -> None:
    start = datetime(2022, 1, 10, tzinfo=UTC)
    day = read_recording(SHARED / RECORDED[0][0], MINUTE, start=start, end=start + timedelta(days=1))
    assert len(day) == 1440
    assert day[0].close_time == start + timedelta(minutes=1)
    assert day[-1].close_time == start + timedelta(days=1)
