"""What an account at Kraken is: what opens it, what its key may do (found by trying), its tier, and what it holds. Nothing is changed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal

from signalist.clock import monotonic
from signalist.domain.instruments import Trading
from signalist.venues.base import NetPosition
from signalist.venues.errors import BadCredential, NoAnswer, Refused
from signalist.venues.facts import AccountFacts, FeeRates, KeyRights
from signalist.venues.kraken import parse
from signalist.venues.kraken.desk import Desk
from signalist.venues.kraken.protocol import Closed, NoRight
from signalist.venues.kraken.symbols import Pairs

PAIRS_AT_ONCE = 50
"""Of which fees are asked for in one question."""
JUST_NOW = 30.0
"""Seconds for which an answer shows that the key may ask so."""
NOWHERE = "O00000-00000-000000"
"""An order id that is nobody's."""


@dataclass(frozen=True, slots=True)
class Key:
    """What opens an account: the key's two parts, and the currency that it is counted in."""

    key: str
    secret: str
    currency: str = "USD"

    def __post_init__(self) -> None:
        if not (2 < len(self.currency) < 9 and self.currency.isalnum()):
            raise BadCredential("The currency of the account is its short name, USD or EUR for example.")

    def __repr__(self) -> str:
        return f"Key({self.key[:4]}…)"


async def rights_of(desk: Desk, within: float) -> KeyRights:
    """What the key may do: Kraken has no list of it. Nothing is placed, cancelled or withdrawn."""
    reads = [await _may(desk, within, "BalanceEx"), await _may(desk, within, "OpenOrders")]
    reads += [await _may(desk, within, "ClosedOrders"), await _may(desk, within, "GetWebSocketsToken")]
    trades = [
        await _may(desk, within, "AddOrder", await _harmless(desk)),
        await _may(desk, within, "CancelOrder", {"txid": NOWHERE}),
    ]
    withdraws = await _may(desk, within, "WithdrawMethods")
    found = {"read": all(reads), "trade": all(trades), "withdraw": withdraws}
    return KeyRights(frozenset(word for word, may in found.items() if may))


async def facts_of(desk: Desk) -> AccountFacts:
    """How Kraken runs the account. The tier is known once the stream of its orders was joined, which names the counter's limit."""
    pairs = (await desk.client.pairs()).all
    is_paid_in = any(pair.spec.quote == desk.currency for pair in pairs)
    tier = desk.client.tier_of(desk.signer).name
    return AccountFacts(
        tier=tier if desk.client.is_told_tier(desk.signer) else f"{tier}, until Kraken says another",
        margin="Cash, no margin: orders are sent without leverage, and nothing is borrowed",
        held_as="Spot: what is bought is held as coins, and only what is held is sold",
        problem="" if is_paid_in else f"No market at Kraken is paid in {desk.currency}; name another currency.",
    )


async def fees_of(desk: Desk, symbols: Collection[str], within: float) -> Mapping[str, FeeRates]:
    """What the account pays in these markets. Raises VenueError."""
    pairs = await desk.client.pairs()
    wanted = sorted(pair.altname for pair in pairs.all if pair.symbol in symbols)[:PAIRS_AT_ONCE]
    if not wanted:
        return {}
    said = await desk.ask("TradeVolume", within, {"pair": ",".join(wanted)})
    if not isinstance(said, Mapping):
        raise NoAnswer("The venue's answer about fees was none of its protocol.")
    return parse.fees(said, pairs)


def held_of(held: Mapping[str, tuple[Decimal, Decimal]], pairs: Pairs, currency: str) -> tuple[NetPosition, ...]:
    """What is held of assets that are traded against the account's currency; how it came there is not asked."""
    traded = {pair.spec.base: pair.symbol for pair in pairs.all if pair.spec.quote == currency}
    return tuple(NetPosition(traded[asset], total) for asset, (total, _) in held.items() if total and asset in traded)


async def _may(desk: Desk, within: float, method: str, fields: Mapping[str, object] | None = None) -> bool:
    """Whether the key may call this: whatever else is refused about it, it was not the right. What was answered just now need not be
    asked."""
    if monotonic() < desk.allowed.get(method, float("-inf")) + JUST_NOW:
        return True
    try:
        await desk.client.private(desk.signer, method, fields, within=within)
    except NoRight:
        return False
    except BadCredential:
        raise
    except (Refused, Closed):
        return True
    return True


async def _harmless(desk: Desk) -> Mapping[str, object]:
    """An order that is looked at and never placed."""
    pairs = (await desk.client.pairs()).all
    # Of the account's own money where there is one, and of a market that takes orders.
    pair = min(pairs, key=lambda one: (one.spec.quote != desk.currency, one.spec.trading is not Trading.ONLINE))
    fields = {"pair": pair.key, "type": "buy", "ordertype": "limit", "volume": pair.spec.min_quantity}
    return fields | {"price": pair.spec.tick, "validate": True}
