"""How the simulated venue misbehaves: which fault is played on which request, drawn from the seed.

The venue keeps to what its `Capabilities` declare: an order that it has taken, or is about to take, is found at the last look at
the latest; only stops and targets may turn up when they have been given up. Everything else may go wrong, often at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from signalist.engine.simulation.dice import Dice
from signalist.venues.base import Capabilities
from signalist.venues.paper.venue import CAPABILITIES as PAPER_CAPABILITIES

CAPABILITIES: Capabilities = replace(PAPER_CAPABILITIES, looks=3, look_interval=2.0)
"""The paper venue's own, but that it needs three looks, two seconds apart, until an order that is not found never arrived."""
LONGEST_DELAY = 3.5
"""Seconds a request may be under way after its sender has given up on it: less than all looks together take."""
OVERDUE_BY = (10, 50)
"""Seconds after which a stop or target may turn up though it was given up."""


class Fault(StrEnum):
    """What goes wrong with one request."""

    NOT_SENT = "not sent"
    BUSY = "busy"
    LOST = "lost on the way"
    LATE = "arrives late"
    OVERDUE = "turns up later"
    ANSWER_LOST = "answer lost"
    TWICE = "arrives twice"
    SLOW = "overtaken by others"
    REFUSED = "refused"
    RACE = "filled before it"
    HIDDEN = "not found yet"
    SILENT = "venue silent"
    STALE = "reports late"
    REPEATED = "reports repeated"
    SHUFFLED = "reports in another order"
    OVERTAKEN = "reported before its answer"
    ENDED = "taken, and ended unfilled"
    PENDING = "cancel taken, and carried out later"
    LAPSED = "what was left of it has lapsed"
    SHUT = "cannot be opened"


_RATES: dict[str, tuple[tuple[Fault, float], ...]] = {
    "place": (
        (Fault.NOT_SENT, 0.01),
        (Fault.BUSY, 0.02),
        (Fault.LOST, 0.02),
        (Fault.LATE, 0.02),
        (Fault.OVERDUE, 0.01),
        (Fault.ANSWER_LOST, 0.03),
        (Fault.TWICE, 0.02),
        (Fault.REFUSED, 0.015),
        (Fault.SLOW, 0.10),
        (Fault.OVERTAKEN, 0.06),
        (Fault.ENDED, 0.03),
    ),
    "cancel": (
        (Fault.BUSY, 0.03),
        (Fault.LOST, 0.03),
        (Fault.LATE, 0.02),
        (Fault.ANSWER_LOST, 0.03),
        (Fault.RACE, 0.04),
        (Fault.SLOW, 0.10),
        (Fault.PENDING, 0.04),
    ),
    "amend": ((Fault.BUSY, 0.05), (Fault.LOST, 0.05), (Fault.ANSWER_LOST, 0.05), (Fault.REFUSED, 0.10)),
    "look_up": ((Fault.HIDDEN, 0.35), (Fault.LOST, 0.10)),
    "reports": (
        (Fault.LOST, 0.02),
        (Fault.STALE, 0.06),
        (Fault.REPEATED, 0.08),
        (Fault.SHUFFLED, 0.12),
        (Fault.SHUT, 0.01),
    ),
}
SILENCES = 0.03
"""How likely a venue falls silent towards an account in any one minute."""
LAPSES = 0.3
"""How likely what is left of a partly filled entry lapses at the venue."""
SHUTS = 0.12
"""How likely a new engine cannot open an account for a while: it has no key yet."""


@dataclass(slots=True)
class Weather:
    """What the venue is like in one seed; `fair` ends all misbehaviour."""

    dice: Dice
    fair: bool = False

    @property
    def roughness(self) -> float:
        """How much more, or less, than usual goes wrong in this seed."""
        return 0.2 + 1.2 * float(self.dice.number("roughness"))

    def fault(self, method: str, ref: str, key: str, nth: int, now: datetime) -> Fault | None:
        """What goes wrong with the `nth` request of `method` about `key` (an order, or an account's cursor)."""
        if self.fair:
            return None
        if self._silent(ref, now):
            return Fault.SILENT
        thrown, rough = float(self.dice.number("fault", method, key, nth)), self.roughness
        for fault, rate in _RATES[method]:
            thrown -= rate * rough
            if thrown < 0:
                return fault
        return None

    def delay(self, key: str, nth: int) -> timedelta:
        """How long a late request is under way."""
        return timedelta(seconds=LONGEST_DELAY * float(self.dice.number("delay", key, nth)))

    def overdue(self, key: str) -> timedelta:
        """How long a request is under way that has been given up by then."""
        return timedelta(seconds=self.dice.whole(*OVERDUE_BY, "overdue", key))

    def lapses(self, key: str) -> bool:
        """Whether what is left of this entry lapses."""
        return not self.fair and self.dice.chance(LAPSES * self.roughness, "lapses", key)

    def shut(self, ref: str, engine: int) -> timedelta:
        """How long the story's `engine`th engine cannot open this account when it begins."""
        shut = self.dice.chance(SHUTS * self.roughness, "shut", ref, engine)
        return self.shut_for(ref, engine) if shut else timedelta()

    def shut_for(self, ref: str, *key: object) -> timedelta:
        """How long an account that cannot be opened stays so."""
        return timedelta(seconds=self.dice.whole(2, 20, "shut for", ref, *key))

    def _silent(self, ref: str, now: datetime) -> bool:
        minute = now.replace(second=0, microsecond=0)
        return any(self._silent_since(ref, begun, now) for begun in (minute - timedelta(minutes=1), minute))

    def _silent_since(self, ref: str, minute: datetime, now: datetime) -> bool:
        key = ("silence", ref, minute.isoformat())
        if not self.dice.chance(SILENCES * self.roughness, *key):
            return False
        begun = minute + timedelta(seconds=self.dice.whole(0, 30, *key, "begin"))
        return begun <= now < begun + timedelta(seconds=self.dice.whole(3, 60, *key, "length"))
