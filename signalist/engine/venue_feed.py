"""The engine's feed of one venue: the market data service, and what tells pages of its prices."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from functools import partial

from signalist.clock import Clock
from signalist.engine import price_sources
from signalist.engine.database import Database
from signalist.engine.market_feeds import wanted_of
from signalist.engine.price_teller import PriceTeller
from signalist.markets.service import MarketService
from signalist.venues.market_data import MarketData
from signalist.venues.transport.supplies import Supplies


async def feed(
    source: MarketData, clock: Clock, database: Database, engine: uuid.UUID, supplies: Callable[[str], Supplies]
) -> None:
    """Feed from a venue's public side until cancelled, where no other engine does; beside everything else where the database has room.
    `supplies` are those of a venue's adapters, by its code."""
    mine, others = database.beside(), price_sources.others_of(source.code, clock, supplies)
    try:
        service = MarketService(source, clock, mine, engine, partial(wanted_of, source.code), others)
        telling = asyncio.create_task(PriceTeller(service.board, service.routes).keep())
        try:
            await service.keep()
        finally:
            telling.cancel()
            await asyncio.wait([telling])
    finally:
        for other in others:
            await other.close()
        if mine is not database:
            mine.close()
