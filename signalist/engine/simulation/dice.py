"""What looks random in a simulation: drawn from hash(seed, natural key), so that the order of work never changes a story."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar

from signalist.domain.matching import drawn
from signalist.domain.money import nearest_to

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Dice:
    """The dice of one seed. Every throw names what it is about; the same words give the same number."""

    seed: int

    def number(self, *key: object) -> Decimal:
        """A number in [0, 1)."""
        return drawn(self.seed, *map(str, key))

    def chance(self, probability: float, *key: object) -> bool:
        """Whether something of this probability happens."""
        return self.number(*key) < Decimal(str(probability))

    def whole(self, low: int, high: int, *key: object) -> int:
        """A whole number from `low` to `high`, both included."""
        return low + int(self.number(*key) * (high - low + 1))

    def between(self, low: str, high: str, step: str, *key: object) -> Decimal:
        """A multiple of `step` between two numbers."""
        return nearest_to(Decimal(low) + self.number(*key) * (Decimal(high) - Decimal(low)), Decimal(step))

    def pick(self, choices: Sequence[T], *key: object) -> T:
        """One of several, each as likely as the others."""
        return choices[int(self.number(*key) * len(choices))]
