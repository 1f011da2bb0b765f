"""Moments that people type: in their own time zone, as `<input type="datetime-local">` sends them, or with a zone of their own."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


class NoMoment(ValueError):
    """What was typed is no moment; the words are for the person."""


def zone_of(name: str) -> tzinfo:
    """The time zone of this name, UTC where there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


def typed(text: str, zone: tzinfo) -> datetime:
    """What was typed, in UTC; without a zone it is in `zone`, and of an hour that comes twice there the first. Raises NoMoment."""
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise NoMoment("Write it as 2026-01-05T14:30, the day first.") from None
    try:
        moment = (found.replace(tzinfo=zone) if found.tzinfo is None else found).astimezone(UTC)
    except OverflowError:
        moment = EARLIEST.replace(year=1)
    if not EARLIEST <= moment < LATEST:
        raise NoMoment(f"Choose a day between {EARLIEST.year} and {LATEST.year - 1}.")
    if found.tzinfo is None and moment.astimezone(zone).replace(tzinfo=None) != found:
        raise NoMoment("There is no such time there: the clocks go forward in that hour.")
    return moment


def field_value(moment: datetime | None, zone: tzinfo) -> str:
    """A moment as such a field holds it, to the second where it has seconds."""
    if moment is None:
        return ""
    local = moment.astimezone(zone).replace(tzinfo=None)
    return local.isoformat(timespec="seconds" if local.second else "minutes")


def address_value(moment: datetime) -> str:
    """A moment as addresses of pages carry it: 2026-01-05T14:30:00Z."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
