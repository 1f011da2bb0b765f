"""Long lists for pages: one page of rows, made into what is shown, and the choices that a list is filtered by."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import QuerySet

PAGE_SIZE = 25


def page_of(
    rows: QuerySet[Any, Any] | Sequence[Any],
    shown: Callable[[list[Any]], Sequence[Any]],
    number: str | None,
    *,
    count: int | None = None,
) -> Page[Any]:
    """Page `number` of `rows` as `shown` makes them; a number that makes no sense gives the nearest page.

    Of rows that are not read yet two queries, or one where their `count` is known, and those of `shown`.
    """
    paginator = Paginator(rows, PAGE_SIZE)
    if count is not None:
        paginator.count = count  # a cached property, which is not asked for then
    page: Page[Any] = paginator.get_page(number)
    page.object_list = shown(list(page.object_list))
    return page


@dataclass(frozen=True, slots=True)
class Choice:
    """One filter of a list, as a select: its options as (value, words), and the one that is chosen. An empty value lets all through."""

    name: str
    label: str
    options: Sequence[tuple[str, str]]
    value: str

    @classmethod
    def of(
        cls, query: Mapping[str, str], name: str, label: str, options: Sequence[tuple[str, str]], default: str = ""
    ) -> Choice:
        """What the query asks for, or the default where it asks for nothing that is offered."""
        asked = query.get(name, default)
        return cls(name, label, options, asked if asked in dict(options) else default)

    @property
    def words(self) -> str:
        """The chosen option in words."""
        return dict(self.options)[self.value]
