"""Keeps the paper venue's books in its own tables, each method one committed transaction of the venue."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from operator import attrgetter
from typing import TypeVar

from django.db import transaction
from django.db.models import Count, Exists, OuterRef

from signalist.accounts import models as rows
from signalist.db import fast
from signalist.domain.orders import OrderStatus, OrderType, Side
from signalist.venues.paper.book import Book, PaperAccount, PaperOrder, PaperPosition, TapeRow
from signalist.venues.paper.venue import PAPER

T = TypeVar("T")

_NEXT_VERSION = "UPDATE accounts_paperdesk SET version = version + 1 WHERE id = 1"
_STILL_OPEN = "status IN ('WORKING', 'PARTIAL')"
_ORDER = (
    "ref client_order_id venue_order_id symbol side type quantity price trigger reduce_only leverage tag active_from status filled reason"
).split()
_TAPE = (
    "ref client_order_id venue_order_id symbol side status order_quantity filled reason time fill_id quantity price fee balance available"
).split()
_order_values, _tape_values = attrgetter(*_ORDER), attrgetter(*_TAPE)


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
        # Sorted here: an ORDER BY id would have SQLite walk through all orders there ever were.
        found = fast.select(rows.PaperOrder, f"symbol > '' AND {_STILL_OPEN}")
        return [_order(row) for row in sorted(found, key=lambda row: row.pk)]

    def orders(self, client_order_ids: Collection[str]) -> Mapping[str, PaperOrder]:
        """The orders of these ids that exist, open or not."""
        found = fast.select_ids(rows.PaperOrder, sorted(client_order_ids), column="client_order_id")
        return {row.client_order_id: _order(row) for row in found}

    def taken(self, ref: str, since: datetime) -> Sequence[PaperOrder]:
        """The account's orders since then, open or not, oldest first."""
        found = rows.PaperOrder.objects.filter(ref=ref, active_from__gte=since).order_by("active_from", "pk")
        return [_order(row) for row in found]

    def tape(self, cursors: Mapping[str, int]) -> Mapping[str, Sequence[tuple[int, TapeRow]]]:
        """The tape lines behind each account's cursor."""
        lines: dict[str, list[tuple[int, TapeRow]]] = {ref: [] for ref in cursors}
        behind = f"id > {min(cursors.values(), default=0):d}"
        for row in fast.select_ids(rows.PaperTape, sorted(cursors), behind, column="ref"):
            if row.pk > cursors[row.ref]:
                lines[row.ref].append((row.pk, _line(row)))
        return lines

    def books(self, refs: Collection[str]) -> Book:
        """These accounts to read."""
        with transaction.atomic():
            return self._load(refs, ())

    def entries_per_tag(self) -> Mapping[tuple[str, str], int]:
        """Accepted orders that open a position, counted per account and tag."""
        counted = (
            rows.PaperOrder.objects.filter(reduce_only=False).values_list("ref", "tag").annotate(count=Count("id"))
        )
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

    def asked_for(self) -> Sequence[rows.Account]:
        """The accounts with a deposit that have not been opened here yet, in the order in which they were asked for."""
        opened = rows.PaperAccount.objects.filter(ref=OuterRef("venue_ref"))
        return list(rows.Account.objects.filter(~Exists(opened), venue=PAPER, deposit__isnull=False).order_by("pk"))

    def open_account(self, ref: str, currency: str, cash: Decimal) -> None:
        """Open an account with a deposit; one that exists is left as it is."""
        rows.PaperAccount.objects.get_or_create(ref=ref, defaults={"currency": currency, "cash": cash})

    def version(self) -> int:
        """The number of the venue's last transaction: what was read at the same number is still true."""
        found = fast.tuples("SELECT version FROM accounts_paperdesk WHERE id = 1")
        return int(found[0][0]) if found else 0

    def _lock(self) -> None:
        """Take the venue's lock by counting its transactions; the row's lock lasts until the commit."""
        if not fast.execute(_NEXT_VERSION, []):
            rows.PaperDesk.objects.bulk_create([rows.PaperDesk(pk=1)], ignore_conflicts=True)
            fast.execute(_NEXT_VERSION, [])

    def _load(self, refs: Collection[str], named: Collection[str]) -> Book:
        wanted = sorted(refs)
        accounts = fast.select_ids(rows.PaperAccount, wanted, column="ref")
        positions = fast.select_ids(rows.PaperPosition, wanted, column="ref")
        orders = {
            o.client_order_id: _order(o) for o in fast.select_ids(rows.PaperOrder, wanted, _STILL_OPEN, column="ref")
        }
        missing = set(named) - orders.keys()
        if missing:
            orders |= self.orders(missing)
        return Book(
            accounts={a.ref: PaperAccount(a.ref, a.currency, a.cash) for a in accounts},
            positions={
                (p.ref, p.symbol): PaperPosition(p.ref, p.symbol, p.quantity, p.value, p.margin) for p in positions
            },
            orders=orders,
        )

    def _save(self, book: Book) -> None:
        orders = book.orders.values()
        changed = [p for p in book.positions.values() if p.changed]
        fast.write_together(
            fast.Insert([_order_row(o) for o in orders if o.new]),
            fast.Update(
                [_order_row(o) for o in orders if o.changed and not o.new],
                ("quantity", "trigger", "status", "filled", "reason"),
                key="client_order_id",
            ),
            fast.Update(
                [fast.new(rows.PaperAccount, ref=a.ref, cash=a.cash) for a in book.accounts.values() if a.changed],
                ("cash",),
                key="ref",
            ),
            fast.Insert(
                [
                    fast.new(
                        rows.PaperPosition,
                        ref=p.ref,
                        symbol=p.symbol,
                        quantity=p.quantity,
                        value=p.value,
                        margin=p.margin,
                    )
                    for p in changed
                ],
                "ON CONFLICT (ref, symbol) DO UPDATE SET "
                "quantity = excluded.quantity, value = excluded.value, margin = excluded.margin",
            ),
            fast.Insert(
                [fast.new(rows.PaperTape, **dict(zip(_TAPE, _tape_values(line), strict=True))) for line in book.tape]
            ),
        )


def _order(row: rows.PaperOrder) -> PaperOrder:
    values = dict(zip(_ORDER, _order_values(row), strict=True))
    values["side"], values["type"], values["status"] = Side(row.side), OrderType(row.type), OrderStatus(row.status)
    return PaperOrder(**values, new=False)


def _line(row: rows.PaperTape) -> TapeRow:
    values = dict(zip(_TAPE, _tape_values(row), strict=True))
    values["side"], values["status"] = Side(row.side), OrderStatus(row.status)
    return TapeRow(**values)


def _order_row(order: PaperOrder) -> rows.PaperOrder:
    return fast.new(rows.PaperOrder, **dict(zip(_ORDER, _order_values(order), strict=True)))
