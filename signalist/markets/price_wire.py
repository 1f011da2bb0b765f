"""How newest prices travel from the process that feeds a market to those that show them: PostgreSQL's NOTIFY, several in one payload.

A price is `instrument price made heard`, moments in microseconds since 1970, prices apart by `;`. What is lost on the way is only late:
each price is in `LatestPrice` within a second, and the next one says the same and more. Nothing but pages is fed by it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation

CHANNEL = "signalist_prices"
LONGEST = 7900
"""Octets in one payload; PostgreSQL takes 7999."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class ToldPrice:
    """A price that was made `at`. `heard` is when it, or the first of those before it that were not told, was read from the venue, by the
    clock of the machine that feeds."""

    instrument_id: int
    price: Decimal
    at: datetime
    heard: datetime


def payloads(prices: Iterable[ToldPrice]) -> Iterator[str]:
    """The prices on the wire, as few payloads as they fit into."""
    waiting: list[str] = []
    length = 0
    for told in prices:
        text = f"{told.instrument_id} {told.price} {_micros(told.at)} {_micros(told.heard)}"
        if waiting and length + len(text) + 1 > LONGEST:
            yield ";".join(waiting)
            waiting, length = [], 0
        waiting.append(text)
        length += len(text) + 1
    if waiting:
        yield ";".join(waiting)


def prices_of(payload: str) -> list[ToldPrice]:
    """What a payload tells. Raises ValueError for what is none of this."""
    return [_price(text.split(" ")) for text in payload.split(";")]


def _price(words: Collection[str]) -> ToldPrice:
    key, price, at, heard = words
    try:
        return ToldPrice(int(key), Decimal(price), _moment(at), _moment(heard))
    except (InvalidOperation, OverflowError) as error:
        raise ValueError(f"no price: {error}") from error


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def _moment(micros: str) -> datetime:
    return _EPOCH + int(micros) * _MICROSECOND
