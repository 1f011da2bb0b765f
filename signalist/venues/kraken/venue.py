"""Kraken's spot market behind the protocol that every venue speaks.

Stops and targets rest at Kraken as `stop-loss` and `take-profit`; each locks what it would sell, so that one of them rests and the other is
watched. What is sold comes out of stock: a spot account cannot go short, whatever an order says. Kraken's switch that cancels everything
when we fall silent is not used: it would take the stops down with the rest.
"""

from __future__ import annotations

from collections.abc import Callable

from signalist.domain.orders import OrderType
from signalist.venues.base import Capabilities, Session
from signalist.venues.kraken import protocol, stream_orders
from signalist.venues.kraken.account import Key
from signalist.venues.kraken.client import Client, Signer
from signalist.venues.kraken.desk import Desk
from signalist.venues.kraken.parse import KRAKEN
from signalist.venues.kraken.session import KrakenSession
from signalist.venues.transport.sockets import LinkTerms

# Four looks four seconds apart go on for twelve: longer than a request may still be carried out after it was sent (`answer_within`), with
# two for the listing, of whose delay Kraken says nothing. A look asks twice, of fifteen calls of which one comes back in three.
CAPABILITIES = Capabilities(
    order_types=frozenset(OrderType),
    order_identity="client_id",
    amend=True,
    nets=True,
    reduce_only=False,
    looks=4,
    look_interval=4.0,
    answer_within=10.0,
    reserves_exits=True,
    holds_stock=True,
    batch=stream_orders.MOST_ADDED,
)


class KrakenVenue:
    """Opens accounts at Kraken. `key_of` tells an account's key; `over_stream`: orders go over the private stream where it is joined."""

    code = KRAKEN

    def __init__(
        self,
        client: Client,
        key_of: Callable[[str], Key],
        *,
        stream_at: str = protocol.PRIVATE_STREAM,
        terms: LinkTerms | None = None,
        capabilities: Capabilities = CAPABILITIES,
        over_stream: bool = True,
    ) -> None:
        self.client, self.capabilities, self._over_stream = client, capabilities, over_stream
        self._key_of, self._stream_at, self._terms = key_of, stream_at, terms or LinkTerms()
        self._desks: dict[str, Desk] = {}

    def open(self, account_ref: str) -> Session:
        """A session. Raises BadCredential where what is stored is no key."""
        key = self._key_of(account_ref)
        signer = Signer(key.key, protocol.key_bytes(key.secret))
        # Also where its desk is still here: another engine may have had the account meanwhile, and taken nonces above ours.
        self.client.opened(signer)
        desk = self._desks.get(account_ref)
        currency = key.currency.upper()
        if desk is None or (desk.signer, desk.currency) != (signer, currency):
            desk = self._desks[account_ref] = Desk(self.client, signer, currency, self._stream_at, self._terms)
            desk.trading.wanted = self._over_stream
        return KrakenSession(desk, self.capabilities.answer_within)

    async def close(self) -> None:
        """Close all streams and connections."""
        for desk in self._desks.values():
            await desk.close()
        await self.client.close()
