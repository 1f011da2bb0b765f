"""How the columns of a model are read and written, worked out once a model: for rows that come and go by the thousand.

A row is made here without the steps of a constructor call, of which none is of use to a row whose every value is at hand; a value
passes through its field's own conversion, so that an exact decimal or an aware time is the same as through the ORM.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache, lru_cache
from operator import itemgetter
from typing import Any, TypeVar
from uuid import UUID

from django.db import connection, models
from django.db.models.base import ModelState
from django.db.models.expressions import Col

from signalist.db.fields import ExactDecimalField
from signalist.domain.money import DECIMALS, DIGITS, QUANTUM, WIDE, exact

M = TypeVar("M", bound=models.Model)

Convert = Callable[[Any], Any]
_WHOLE = DIGITS - DECIMALS
# Of the values of a batch most are the same few: its moment, its accounts, its prices. Looking them up is a tenth of working them out.
_REMEMBERED = 8192


@cache
def on_postgresql() -> bool:
    """Asked for at every statement: the connection itself is looked up in the running task each time, which costs more."""
    return connection.vendor == "postgresql"


# --- Rows ----------------------------------------------------------------------------------------


def new(model: type[M], **values: Any) -> M:
    """A row that is not stored yet, as `model(**values)` makes it, several times as fast; related rows may be given as themselves.

    Raises TypeError for a name that is no field's.
    """
    row = model.__new__(model)
    row._state = ModelState()
    held = row.__dict__
    shape = _shape(model)
    held.update(shape.plain)
    for name, make in shape.made:
        if name not in values:
            held[name] = make()
    for name in shape.related & values.keys():
        attname, target = shape.keys[name]
        other = values.pop(name)
        row._state.fields_cache[name] = other
        held[attname] = None if other is None else getattr(other, target)
    held.update(values)
    if len(held) != shape.size:
        raise TypeError(f"{model.__name__} has no field {sorted(values.keys() - shape.names)}.")
    return row


@dataclass(frozen=True, slots=True)
class _Shape:
    """What a new row of a model begins with. `size` counts its attributes, `_state` among them."""

    plain: dict[str, Any]
    made: Sequence[tuple[str, Callable[[], Any]]]
    related: frozenset[str]
    keys: dict[str, tuple[str, str]]
    names: frozenset[str]
    size: int


@cache
def _shape(model: type[models.Model]) -> _Shape:
    plain: dict[str, Any] = {}
    made: list[tuple[str, Callable[[], Any]]] = []
    keys: dict[str, tuple[str, str]] = {}
    for field in model._meta.concrete_fields:
        by_the_database = getattr(field, "db_default", models.NOT_PROVIDED) is not models.NOT_PROVIDED
        is_made = field.has_default() and callable(field.default)
        plain[field.attname] = None if is_made or by_the_database else field.get_default()
        if is_made:
            made.append((field.attname, field.default))
        if field.is_relation:
            keys[field.name] = (field.attname, field.target_field.attname)  # type: ignore[attr-defined]
    return _Shape(plain, made, frozenset(keys), keys, frozenset(plain) | {"_state"}, len(plain) + 1)


def instance(model: type[M], names: Sequence[str], values: Sequence[Any]) -> M:
    """A stored row as an instance, as `Model.from_db` makes it, without the checks and signals of a constructor call."""
    row = model.__new__(model)
    row._state = state = ModelState()
    state.adding, state.db = False, "default"
    row.__dict__.update(zip(names, values, strict=True))
    return row


def relate(row: models.Model, name: str, other: models.Model | None) -> None:
    """Give `row` the row that its foreign key `name` points to already, without the checks of an assignment."""
    row._state.fields_cache[name] = other


# --- Reading -------------------------------------------------------------------------------------


@cache
def reads(model: type[models.Model]) -> tuple[list[str], list[tuple[int, Convert]]]:
    """The attribute names in the order of the columns, and the conversion of each column that needs one."""
    names, conversions = [], []
    for index, field in enumerate(model._meta.concrete_fields):
        names.append(field.attname)
        convert = _reading(field)
        if convert is not None:
            conversions.append((index, convert))
    return names, conversions


def _reading(field: Any) -> Convert | None:
    """What makes a driver's value the field's: the frequent kinds directly, the others by Django's own steps."""
    kind = field.target_field if field.is_relation else field
    if isinstance(kind, ExactDecimalField):
        return None if on_postgresql() else Decimal
    if isinstance(kind, models.DateTimeField):
        return None  # SQLite's are made aware by the driver (`connections.prepare`)
    if isinstance(kind, models.JSONField):
        return None if on_postgresql() else json.loads
    if isinstance(kind, models.UUIDField):
        return None if on_postgresql() else _uuid
    if isinstance(kind, models.BooleanField):
        return None  # both drivers give booleans for columns that are declared so
    column = Col(field.model._meta.db_table, field)
    steps = [*connection.ops.get_db_converters(column), *field.get_db_converters(connection)]
    return _conversion(steps, column) if steps else None


@lru_cache(maxsize=_REMEMBERED)
def _uuid(value: str) -> UUID:
    return UUID(value)


def utc(value: datetime | str) -> datetime:
    """A time as `tuples` gives it, aware: on SQLite what comes from an expression is a text in UTC that does not say so."""
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _conversion(steps: Sequence[Callable[..., Any]], column: Col) -> Convert:
    def convert(value: Any) -> Any:
        for step in steps:
            value = step(value, column, connection)
        return value

    return convert


# --- Writing -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Column:
    """What writing a column takes."""

    attname: str
    column: str
    kind: str
    prepare: Convert | None

    @classmethod
    def of(cls, field: Any) -> Column:
        target = field.target_field if field.is_relation else field
        return cls(field.attname, field.column, target.rel_db_type(connection) or "", _preparation(field))


def _preparation(field: Any) -> Convert | None:
    """What makes a value of `field` fit its column, None where nothing is needed: text, numbers, booleans and ids go as they are."""
    kind = field.target_field if field.is_relation else field
    if isinstance(kind, ExactDecimalField):
        return _plain_decimal if on_postgresql() else _canonical_decimal
    if isinstance(kind, models.DateTimeField):
        return datetime.isoformat if on_postgresql() else naive_text
    if isinstance(kind, models.DateField):
        return date.isoformat
    if isinstance(kind, models.UUIDField):
        return str if on_postgresql() else _hexadecimal
    if isinstance(kind, models.JSONField):
        return None if on_postgresql() else json.dumps
    return None


def _plain_decimal(value: Decimal) -> str:
    return _plain(value) if type(value) is Decimal and value.is_finite() else format(exact(value), "f")


@lru_cache(maxsize=_REMEMBERED)
def _plain(value: Decimal) -> str:
    text = format(value, "f")
    whole, _, decimals = text.partition(".")
    if len(decimals) <= DECIMALS and len(whole) <= _WHOLE and whole.isdigit():
        return text  # as nearly all are; what looks otherwise is looked at more closely
    return format(exact(value), "f")


def _canonical_decimal(value: Decimal) -> str:
    return _canonical(value) if type(value) is Decimal and value.is_finite() else _quantized(value)


@lru_cache(maxsize=_REMEMBERED)
def _canonical(value: Decimal) -> str:
    if value and value.adjusted() < _WHOLE:
        stored = value.quantize(QUANTUM, context=WIDE)
        if stored == value:
            return format(stored, "f")
    return _quantized(value)


def _quantized(value: Decimal) -> str:
    return format(exact(value).quantize(QUANTUM, context=WIDE), "f")


@lru_cache(maxsize=_REMEMBERED)
def naive_text(value: datetime) -> str:
    """An aware time as SQLite holds it."""
    if value.tzinfo is UTC:
        return str(value)[: -len("+00:00")]
    return str(value.astimezone(UTC).replace(tzinfo=None))


def _hexadecimal(value: UUID) -> str:
    return value.hex


def values_of(rows: Sequence[models.Model], fields: Sequence[Column]) -> Iterator[list[Any]]:
    """For each row its values as its columns take them."""
    take = itemgetter(*(field.attname for field in fields)) if len(fields) > 1 else None
    changes = [(n, field.prepare) for n, field in enumerate(fields) if field.prepare is not None]
    for row in rows:
        try:
            values = list(take(row.__dict__)) if take is not None else [getattr(row, fields[0].attname)]
        except KeyError:  # a deferred column, which its attribute reads
            values = [getattr(row, field.attname) for field in fields]
        for n, prepare in changes:
            if values[n] is not None:
                values[n] = prepare(values[n])
        yield values
