"""Acme trades in the small world of `tests/flows/scene.py`, and its people look at the pages of that."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from signalist.accounts.models import Account
from signalist.trading.models import Subscription
from signalist.venues.paper.venue import PAPER
from tenants.models import Tenant, User
from tests.cast import Cast
from tests.flows.scene import Scene, opened

_CLOCKS = (
    "signalist.trading.pages.present",
    "signalist.dashboard.fragments.present",
    "signalist.execution.pages.tickets.present",
    "signalist.execution.pages.orders.present",
    "signalist.execution.pages.closing.present",
    "signalist.execution.pages.quality.present",
)
_TAGS = re.compile(r"<[^>]+>")


class Acme:
    """The world with Acme in it. Pages are asked at the world's time."""

    def __init__(self, scene: Scene, cast: Cast) -> None:
        self.scene, self.cast = scene, cast
        self.clients: dict[int | None, Client] = {None: Client()}

    def account(
        self, name: str = "Desk", *, currency: str = "USD", deposit: str = "100000", tenant: Tenant | None = None
    ) -> Account:
        """A funded paper account, of Acme unless of another."""
        owner = tenant or self.cast.acme
        ref = f"{name}-{owner.pk}"
        made = Account.objects.create(tenant=owner, name=name, venue=PAPER, venue_ref=ref, currency=currency)
        self.scene.store.open_account(ref, currency, Decimal(deposit))
        self.scene.drive(self.scene.engine.watch())
        self.scene.settle()
        return made

    def follower(
        self, name: str = "Desk", *, deposit: str = "100000", tenant: Tenant | None = None, **terms: Any
    ) -> Subscription:
        """A subscription of an account of that name; for its terms see `Scene.subscriber`."""
        instrument = terms.get("instrument") or self.scene.btc
        account = self.account(name, currency=instrument.quote, deposit=deposit, tenant=tenant)
        return self.scene.subscriber(account=account, **terms)

    def make_real(self, subscription: Subscription) -> None:
        """Say that the account was at a venue of real money all along. Nothing may be traded on it after that."""
        Account.objects.filter(pk=subscription.account_id).update(venue="kraken")
        self.scene.books_agree = False  # the public record keeps real and paper apart, and was written for paper

    # --- Looking at pages ------------------------------------------------------------------------

    def get(self, address: str, who: User | None) -> Any:
        """What the server answers to a person, or to nobody in particular."""
        return self._client(who).get(address)

    def post(self, address: str, who: User | None, **form: str) -> Any:
        """The same for a form."""
        return self._client(who).post(address, form)

    def html(self, address: str, who: User | None = None) -> str:
        """The page as Theo (or another) gets it."""
        answer = self.get(address, who or self.cast.theo)
        assert answer.status_code == 200, f"{address}: {answer.status_code}"
        return str(answer.content.decode())

    def text(self, address: str, who: User | None = None) -> str:
        """What stands in the main part of the page, without markup, every stretch of space as one."""
        return plain(self.html(address, who).partition("<main")[2].partition("</main>")[0])

    def refused_to_others(self, address: str) -> None:
        """Gus gets 404, and nobody in particular is asked to log in."""
        assert self.get(address, self.cast.gus).status_code == 404
        asked = self.get(address, None)
        assert (asked.status_code, asked.headers["Location"]) == (302, f"/accounts/login/?next={address}")

    def _client(self, who: User | None) -> Client:
        key = None if who is None else who.pk
        if key not in self.clients:
            self.clients[key] = Client()
            self.clients[key].force_login(who)  # type: ignore[arg-type]
        return self.clients[key]


def plain(markup: str) -> str:
    """The words of a stretch of HTML."""
    return " ".join(html.unescape(_TAGS.sub(" ", markup)).split())


def row(page: str, key: str) -> str:
    """The words of the element with this id, a row of a table or of a list."""
    found = re.search(rf'<(tr|li)[^>]* id="{key}".*?</\1>', page, re.DOTALL)
    assert found, f"no row {key}"
    return plain(found.group())


@contextmanager
def acme_trades(cast: Cast, monkeypatch: pytest.MonkeyPatch, **world: Any) -> Iterator[Acme]:
    """The world a minute after noon, with Acme in it."""
    with opened(**world) as scene:
        scene.minute()
        for name in _CLOCKS:
            monkeypatch.setattr(name, scene.clock.now)
        yield Acme(scene, cast)
