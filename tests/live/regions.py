"""Regions for tests: what was said to a tenant, what is news to all, and prices."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from signalist.events.models import Event
from signalist.events.outbox import Fact, emit
from signalist.live.regions import Region
from signalist.markets.models import LatestPrice
from tenants.doors import across_tenants, acting_for

TEMPLATES = Path(__file__).resolve().parent / "templates"
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def _words(tenant_id: int) -> dict[str, Any]:
    said = Event.objects.filter(kind="word_said").order_by("id")
    return {"words": [event.payload["word"] for event in said]}


def _long(tenant_id: int) -> dict[str, Any]:
    """As much text as the last word asks for, every part of it different."""
    said = Event.objects.filter(kind="word_said").order_by("id").last()
    size = int(said.payload["word"]) if said else 0
    return {"text": "".join(f"{n:07d} " for n in range(size // 8))}


def _rows(tenant_id: int) -> dict[str, Any]:
    """Rows as the last word orders them: `b=2,a=1`."""
    said = Event.objects.filter(kind="word_said").order_by("id").last()
    pairs = [pair.partition("=") for pair in said.payload["word"].split(",")] if said else []
    return {"rows": [{"id": name, "value": value} for name, sign, value in pairs if sign]}


def _news() -> dict[str, Any]:
    with across_tenants("tests"):
        return {"news": Event.objects.filter(kind="news_broke").count()}


def _prices(tenant_id: int) -> dict[str, Any]:
    return {"prices": list(LatestPrice.objects.order_by("pk").values_list("price", flat=True))}


WORDS = Region("test-words", _words, kinds=frozenset({"word_said"}))
NEWS = Region("test-news", _news, kinds=frozenset({"news_broke"}), common=True)
LONG = Region("test-long", _long, kinds=frozenset({"word_said"}))
ROWS = Region("test-rows", _rows, kinds=frozenset({"word_said"}))
PRICES = Region("test-prices", _prices, prices=True)


def say(tenant_id: int, *words: str) -> None:
    """Something happens to a tenant, once for each word."""
    with acting_for(tenant_id):
        emit([Fact("word_said", tenant_id, NOON, {"word": word}) for word in words])


def tell_all(kind: str = "news_broke") -> None:
    """Something happens that belongs to nobody."""
    with across_tenants("tests", one_transaction=True):
        emit([Fact(kind, None, NOON, {})])
