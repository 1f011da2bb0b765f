"""Whether a strategy means what it says: the same again, without the candles that follow, and from the window that it declares."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from signalist.domain.strategies import SignalArrays
from signalist.sandbox import StrategyProcess
from signalist.strategies.gate.differences import first_difference, rows_differ
from signalist.strategies.gate.subject import Subject, run_all, run_last
from signalist.strategies.gate.values import Refused

EXACT = 1e-9
# What an average that never quite forgets leaves of its first bars is nothing to a price.
NEARLY = 1e-6
STRETCH = 400
STRETCHES = 3
PLACES = 60
CUTS = 8
AROUND = 50
AFTER = 250


def determinism(subject: Subject) -> str:
    """Two fresh processes say the same over all candles. Keeps what they say. Raises Refused."""
    with subject.started() as process:
        first = run_all(process, subject.candles)
    with subject.started() as process:
        second = run_all(process, subject.candles)
    found = first_difference(first, second, 0.0)
    if found is not None:
        raise Refused(
            f"Two runs over the same candles differ at {subject.name_of(found.bar)}: {found.field} is {found.one} in the first and "
            f"{found.other} in the second."
        )
    subject.whole = first
    flags = (subject.whole.enter_long, subject.whole.enter_short)
    return (
        f"Two runs say the same over {len(subject.candles)} candles, with {sum(int(f.sum()) for f in flags)} entries."
    )


def lookahead(subject: Subject) -> str:
    """What is said at a bar stays when more candles follow: every prefix of some stretches and around entries, and of the whole a few.

    Raises Refused with the first bar that changes.
    """
    compared = 0
    # What runs the prefixes has seen nothing but earlier candles, so there is nothing for it to remember; a whole is run afresh.
    with subject.started() as afresh, subject.started(kept=True) as process:
        for begin, end, lengths in _stretches(subject):
            whole = run_all(afresh, subject.cut(begin, end))
            compared += _prefixes(subject, process, begin, whole, lengths)
    with subject.started() as process:
        compared += _prefixes(subject, process, 0, subject.whole, _cuts(len(subject.candles)))
    return f"{compared} prefixes say what the whole says."


def warmup(subject: Subject) -> str:
    """The newest `history` candles alone say what all candles say. Raises Refused with the first bar that differs."""
    bars = _bars_to_try(subject)
    with subject.started(kept=True, live=True) as process:
        for bar in bars:
            said, _ = run_last(process, subject.cut(bar + 1 - subject.history, bar + 1))
            wanted = subject.whole.at(bar).rows(subject.name_of(bar))
            apart = rows_differ(said, wanted, NEARLY)
            if apart is not None:
                raise Refused(
                    f"At {subject.name_of(bar)} the declared {subject.history} candles and all candles say {apart}: history is too short."
                )
    return f"At {len(bars)} bars the declared {subject.history} candles say what all candles say."


def _stretches(subject: Subject) -> Iterator[tuple[int, int, Sequence[int]]]:
    """The candles [begin, end) that are run as a whole, and the lengths of their prefixes that are compared with it.

    In the order of where the prefixes end.
    """
    n, length, shortest = len(subject.candles), subject.history + STRETCH, max(subject.history, 1)
    if n <= subject.history + STRETCH * STRETCHES:
        yield 0, n, range(shortest, n)
        return
    found: list[tuple[int, int, Sequence[int]]] = []
    for part in range(STRETCHES):
        begin = (n - length) * part // (STRETCHES - 1)
        found.append((begin, begin + length, range(shortest, length)))
    for bar in _entries(subject, PLACES):
        begin = max(0, bar + 1 - subject.history - AROUND)
        if not any(other + lengths[0] <= bar + 1 <= other + lengths[-1] for other, _, lengths in found[:STRETCHES]):
            found.append((begin, min(n, bar + AFTER), [bar + 1 - begin]))
    yield from sorted(found, key=lambda stretch: stretch[0] + stretch[2][0])


def _cuts(bars: int) -> list[int]:
    return [max(bars * cut // (CUTS + 1), 1) for cut in range(1, CUTS + 1)]


def _prefixes(
    subject: Subject, process: StrategyProcess, begin: int, whole: SignalArrays, lengths: Sequence[int]
) -> int:
    for length in lengths:
        found = first_difference(run_all(process, subject.cut(begin, begin + length)), whole, EXACT)
        if found is not None:
            raise Refused(
                f"It looks ahead: at {subject.name_of(begin + found.bar)} {found.field} is {found.one} with the candles up to "
                f"{subject.name_of(begin + length - 1)} and {found.other} once later ones are there."
            )
    return len(lengths)


def _bars_to_try(subject: Subject) -> list[int]:
    """A stretch of bars in a row, and those of entries and exits, evenly over the candles; each has its whole history before it."""
    first, n = max(subject.history - 1, 0), len(subject.candles)
    said = subject.whole
    speaking = np.flatnonzero(said.enter_long | said.enter_short | said.exit_long | said.exit_short)
    chosen = {*range(max(first, n - STRETCH), n), *_evenly(speaking[speaking >= first], STRETCH)}
    return sorted(chosen)


def _entries(subject: Subject, most: int) -> list[int]:
    return _evenly(np.flatnonzero(subject.whole.enter_long | subject.whole.enter_short), most)


def _evenly(bars: np.ndarray[tuple[int], np.dtype[np.intp]], most: int) -> list[int]:
    if len(bars) <= most:
        return [int(bar) for bar in bars]
    return [int(bars[len(bars) * place // most]) for place in range(most)]
