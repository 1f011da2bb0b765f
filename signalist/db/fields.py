"""The exact number column: numeric(28,10) on PostgreSQL, canonical text under the DECIMAL collation on SQLite.

Django's own DecimalField is a float on SQLite. Both databases return the same Decimal with ten decimals. Arithmetic in SQL
(SUM, AVG, F) is not for these columns on SQLite: fold in Python.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

from signalist.domain.errors import DomainError
from signalist.domain.money import DECIMALS, DIGITS, QUANTUM, WIDE, exact


class ExactDecimalField(models.DecimalField):  # type: ignore[type-arg]
    """A Decimal of 28 digits, 10 of them decimals; a value that would lose a digit is refused, never rounded."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["max_digits"], kwargs["decimal_places"] = DIGITS, DECIMALS
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> tuple[str, str, Any, Any]:
        name, path, args, kwargs = super().deconstruct()
        kwargs.pop("max_digits", None)
        kwargs.pop("decimal_places", None)
        return name, path, args, kwargs

    def get_internal_type(self) -> str:
        # Not "DecimalField": the backends would attach their float converters to that name.
        return "ExactDecimalField"

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        return "text" if connection.vendor == "sqlite" else f"numeric({DIGITS}, {DECIMALS})"

    def db_parameters(self, connection: BaseDatabaseWrapper) -> dict[str, Any]:
        parameters: dict[str, Any] = dict(super().db_parameters(connection))
        if connection.vendor == "sqlite":
            parameters["collation"] = "DECIMAL"
        return parameters

    def from_db_value(self, value: Any, expression: object, connection: BaseDatabaseWrapper) -> Decimal | None:
        if isinstance(value, float):
            raise DomainError(
                "An exact number went through arithmetic in SQL, which is a float here: fold it in Python."
            )
        return None if value is None else Decimal(value)

    def to_python(self, value: Any) -> Decimal | None:
        if value is None or value == "":
            return None
        try:
            return exact(value)
        except DomainError as error:
            raise ValidationError(str(error), code="invalid") from error

    def get_db_prep_value(self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False) -> Any:
        if value is None or hasattr(value, "resolve_expression"):
            return value
        number = exact(value)
        return format(number.quantize(QUANTUM, context=WIDE), "f") if connection.vendor == "sqlite" else number

    def get_db_prep_save(self, value: Any, connection: BaseDatabaseWrapper) -> Any:
        return self.get_db_prep_value(value, connection)
