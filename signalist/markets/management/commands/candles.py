"""`manage.py candles import|export|gaps`: stored candles from files, into files, and the holes in them."""

from __future__ import annotations

import gzip
import json
import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn, TextIO

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import DatabaseError

from signalist.clock import utc_now
from signalist.domain.errors import DomainError
from signalist.domain.timeframes import timeframe
from signalist.markets.candle_files import gaps, instrument_named, take_in, write_out
from signalist.markets.models import Candle, Instrument
from signalist.markets.recordings import RecordingError, read_recording
from tenants.doors import across_tenants
from tenants.rls import become_engine

CANNOT = 2
SHOWN = 40


class Command(BaseCommand):
    """Exit status 0 when it is done, 2 when it cannot be; what is wrong in a file is one sentence with its line and column."""

    requires_system_checks = ()  # they would load every page
    help = "Import, export and check stored candles."

    def add_arguments(self, parser: ArgumentParser) -> None:
        does = parser.add_subparsers(dest="does", required=True)
        taking = does.add_parser("import", help="store the candles of a CSV or CSV.gz file")
        giving = does.add_parser(
            "export", help="write stored candles as CSV; packed where the name ends in .gz, - is the output"
        )
        for one in (taking, giving):
            one.add_argument("file", type=Path)
            one.add_argument("--instrument", required=True, help="venue:symbol, or a symbol that one venue has")
            one.add_argument("--timeframe", required=True)
            one.add_argument("--start", type=_moment, default=None, help="ISO 8601 (UTC unless it says otherwise)")
            one.add_argument("--end", type=_moment, default=None)
        taking.add_argument(
            "--correct", action="store_true", help="correct stored candles that differ, which is recorded"
        )
        giving.add_argument("--synthetic", action="store_true", help="with candles in which nothing was traded")
        looking = does.add_parser(
            "gaps", help="where candles are missing between the first and the last that are stored"
        )
        looking.add_argument("--instrument", default=None)
        looking.add_argument("--timeframe", default=None)
        looking.add_argument("--json", action="store_true", dest="as_json")

    def handle(self, *args: Any, **options: Any) -> None:
        settings.DEBUG = False  # Django keeps every statement of a debugging process in memory
        try:
            become_engine()
            with across_tenants("candles"):
                {"import": self._import, "export": self._export, "gaps": self._gaps}[options["does"]](options)
        except (RecordingError, DomainError, LookupError) as error:
            self._refuse(str(error))
        except OSError as error:
            self._refuse(f"{options['file']} cannot be written ({error.strerror or error}); name another file.")
        except DatabaseError as error:
            self._refuse(f"The database that DATABASE_URL names cannot be used: {str(error).strip().splitlines()[0]}.")

    def _import(self, options: dict[str, Any]) -> None:
        instrument, frame = instrument_named(options["instrument"]), timeframe(options["timeframe"])
        candles = read_recording(options["file"], frame, start=options["start"], end=options["end"])
        done = take_in(instrument, frame, candles, utc_now(), correct=options["correct"])
        became = "corrected" if options["correct"] else "left as they were (--correct)"
        self.stdout.write(
            f"{instrument} {frame.code}: {done.read} read, {done.new} new, {done.same} there already, "
            f"{done.differ} that differ {became}."
        )

    def _export(self, options: dict[str, Any]) -> None:
        instrument, frame = instrument_named(options["instrument"]), timeframe(options["timeframe"])
        wanted = Candle.objects.filter(instrument=instrument, timeframe=frame.code)
        if not options["synthetic"]:
            wanted = wanted.filter(is_synthetic=False)
        if options["start"] is not None:
            wanted = wanted.filter(close_time__gte=options["start"] + frame.length)
        if options["end"] is not None:
            wanted = wanted.filter(close_time__lte=options["end"])
        with _opened(options["file"]) as to:
            count = write_out(wanted, to)
        self.stderr.write(f"{instrument} {frame.code}: {count} candles.")

    def _gaps(self, options: dict[str, Any]) -> None:
        named = options["instrument"]
        listed = [instrument_named(named)] if named else list(Instrument.objects.order_by("venue", "symbol"))
        codes = [timeframe(options["timeframe"]).code] if options["timeframe"] else []
        found = list(gaps(listed, codes))
        if options["as_json"]:
            told = [
                {"instrument": g.instrument, "timeframe": g.timeframe, "candles": g.candles}
                | {"first": g.first.isoformat(), "last": g.last.isoformat()}
                for g in found
            ]
            self.stdout.write(json.dumps({"missing": sum(g.candles for g in found), "gaps": told}))
            return
        for gap in found[:SHOWN]:
            between = f"{gap.first:%Y-%m-%d %H:%M:%S} to {gap.last:%Y-%m-%d %H:%M:%S}"
            self.stdout.write(f"{gap.instrument} {gap.timeframe}  {between}  {gap.candles} missing")
        rest = f", {len(found) - SHOWN} of them not shown (--json)" if len(found) > SHOWN else ""
        self.stdout.write(f"{len(found)} gaps, {sum(g.candles for g in found)} candles missing{rest}.")

    def _refuse(self, sentence: str) -> NoReturn:
        self.stderr.write(sentence)
        sys.exit(CANNOT)


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    if str(path) == "-":
        yield sys.stdout
    elif path.suffix == ".gz":
        with gzip.open(path, "wt", encoding="utf-8", newline="") as packed:
            yield packed
    else:
        with path.open("w", encoding="utf-8", newline="") as text:
            yield text


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not a time; write ISO 8601, such as 2024-05-06T12:00:00Z") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
