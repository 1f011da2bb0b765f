"""Acme's world with the marketplace's pages on its clock, and what the forms of a subscription are filled in with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.core.cache import cache

from signalist.accounts.models import Account
from signalist.strategies.models import Schedule
from tests.cast import Cast
from tests.pages.acme import Acme, acme_trades

_CLOCKS = ("public", "subscribing", "following")


@contextmanager
def acme_follows(cast: Cast, monkeypatch: pytest.MonkeyPatch, **world: Any) -> Iterator[Acme]:
    """A minute after noon, with nothing kept of what was on offer before."""
    cache.clear()
    with acme_trades(cast, monkeypatch, **world) as acme:
        for pages in _CLOCKS:
            monkeypatch.setattr(f"signalist.marketplace.pages.{pages}.present", acme.scene.clock.now)
        yield acme


def filled_in(chosen: Account, schedule: Schedule, **changes: str) -> dict[str, str]:
    """A form that says: 100,000 at a risk of 1%, ten times leverage, and yes."""
    form = {
        "account": str(chosen.public_id),
        "market": f"{schedule.pk}-{schedule.instrument_id}",
        "capital": "100,000.00",
        "sizing": "risk",
        "risk": "1",
        "leverage": "10",
        "consent": "on",
    }
    return {name: value for name, value in (form | changes).items() if value}
