"""Keeps the paper venue's books in its own tables, each method one committed transaction of the venue."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeVar

from django.db import connection, transaction
from django.db.models import Count, F

from signalist.accounts import models as rows
from signalist.db.bulk import update_rows
from signalist.domain.orders import OrderStatus, OrderType, Side
from signalist.venues.paper.book import Book, PaperAccount, PaperOrder, PaperPosition, TapeRow

T = TypeVar("T")

_OPEN = (OrderStatus.WORKING.value, OrderStatus.PARTIAL.value)
_ORDER = (
    "ref client_order_id venue_order_id symbol side type quantity price trigger reduce_only leverage tag active_from status filled reason"
).split()
_TAPE = (
    "ref client_order_id venue_order_id symbol side status order_quantity filled reason time fill_id quantity price fee balance available"
).split()


class PaperStore:
    """The `BookStore` of the paper venue on the product's database."""

    def transact(self, refs: Collection[str], named: Collection[str], work: Callable[[Book], T]) -> T:
        """See `BookStore.transact`. The desk's row is the venue's lock: it sequences all requests, whoever sends them."""
        with transaction.atomic():
            self._lock()
            book = self._load(refs, named)
            result = work(book)
            self._save(book)
        return result

    def resting(self) -> Sequence[PaperOrder]:
        """All open orders."""
        return [_order(row) for row in _orders().filter(status__in=_OPEN)]

    def orders(self, client_order_ids: Collection[str]) -> Mapping[str, PaperOrder]:
        """The orders of these ids that exist, open or not."""
        found = _orders().filter(client_order_id__in=list(client_order_ids))
        return {order.client_order_id: order for order in map(_order, found)}

    def tape(self, cursors: Mapping[str, int]) -> Mapping[str, Sequence[tuple[int, TapeRow]]]:
        """The tape lines behind each account's cursor."""
        lines: dict[str, list[tuple[int, TapeRow]]] = {ref: [] for ref in cursors}
        found = (
            rows.PaperTape.objects.filter(ref__in=list(cursors), id__gt=min(cursors.values(), default=0))
            .order_by("id")
            .values_list("id", *_TAPE)
        )
        for number, *values in found:
            line = _line(values)
            if number > cursors[line.ref]:
                lines[line.ref].append((number, line))
        return lines

    def books(self, refs: Collection[str]) -> Book:
        """These accounts to read."""
        with transaction.atomic():
            return self._load(refs, ())

    def entries_per_tag(self) -> Mapping[tuple[str, str], int]:
        """Accepted orders that open a position, counted per account and tag."""
        counted = rows.PaperOrder.objects.filter(reduce_only=False).values_list("ref", "tag").annotate(count=Count("id"))
        return {(ref, tag): count for ref, tag, count in counted}

    def open_positions(self) -> Sequence[PaperPosition]:
        """Every position that is not flat."""
        found = rows.PaperPosition.objects.exclude(quantity=0).order_by("id")
        return [PaperPosition(p.ref, p.symbol, p.quantity, p.value, p.margin) for p in found]

    def cursors(self) -> dict[str, str]:
        """How far each symbol's candles have been worked through: symbol → close time, ISO."""
        desk = rows.PaperDesk.objects.filter(pk=1).first()
        return dict(desk.cursors) if desk else {}

    def save_cursors(self, cursors: Mapping[str, str]) -> None:
        """Remember how far the candles have been worked through."""
        rows.PaperDesk.objects.update_or_create(pk=1, defaults={"cursors": dict(cursors)})

    def open_account(self, ref: str, currency: str, cash: object) -> None:
        """Open an account with a deposit; one that exists is left as it is."""
        rows.PaperAccount.objects.get_or_create(ref=ref, defaults={"currency": currency, "cash": cash})

    def version(self) -> int:
        """The number of the venue's last transaction: what was read at the same number is still true."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT version FROM accounts_paperdesk WHERE id = 1")
            row = cursor.fetchone()
        return int(row[0]) if row else 0

    def _lock(self) -> None:
        """Take the venue's lock by counting its transactions; the row's lock lasts until the commit."""
        if not rows.PaperDesk.objects.filter(pk=1).update(version=F("version") + 1):
            rows.PaperDesk.objects.bulk_create([rows.PaperDesk(pk=1)], ignore_conflicts=True)
            rows.PaperDesk.objects.filter(pk=1).update(version=F("version") + 1)

    def _load(self, refs: Collection[str], named: Collection[str]) -> Book:
        wanted = sorted(refs)
        accounts = rows.PaperAccount.objects.filter(ref__in=wanted).values_list("ref", "currency", "cash")
        positions = rows.PaperPosition.objects.filter(ref__in=wanted).values_list("ref", "symbol", "quantity", "value", "margin")
        orders = {o.client_order_id: o for o in map(_order, _orders().filter(ref__in=wanted, status__in=_OPEN))}
        missing = sorted(set(named) - orders.keys())
        if missing:
            orders |= self.orders(missing)
        return Book(
            accounts={ref: PaperAccount(ref, currency, cash) for ref, currency, cash in accounts},
            positions={(p[0], p[1]): PaperPosition(*p) for p in positions},
            orders=orders,
        )

    def _save(self, book: Book) -> None:
        orders = book.orders.values()
        rows.PaperOrder.objects.bulk_create([_order_row(o) for o in orders if o.new])
        update_rows(
            [_order_row(o) for o in orders if o.changed and not o.new], ("quantity", "status", "filled", "reason"), key="client_order_id"
        )
        update_rows(
            [rows.PaperAccount(ref=a.ref, cash=a.cash) for a in book.accounts.values() if a.changed], ("cash",), key="ref"
        )
        changed = [p for p in book.positions.values() if p.changed]
        if changed:
            rows.PaperPosition.objects.bulk_create(
                [rows.PaperPosition(ref=p.ref, symbol=p.symbol, quantity=p.quantity, value=p.value, margin=p.margin) for p in changed],
                update_conflicts=True,
                update_fields=["quantity", "value", "margin"],
                unique_fields=["ref", "symbol"],
            )
        rows.PaperTape.objects.bulk_create([rows.PaperTape(**{n: getattr(line, n) for n in _TAPE}) for line in book.tape])


def _orders():  # type: ignore[no-untyped-def]
    return rows.PaperOrder.objects.order_by("id").values_list(*_ORDER)


def _order(row: tuple) -> PaperOrder:  # type: ignore[type-arg]
    values = dict(zip(_ORDER, row, strict=True))
    values["side"], values["type"], values["status"] = Side(values["side"]), OrderType(values["type"]), OrderStatus(values["status"])
    return PaperOrder(**values, new=False)


def _line(values: list) -> TapeRow:  # type: ignore[type-arg]
    named = dict(zip(_TAPE, values, strict=True))
    named["side"], named["status"] = Side(named["side"]), OrderStatus(named["status"])
    return TapeRow(**named)


def _order_row(order: PaperOrder) -> rows.PaperOrder:
    return rows.PaperOrder(**{name: getattr(order, name) for name in _ORDER})
