"""The venues that accounts can be connected to in this installation, and what each asks for.

A venue is added here when the code can trade there; only what stands here can be chosen on a page. What a key is made of is data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from django.conf import settings

from signalist.clock import SystemClock
from signalist.venues.base import Venue
from signalist.venues.errors import BadCredential
from signalist.venues.kraken.account import Key
from signalist.venues.kraken.client import Client as KrakenClient
from signalist.venues.kraken.parse import KRAKEN
from signalist.venues.kraken.protocol import is_here, streams_of
from signalist.venues.kraken.venue import KrakenVenue
from signalist.venues.loopback.client import Client
from signalist.venues.loopback.venue import LOOPBACK, LoopbackVenue
from signalist.venues.paper.venue import PAPER
from signalist.venues.transport.supplies import Supplies

FORBIDDEN = frozenset({"withdraw"})
"""Rights with which a key is refused: nothing here needs them, and whoever steals the key would have them."""
NEEDED = frozenset({"read", "trade"})


SecretsOf = Callable[[str], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Asked:
    """One thing that a venue's key is made of. `secret`: typed unseen."""

    name: str
    label: str
    secret: bool = True
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Connector:
    """A venue as a page offers it. `ref_of` tells the account that a key belongs to, or, where a key does not name its account
    (`names_account`), the key; `venue_with` opens accounts with secrets that come from a function of the account's name at the venue, and
    with what its engine remembers of the venue."""

    code: str
    name: str
    is_play_money: bool
    asks: tuple[Asked, ...]
    ref_of: Callable[[Mapping[str, str]], str]
    venue_with: Callable[[SecretsOf, Supplies], Venue]
    how: str = ""
    names_account: bool = True


def part(secrets: Mapping[str, str], name: str) -> str:
    """A part of a key. Raises BadCredential where it is not stored."""
    try:
        return secrets[name]
    except KeyError:
        raise BadCredential(f"The stored key has no {name!r}; enter it again.") from None


def _loopback(secrets_of: SecretsOf, supplies: Supplies) -> Venue:
    client = Client(settings.LOOPBACK_URL, SystemClock(), size=50, supplies=supplies)
    return LoopbackVenue(client, lambda ref: part(secrets_of(ref), "api_secret").encode())


_LOOPBACK = Connector(
    LOOPBACK,
    "Loopback (play money)",
    True,
    (
        Asked("api_key", "API key", secret=False, hint="The account's name at the venue"),
        Asked("api_secret", "API secret"),
    ),
    lambda secrets: secrets["api_key"],
    _loopback,
    "Make a key that may read and trade. One that may withdraw is refused.",
)


def _kraken(secrets_of: SecretsOf, supplies: Supplies) -> Venue:
    def key_of(ref: str) -> Key:
        secrets = secrets_of(ref)
        parts = (part(secrets, name) for name in ("api_key", "api_secret", "currency"))
        return Key(*(text.strip() for text in parts))

    client = KrakenClient(SystemClock(), supplies=supplies, base=settings.KRAKEN_URL)
    return KrakenVenue(client, key_of, stream_at=streams_of(settings.KRAKEN_URL)[1])


def _kraken_connector() -> Connector:
    return Connector(
        KRAKEN,
        "Kraken",
        is_here(settings.KRAKEN_URL),
        (
            Asked("api_key", "API key", secret=False, hint="The public part, which names the key"),
            Asked("api_secret", "Private key", hint="Kraken shows it once"),
            Asked("currency", "Currency", secret=False, hint="USD, EUR …: the money that is traded with"),
        ),
        lambda secrets: secrets["api_key"].strip(),
        _kraken,
        "At Kraken, make an API key that may query funds, query open and closed orders and trades, create and modify orders, cancel and "
        "close orders, and use the WebSocket interface. Leave withdrawing off: a key that may withdraw is refused. Bind it to the address "
        "of this server there.",
        names_account=False,
    )


def play_money_venues() -> frozenset[str]:
    """Venues at which nothing real is at stake, by what this installation serves now."""
    return frozenset({PAPER, LOOPBACK, *(code for code, one in connectors().items() if one.is_play_money)})


def connectors() -> dict[str, Connector]:
    """The venues that this installation serves, by code. A live one only where live accounts are allowed."""
    found = [_LOOPBACK] if settings.LOOPBACK_URL else []
    if settings.LIVE_ACCOUNTS_ALLOWED or is_here(settings.KRAKEN_URL):
        found.append(_kraken_connector())
    return {connector.code: connector for connector in found}
