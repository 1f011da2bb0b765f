"""What the loopback venue can be told to do wrong: by account or for all, for some methods, for ever or a number of times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from signalist.venues.loopback.protocol import AMEND, CANCEL, LOOK_UP, PLACE, PRIVATE

ALL = "*"
_METHODS = {
    "bad_key": PRIVATE,
    "ban": PRIVATE,
    "slow": PRIVATE,
    "empty": frozenset({PLACE}),
    "delisted": frozenset({PLACE}),
    "lost": frozenset({PLACE}),
    "error_after": frozenset({PLACE}),
    "drop": frozenset({PLACE}),
    "late": frozenset({PLACE}),
    "not_found": frozenset({LOOK_UP}),
    "partial": frozenset({PLACE}),
    "mute": frozenset[str](),
    "twice": frozenset[str](),
    "shuffled": frozenset[str](),
    "gaps": frozenset[str](),
}
KINDS = tuple(_METHODS)
"""
bad_key      the key is refused (401)
ban          429 with Retry-After of `seconds`, unseen
slow         carried out after `seconds` instead of the usual latency
lost         the connection is dropped before anything is carried out
empty        carried out, and the answer is empty
error_after  carried out, and the answer is 500
drop         carried out, and the connection is dropped
late         carried out at once, and answered after `seconds`
delisted     the instrument is not known any more
not_found    an order that is there is not found
partial      market orders are filled in two parts
mute         the stream says nothing of the account
twice        the stream says everything of the account twice
shuffled     the stream says every other thing of the account later than what follows it
gaps         the stream leaves out every other thing of the account
"""
SECONDS = {"ban": 30.0, "slow": 30.0, "late": 1.0}
_NAMES = {"place": PLACE, "cancel": CANCEL, "amend": AMEND, "look_up": LOOK_UP}


@dataclass(slots=True)
class Fault:
    """One of them. `times` is how often it still happens, None for ever."""

    kind: str
    methods: frozenset[str]
    seconds: float
    times: int | None = None

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Fault:
        """As the control endpoint is told. Raises ValueError where that means nothing."""
        kind = str(told["kind"])
        if kind not in _METHODS:
            raise ValueError(f"There is no fault {kind!r}; there are {', '.join(KINDS)}.")
        methods = frozenset(_NAMES.get(name, f"/v1/{name}") for name in told.get("methods") or ())
        if not methods <= PRIVATE:
            raise ValueError(f"There are no such methods: {', '.join(sorted(methods - PRIVATE))}.")
        times = told.get("times")
        return cls(
            kind,
            methods or _METHODS[kind],
            float(told.get("seconds") or SECONDS.get(kind, 0.0)),
            None if times is None else int(times),
        )


class Faults:
    """The faults in force."""

    def __init__(self) -> None:
        self._of: dict[str, list[Fault]] = {}

    def clear(self) -> None:
        """Do everything right again."""
        self._of.clear()

    def add(self, refs: Sequence[str], fault: Mapping[str, Any]) -> None:
        """Have a fault with each of these accounts, counted for each by itself; `ALL` means every account."""
        for ref in refs:
            self._of.setdefault(ref, []).append(Fault.of(fault))

    def play(self, ref: str, path: str, *kinds: str) -> Fault | None:
        """The fault of one of `kinds` that happens to this request, counted down; None where there is none."""
        if not self._of:
            return None
        faults: list[Fault] = [*self._of.get(ref, ()), *self._of.get(ALL, ())]
        for fault in faults:
            if fault.kind in kinds and path in fault.methods and fault.times != 0:
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return None

    def stream(self, ref: str, kind: str) -> bool:
        """Whether the stream plays `kind` with this account."""
        if not self._of:
            return False
        return any(fault.kind == kind for fault in (*self._of.get(ref, ()), *self._of.get(ALL, ())))
