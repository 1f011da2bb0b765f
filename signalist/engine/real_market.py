"""The demonstration on real prices: instruments of the paper venue that follow Kraken's, and who trades them with play money.

The rules are the paper venue's own, near to what Kraken asks; orders go to the paper venue, and prices and candles come from Kraken's
public side, for which nobody needs a key. There is no past: trading begins with the candles of now.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

from django.conf import settings

from signalist.clock import Clock, utc_now
from signalist.engine import demo_cast
from signalist.engine.publishing import published
from signalist.markets import feed_books
from signalist.markets.feed_models import Feed
from signalist.markets.models import AssetPair, Instrument
from signalist.markets.wanted import BASE
from signalist.strategies.models import Schedule
from signalist.venues.kraken.client import Client
from signalist.venues.kraken.market import KrakenMarket
from signalist.venues.kraken.parse import KRAKEN
from signalist.venues.kraken.protocol import streams_of
from signalist.venues.market_data import MarketData
from signalist.venues.paper.venue import PAPER
from signalist.venues.transport.supplies import Supplies
from tenants.models import User

# Symbol at Kraken, price step, quantity step, smallest quantity.
FOLLOWED = (
    ("BTC/USD", "0.1", "0.00001", "0.00005"),
    ("ETH/USD", "0.01", "0.0001", "0.001"),
    ("SOL/USD", "0.01", "0.001", "0.02"),
    ("XRP/USD", "0.00001", "0.01", "1.65"),
)
LEVERAGE = Decimal(5)


def source(clock: Clock, supplies: Supplies) -> MarketData:
    """Kraken's public side, at the address that the settings name. `supplies` are those that accounts there are opened with: the venue
    counts one address, whoever asks."""
    client = Client(clock, supplies=supplies, base=settings.KRAKEN_URL)
    return KrakenMarket(client, streams_of(settings.KRAKEN_URL)[0])


def instruments() -> list[Instrument]:
    """The paper venue's instruments that follow Kraken's; made where they are missing."""
    fed_from = feed_books.source_of(KRAKEN)
    found = []
    for symbol, tick, lot, smallest in FOLLOWED:
        base, _, quote = symbol.partition("/")
        rules = {"tick": Decimal(tick), "lot": Decimal(lot), "min_quantity": Decimal(smallest)}
        pair, _ = AssetPair.objects.get_or_create(code=symbol)
        about = {"pair": pair, "base": base, "quote": quote, "kind": "PERPETUAL", "max_leverage": LEVERAGE}
        instrument, _ = Instrument.objects.get_or_create(
            venue=PAPER, symbol=symbol, defaults={**about, **rules, "min_notional": Decimal(5)}
        )
        defaults = {"source": fed_from, "symbol": symbol, "timeframe": BASE.code}
        Feed.objects.get_or_create(instrument=instrument, defaults=defaults)
        found.append(instrument)
    return found


def set_up(say: Callable[[str], None], author: User) -> None:
    """Each strategy on each of these markets' minutes, and who follows them. Safe to repeat."""
    schedules = _offered(instruments(), author)
    since = utc_now()
    followed: set[int] = set()
    for schedule in schedules:
        if schedule.instrument_id not in followed:  # the paper venue keeps one net position in each
            demo_cast.demo_follows(schedule, since)
            followed.add(schedule.instrument_id)
    say(f"The demonstration follows Kraken's prices of {', '.join(symbol for symbol, *_ in FOLLOWED)}.")


def _offered(on: Sequence[Instrument], author: User) -> list[Schedule]:
    """Each offer on each market; the first of each market's is another strategy, so that several are followed."""
    versions = [
        published(offer.slug, offer.parameters, name=offer.name, description=offer.description, author=author)
        for offer in demo_cast.OFFERS
    ]
    found = []
    for number, instrument in enumerate(on):
        for turn in range(len(versions)):
            version = versions[(number + turn) % len(versions)]
            schedule, _ = Schedule.objects.get_or_create(version=version, instrument=instrument, timeframe=BASE.code)
            found.append(schedule)
    return found
