"""Recorded candles from CSV files, checked to the last value.

A file has a header with `open_time` or `close_time` (ISO 8601 with Z or an offset, or epoch seconds or milliseconds) and `open`, `high`,
`low`, `close`, `volume`, in any order and beside any others; it may be packed with gzip. Numbers are rounded to the 10 decimals that
are stored, because files written from floats hold noise such as 0.09946999000000001. Gaps are legal: a market has minutes without trade.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import NoReturn, TextIO

from signalist.domain.candles import Candle
from signalist.domain.money import LARGEST, QUANTUM, plain, settle
from signalist.domain.timeframes import Timeframe

_GZIP_MAGIC = b"\x1f\x8b"
_TIMES = ("open_time", "close_time")
_NUMBERS = ("open", "high", "low", "close", "volume")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Epoch seconds of 1973 and later have 9 to 11 digits, milliseconds 12 to 14; anything else is more likely a date without dashes.
_SECONDS_FROM, _MILLISECONDS_FROM, _TOO_LARGE = 10**8, 10**11, 10**14


class RecordingError(Exception):
    """A file that cannot be replayed: one sentence that names the file, the line and the column, and says what to do."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


def read_recording(
    path: Path | str, frame: Timeframe, *, start: datetime | None = None, end: datetime | None = None
) -> list[Candle]:
    """The candles of the file at `path`, oldest first; each lies wholly between the aware moments `start` and `end` where given.

    The whole file is checked, whatever the range. Raises RecordingError for anything wrong in it and for a range without candles.
    """
    for moment in (start, end):
        if moment is not None and moment.tzinfo is None:
            raise ValueError(f"{moment.isoformat()} has no time zone; a recording is cut at aware moments.")
    recording = _Recording(Path(path), frame)
    candles = recording.candles()
    kept = [
        candle
        for candle in candles
        if (start is None or candle.close_time - frame.length >= start) and (end is None or candle.close_time <= end)
    ]
    if not kept:
        first, last = candles[0].close_time - frame.length, candles[-1].close_time
        raise RecordingError(
            f"{path} has no candles in the wanted range; it covers {first:%Y-%m-%dT%H:%M:%SZ} to {last:%Y-%m-%dT%H:%M:%SZ}, "
            "choose a start and an end within that."
        )
    return kept


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where the header says that things are; `numbers` are the places of open, high, low, close and volume."""

    time_name: str
    time: int
    numbers: tuple[int, ...]


class _Recording:
    """One file while it is read."""

    def __init__(self, path: Path, frame: Timeframe) -> None:
        self._path = path
        self._frame = frame

    def candles(self) -> list[Candle]:
        """Every candle of the file, or RecordingError for the first thing that is wrong."""
        line = 1
        try:
            with self._text() as text:
                reader = csv.reader(text)
                layout = self._layout(next(reader, []))
                candles: list[Candle] = []
                for row in reader:
                    line = reader.line_num
                    if not row:
                        continue
                    candle = self._candle(row, layout, line)
                    if candles and candle.close_time <= candles[-1].close_time:
                        self._refuse_order(candle, candles[-1], layout, line)
                    candles.append(candle)
        except (gzip.BadGzipFile, EOFError, zlib.error):
            self._refuse("the gzip data are damaged or cut off after this line", "fetch the file again", line)
        except UnicodeDecodeError:
            self._refuse("what follows is not UTF-8 text", "save the file as UTF-8 CSV", line)
        except csv.Error as error:
            self._refuse(f"the next line cannot be read as CSV ({error})", "export the file again", line)
        except OSError as error:
            raise RecordingError(
                f"{self._path} cannot be read ({error.strerror or error}); give the path of a CSV or CSV.gz file."
            ) from None
        if not candles:
            raise RecordingError(f"{self._path} has no candles; give a file with at least one row below its header.")
        return candles

    @contextmanager
    def _text(self) -> Iterator[TextIO]:
        with self._path.open("rb") as raw:
            packed = raw.read(2) == _GZIP_MAGIC
            raw.seek(0)
            if self._path.suffix == ".gz" and not packed:
                raise RecordingError(f"{self._path} is not gzip although its name ends in .gz; pack it or rename it.")
            stream = gzip.GzipFile(fileobj=raw) if packed else raw
            with io.TextIOWrapper(stream, encoding="utf-8-sig", newline="") as text:
                yield text

    def _layout(self, header: Sequence[str]) -> _Layout:
        names = [name.strip().lower() for name in header]
        if not any(names):
            raise RecordingError(f"{self._path} is empty; give a file with a header and at least one row.", 1)
        for name in (*_TIMES, *_NUMBERS):
            if names.count(name) > 1:
                self._refuse("the header names it more than once", "keep one of them", 1, name)
        times = [name for name in _TIMES if name in names]
        if not times:
            self._refuse(
                f"there is no column open_time or close_time (the columns are {', '.join(names)})",
                "name the one there is",
                1,
            )
        if len(times) == 2:
            self._refuse("there are both open_time and close_time", "leave one of them out", 1)
        for name in _NUMBERS:
            if name not in names:
                self._refuse(f"there is no such column (the columns are {', '.join(names)})", "add it", 1, name)
        return _Layout(times[0], names.index(times[0]), tuple(names.index(name) for name in _NUMBERS))

    def _candle(self, row: Sequence[str], layout: _Layout, line: int) -> Candle:
        """The candle of one row. The good case is one chain of comparisons; what is wrong is found out only when something is."""
        try:
            first, high, low, last, volume = [settle(Decimal(row[index])) for index in layout.numbers]
            sound = 0 < low <= first <= high <= LARGEST and low <= last <= high and 0 <= volume <= LARGEST
        except (InvalidOperation, IndexError):
            sound = False
        if not sound:
            self._explain(row, layout, line)
        moment = self._moment(row[layout.time].strip(), layout, line) if layout.time < len(row) else None
        if moment is None:
            self._refuse("the row ends before it", "give every row all columns", line, layout.time_name)
        if not self._frame.is_close(moment):
            self._refuse(
                f"{moment.isoformat()} is not on the {self._frame.code} grid",
                "choose the timeframe of the file",
                line,
                layout.time_name,
            )
        close = moment if layout.time_name == "close_time" else moment + self._frame.length
        return Candle(close, first, high, low, last, volume)

    def _moment(self, text: str, layout: _Layout, line: int) -> datetime:
        if text.replace(".", "", 1).isdecimal():
            number = Decimal(text)
            if not _SECONDS_FROM <= number < _TOO_LARGE:
                self._refuse(
                    f"{text} is neither epoch seconds nor milliseconds", "write ISO 8601 times", line, layout.time_name
                )
            return _EPOCH + timedelta(microseconds=int(number * (10**6 if number < _MILLISECONDS_FROM else 10**3)))
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            moment = None
        if moment is None or not 1970 < moment.year < 9999:
            remedy = "write ISO 8601 with Z or an offset, or epoch seconds"
            self._refuse(f"{text!r} is not a time", remedy, line, layout.time_name)
        if moment.tzinfo is None:
            self._refuse(f"{text} has no time zone", "add Z or an offset", line, layout.time_name)
        return moment.astimezone(UTC)

    def _explain(self, row: Sequence[str], layout: _Layout, line: int) -> NoReturn:
        """Say which number of a row is wrong, and how."""
        values: dict[str, Decimal] = {}
        for name, index in zip(_NUMBERS, layout.numbers, strict=True):
            if index >= len(row):
                self._refuse("the row ends before it", "give every row all columns", line, name)
            values[name] = self._number(name, row[index].strip(), line)
        high, low = values["high"], values["low"]
        if high < low:
            self._refuse(f"{plain(high)} is below the low of {plain(low)}", "correct or remove the row", line, "high")
        name = "open" if not low <= values["open"] <= high else "close"
        what = f"{plain(values[name])} is outside low {plain(low)} to high {plain(high)}"
        self._refuse(what, "correct or remove the row", line, name)

    def _number(self, name: str, text: str, line: int) -> Decimal:
        try:
            value = Decimal(text)
        except InvalidOperation:
            self._refuse(
                f"{text!r} is not a number" if text else "it is empty", "correct or remove the row", line, name
            )
        if not value.is_finite():
            self._refuse(f"{text} is not a finite number", "correct or remove the row", line, name)
        if abs(value) > LARGEST:
            self._refuse(f"{text} is larger than can be stored", "correct or remove the row", line, name)
        if name == "volume" and settle(value) < 0:
            self._refuse(f"a volume of {text} is negative", "correct or remove the row", line, name)
        if name != "volume" and settle(value) <= 0:
            small = f"is less than the smallest price that is stored, {QUANTUM:f}" if value > 0 else "is not above zero"
            self._refuse(f"a price of {text} {small}", "correct or remove the row", line, name)
        return settle(value)

    def _refuse_order(self, candle: Candle, before: Candle, layout: _Layout, line: int) -> NoReturn:
        if candle.close_time == before.close_time:
            self._refuse("this time is there twice", "keep one row for each candle", line, layout.time_name)
        self._refuse("this time is before that of the row above", "sort the rows by time", line, layout.time_name)

    def _refuse(self, what: str, remedy: str, line: int, column: str | None = None) -> NoReturn:
        place = f"line {line}" if column is None else f"line {line}, column {column}"
        raise RecordingError(f"{self._path}, {place}: {what}; {remedy}.", line)
