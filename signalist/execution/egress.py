"""What engines behind one address may ask of venues together: each an equal part of what the venue allows the address, and never more.

Each says in its own row which part it takes. It gives up at once what it has too much of, and takes more only of what nobody else has on
record, so that a new engine asks nothing before the others have made room, and what a dead one had is free once it counts as dead. What
a credential may ask needs no sharing: only the engine that holds the account asks with it, and the lease moves it.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import ceil

from signalist.clock import Clock
from signalist.db.units import unit
from signalist.execution.engines import living_engines
from signalist.execution.models import EngineProcess


def share(engine: EngineProcess, clock: Clock) -> int:
    """Look at who shares this engine's address; returns of how many parts one is its (1: all of it, 0: nothing yet).

    A larger part is its only if it is still free after it was put on record: of two engines that reach for it at the same moment one at
    least sees the other.
    """
    among, asked = _look(engine, clock)
    return _look(engine, clock)[0] if asked else among


def _look(engine: EngineProcess, clock: Clock) -> tuple[int, bool]:
    """Which part is its now, and whether it has put a larger one on record."""
    with unit("engine.egress"):
        entries = {one.pk: one for one in living_engines(clock) if one.egress == engine.egress}
        mine = entries.pop(engine.pk, None)
        if mine is None:  # it has ended, or counts as dead: its next heartbeat comes first
            return 0, False
        others = [one.egress_among for one in entries.values()]
        wanted = part(others)
        raised = _fraction(wanted) > _fraction(mine.egress_among)
        if wanted != mine.egress_among:
            EngineProcess.objects.filter(pk=engine.pk).update(egress_among=wanted)
    if not raised:
        return wanted, False
    return (mine.egress_among if _fits(mine.egress_among, others) else 0), True


def part(others: Sequence[int]) -> int:
    """Of how many parts of an address's budget one may be taken beside `others`, who have taken one of so many each (0: nothing yet): one
    for each engine, or as little as is left; 0 where nothing is.

    >>> part([]), part([1]), part([2]), part([0, 3]), part([2, 3])
    (1, 0, 2, 3, 6)
    """
    left = 1 - sum(map(_fraction, others))
    return 0 if left <= 0 else max(len(others) + 1, ceil(1 / left))


def _fits(among: int, others: Sequence[int]) -> bool:
    return _fraction(among) + sum(map(_fraction, others)) <= 1


def _fraction(among: int) -> Fraction:
    return Fraction(1, among) if among else Fraction(0)
