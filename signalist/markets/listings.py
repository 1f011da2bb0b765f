"""Keeps instruments as their venues list them: rules, fees, and what may be done in them. For the engine's database thread.

A market that is not listed any more is marked as delisted, and never deleted: what was traded in it stays. Instruments of another venue
that follow this one's prices (the paper venue's, say) follow its steps, minimums and states, too, and keep their own fees.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from django.db import transaction
from django.db.models import Q

from signalist.db import fast
from signalist.domain.instruments import InstrumentSpec, Trading
from signalist.domain.money import plain
from signalist.markets.listing_models import InstrumentChange, VenueListing
from signalist.markets.models import AssetPair, Instrument
from signalist.markets.selectors import forget_instruments

STEPS = ("tick", "lot", "min_quantity", "min_notional")
RULES = (*STEPS, "base", "quote", "kind", "max_leverage", "taker_fee", "maker_fee")
_WRITTEN = (*RULES, "trading", "trading_since")
_DECIMALS, _WHOLE = 10, Decimal(10) ** 18
_HALF = 2


@dataclass(slots=True)
class Kept:
    """What a list came to: symbols that were made, changed (by symbol, the names of what changed), and that have gone from it."""

    made: list[str] = field(default_factory=list)
    changed: dict[str, list[str]] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)
    problem: str = ""


def is_asked_for(code: str) -> bool:
    """Whether somebody wants the list anew. One query."""
    row = VenueListing.objects.filter(code=code).values_list("asked_at", "tried_at").first()
    return row is not None and row[0] is not None and (row[1] is None or row[1] < row[0])


def ask_for(code: str, now: datetime) -> VenueListing:
    """Have the venue's list heard anew by the engine that feeds from it."""
    return VenueListing.objects.update_or_create(code=code, defaults={"asked_at": now})[0]


def not_heard(code: str, why: str, now: datetime) -> None:
    """The venue did not tell its list."""
    said = "".join(letter if letter.isprintable() else " " for letter in why)[:200]
    VenueListing.objects.update_or_create(code=code, defaults={"tried_at": now, "problem": said})


def keep_listing(code: str, specs: Iterable[InstrumentSpec], now: datetime) -> Kept:
    """Bring what the venue `code` lists into the books, in a constant number of queries. What is new is stored and not offered.

    A list of less than half of what the one before it named is believed as to what it names; what is missing from it counts as gone
    only where the next list says so, too. A market whose rules our books cannot hold any more is traded on by those that they have.
    """
    listed = {spec.symbol: spec for spec in specs}
    kept, changes = Kept(), list[InstrumentChange]()
    with transaction.atomic():
        listing, _ = VenueListing.objects.select_for_update().get_or_create(code=code)
        known = {row.symbol: row for row in Instrument.objects.filter(venue=code).order_by("pk")}
        fresh = [spec for symbol, spec in sorted(listed.items()) if symbol not in known and _fits(spec)]
        made = [_made(code, spec, now) for spec in fresh]
        fast.insert(made, returning=True)
        kept.made = [row.symbol for row in made]
        changed = [
            row for symbol, row in known.items() if symbol in listed and _take(row, listed[symbol], RULES, now, changes)
        ]
        if len(listed) * _HALF < listing.listed:
            kept.problem = f"It names {len(listed)} markets, and named {listing.listed} before; none of them is taken for gone yet."
        else:
            gone = [row for symbol, row in known.items() if symbol not in listed and row.trading != Trading.DELISTED]
            for row in gone:
                _set_trading(row, Trading.DELISTED, now, changes)
            kept.gone = [row.symbol for row in gone]
            changed += gone
        delisted = {symbol for symbol, row in known.items() if row.trading == Trading.DELISTED}
        changed += _follow(code, listed, delisted, now, changes)
        fast.update(changed, _WRITTEN)
        fast.insert(changes)
        listing.tried_at = listing.heard_at = now
        listing.listed, listing.problem = len(listed), kept.problem
        listing.save(update_fields=["tried_at", "heard_at", "listed", "problem"])
        if changed or made:
            transaction.on_commit(forget_instruments)
    symbols = {row.pk: row.symbol for row in changed}
    for change in changes:
        kept.changed.setdefault(symbols[change.instrument_id], []).append(change.name)
    return kept


def keep_trading(code: str, told: Mapping[str, Trading], now: datetime) -> list[str]:
    """Take over what may be done in these markets by symbol, there and where their prices are followed; the symbols at which it is
    another than before. What a list has called delisted stays so until a list names it. A constant number of queries."""
    changes, changed = list[InstrumentChange](), list[Instrument]()
    of_its_own, following = Q(venue=code, symbol__in=told), Q(feed__source__code=code, feed__symbol__in=told)
    with transaction.atomic():
        VenueListing.objects.select_for_update().get_or_create(code=code)
        rows = Instrument.objects.filter(of_its_own | following).exclude(trading=Trading.DELISTED)
        symbols: dict[int, str] = {}
        for row in rows.select_related("feed").order_by("pk"):
            symbols[row.pk] = row.symbol if row.venue == code else row.feed.symbol
            if row.trading != told[symbols[row.pk]]:
                _set_trading(row, told[symbols[row.pk]], now, changes)
                changed.append(row)
        fast.update(changed, ("trading", "trading_since"))
        fast.insert(changes)
        if changed:
            transaction.on_commit(forget_instruments)
    return sorted({symbols[row.pk] for row in changed})


def offer(code: str, symbols: Sequence[str], *, offered: bool = True) -> list[Instrument]:
    """Offer these markets of a venue on this installation, or offer them no more. Raises LookupError for one that it does not list, or
    not any more."""
    rows = {row.symbol: row for row in Instrument.objects.filter(venue=code, symbol__in=symbols)}
    if missing := [symbol for symbol in symbols if symbol not in rows]:
        raise LookupError(f"{code} lists no market {', '.join(missing)}, as far as it was heard.")
    for row in rows.values():
        if offered and row.trading == Trading.DELISTED:
            raise LookupError(f"{row} is not traded any more.")
    with transaction.atomic():
        for row in rows.values():
            if offered and row.pair_id is None:
                row.pair = AssetPair.objects.get_or_create(code=f"{row.base}/{row.quote}")[0]
            row.is_active = offered
            row.save(update_fields=["pair", "is_active"])
        transaction.on_commit(forget_instruments)
    return [rows[symbol] for symbol in symbols]


# --- Within ------------------------------------------------------------------------------------------


def _made(code: str, spec: InstrumentSpec, now: datetime) -> Instrument:
    rules = {name: getattr(spec, name) for name in RULES} | {"kind": spec.kind.value}
    return fast.new(
        Instrument,
        venue=code,
        symbol=spec.symbol,
        is_active=False,
        trading=spec.trading.value,
        trading_since=now,
        **rules,
    )


def _take(
    row: Instrument, spec: InstrumentSpec, names: Sequence[str], now: datetime, changes: list[InstrumentChange]
) -> bool:
    """Take over what the venue says of an instrument; whether anything of it is new."""
    before = len(changes)
    for name in names if _fits(spec) else ():
        said = getattr(spec, name)
        said = said.value if name == "kind" else said
        if said is not None and said != getattr(row, name):
            changes.append(_change(row, name, getattr(row, name), said, now))
            setattr(row, name, said)
    if row.trading != spec.trading:
        _set_trading(row, spec.trading, now, changes)
    return len(changes) > before


def _set_trading(row: Instrument, trading: Trading, now: datetime, changes: list[InstrumentChange]) -> None:
    changes.append(_change(row, "trading", row.trading, trading.value, now))
    row.trading, row.trading_since = trading.value, now


def _follow(
    code: str,
    listed: Mapping[str, InstrumentSpec],
    delisted: Container[str],
    now: datetime,
    changes: list[InstrumentChange],
) -> list[Instrument]:
    """Those of other venues that are fed from this one and follow what it says now."""
    rows = Instrument.objects.filter(feed__source__code=code).exclude(venue=code).select_related("feed").order_by("pk")
    found = []
    for row in rows:
        symbol = row.feed.symbol
        if symbol in listed:
            if _take(row, listed[symbol], STEPS, now, changes):
                found.append(row)
        elif symbol in delisted and row.trading != Trading.DELISTED:
            _set_trading(row, Trading.DELISTED, now, changes)
            found.append(row)
    return found


def _change(row: Instrument, name: str, before: object, after: object, now: datetime) -> InstrumentChange:
    texts = [plain(value) if isinstance(value, Decimal) else str(value or "") for value in (before, after)]
    return fast.new(InstrumentChange, instrument_id=row.pk, at=now, name=name, before=texts[0], after=texts[1])


def _fits(spec: InstrumentSpec) -> bool:
    """Whether our books can hold it: numbers with more than ten decimals, and names that are none, cannot be traded here."""
    numbers = [number for name in RULES if isinstance(number := getattr(spec, name), Decimal)]
    exact = all(number == round(number, _DECIMALS) and number < _WHOLE for number in numbers)
    names = ((spec.symbol, 40), (spec.base, 15), (spec.quote, 15))
    return exact and all(name.isprintable() and len(name) <= longest for name, longest in names)
