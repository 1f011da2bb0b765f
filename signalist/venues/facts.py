"""What a venue says of an account and of its key, for sessions that can be asked: what the key may do, how the account is run, and what it
pays."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class KeyRights:
    """What a venue lets a key do, in our words ("read", "trade", "withdraw", or the venue's own for what has none), and the address that
    it saw us come from, "" where it does not say."""

    rights: frozenset[str]
    seen_from: str = ""


@runtime_checkable
class TellsRights(Protocol):
    """A session that can be asked what its key may do."""

    async def rights(self) -> KeyRights:
        """The rights of the key as they are now. Raises BadCredential where it is no longer one."""
        ...


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """How a venue runs an account, in words for people, "" for what it does not tell: how much the account may ask (`tier`), against what
    it trades (`margin`), and how it holds what it buys (`held_as`). `problem` is a sentence about what cannot be traded with as it is.
    All of it is read, and nothing of it ever changed by us."""

    tier: str = ""
    margin: str = ""
    held_as: str = ""
    problem: str = ""


@runtime_checkable
class TellsFacts(Protocol):
    """A session that can be asked how its venue runs the account."""

    async def facts(self) -> AccountFacts:
        """As it is now."""
        ...


@dataclass(frozen=True, slots=True)
class FeeRates:
    """What an order costs, as fractions of its value: one that takes, and one that rested first."""

    taker: Decimal
    maker: Decimal


@runtime_checkable
class TellsFees(Protocol):
    """A session whose venue tells what this very account pays, which sinks with what it has traded."""

    async def fees(self, symbols: Collection[str]) -> Mapping[str, FeeRates]:
        """By symbol, of as many of these as one question takes; what the venue does not know is left out. Raises VenueError."""
        ...
