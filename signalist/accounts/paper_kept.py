"""The paper venue's books where no other process trades there: kept in memory, so that a transaction costs what it changed and no more.

The tables stay the truth: each transaction is committed before the venue answers. Whatever fails is forgotten and read anew.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

from django.db import IntegrityError

from signalist.accounts.paper_store import PaperStore
from signalist.db import fast
from signalist.venues.paper.book import Book, PaperOrder, PaperPosition

T = TypeVar("T")


class KeptBooks(PaperStore):
    """The same store for the only process of the venue, which nobody has to be kept out of."""

    def __init__(self) -> None:
        self._kept: Book | None = None
        self._version = 0

    def transact(self, refs: Collection[str], named: Collection[str], work: Callable[[Book], T]) -> T:
        """See `BookStore.transact`. Orders that are not open are not in memory: where a new one turns out to have the name of one, the
        work is undone and done again on what the tables hold."""
        self._version += 1
        try:
            book = self._of(refs)
            result = work(book)
            self._save(book)  # one statement where the database can do that, all or nothing where not
        except IntegrityError:
            self._kept = None
            return super().transact(refs, named, work)
        except BaseException:
            self._kept = None
            raise
        self._keep(book)
        return result

    def version(self) -> int:
        """The number of the last transaction of this process, which is the only one."""
        return self._version

    def resting(self) -> Sequence[PaperOrder]:
        """All open orders."""
        return list(self._all().orders.values())

    def open_positions(self) -> Sequence[PaperPosition]:
        """Every position that is not flat."""
        return [position for position in self._all().positions.values() if position.quantity != 0]

    def books(self, refs: Collection[str]) -> Book:
        """These accounts to read."""
        return self._of(refs)

    def _all(self) -> Book:
        if self._kept is None:
            refs = [ref for (ref,) in fast.tuples("SELECT ref FROM accounts_paperaccount ORDER BY id")]
            self._kept = self._load(refs, ())
        return self._kept

    def _of(self, refs: Collection[str]) -> Book:
        """The part of the books that is these accounts', with their open orders in the order in which they came."""
        kept, wanted = self._all(), set(refs)
        if not wanted <= kept.accounts.keys():  # one that was opened since: it has had no orders yet
            opened = self._load(wanted - kept.accounts.keys(), ())
            kept.accounts.update(opened.accounts)
        return Book(
            accounts={ref: kept.accounts[ref] for ref in wanted & kept.accounts.keys()},
            positions={key: position for key, position in kept.positions.items() if key[0] in wanted},
            orders={key: order for key, order in kept.orders.items() if order.ref in wanted},
        )

    def _keep(self, book: Book) -> None:
        """Take over what a transaction has made of its part."""
        kept = self._all()
        kept.positions.update(book.positions)
        for name, order in book.orders.items():
            order.new = order.changed = False
            if order.is_open:
                kept.orders[name] = order
            else:
                kept.orders.pop(name, None)
        for account in book.accounts.values():
            account.changed = False
        for position in book.positions.values():
            position.changed = False
