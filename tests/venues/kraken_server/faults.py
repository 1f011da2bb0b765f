"""What the server can be told to do wrong: for some methods, a number of times or for ever."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

KINDS = frozenset(
    {
        "lost",  # the connection ends before anything is carried out
        "drop",  # carried out, and the connection ends
        "520",  # carried out, and the gateway says 520 in HTML
        "empty",  # carried out, and the answer is empty
        "malformed",  # carried out, and the answer is half of one
        "slow",  # carried out after `seconds`
        "late",  # carried out, and answered after `seconds`
        "unanswered",  # carried out, and never answered, while the connection stands
        "ack_first",  # answered before the stream tells of it, which is else told first
        "error",  # refused with `text`, unseen
        "pending",  # a cancel is taken, and the order stands on
        "hidden",  # orders that are there are not told
        "mute",  # the stream says nothing
        "twice",  # the stream says everything twice
        "gap",  # the stream leaves a message out
        "wrong_checksum",  # the next book's checksum is wrong
        "corrupted",  # a quantity in the next book's update is not the venue's, whose checksum is right
    }
)


@dataclass(slots=True)
class Fault:
    """One of them; `times` None is for ever."""

    kind: str
    methods: frozenset[str]
    times: int | None
    seconds: float
    text: str


class Faults:
    """The faults in force."""

    def __init__(self) -> None:
        self._all: list[Fault] = []

    def add(self, kind: str, *methods: str, times: int | None = 1, seconds: float = 0.0, text: str = "") -> None:
        """Have a fault with these methods (none: all)."""
        assert kind in KINDS, kind
        self._all.append(Fault(kind, frozenset(methods), times, seconds, text))

    def clear(self) -> None:
        """Do everything right again."""
        self._all.clear()

    def play(self, method: str, kinds: Collection[str]) -> Fault | None:
        """The fault that happens now, counted down."""
        for fault in self._all:
            if fault.kind in kinds and (not fault.methods or method in fault.methods) and fault.times != 0:
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return None
