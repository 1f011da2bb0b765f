"""How seldom Python looks for cycles of garbage in a process that trades."""

from __future__ import annotations

import gc

OFTEN = (50_000, 10, 10)
"""So many more objects made than given back until the youngest are looked at; then every tenth time the next older ones, too. Python's own
700 is for small programs: a fan-out makes so many every few milliseconds, and nearly all of them live until it is over."""


def look_seldom() -> None:
    """Leave what is loaded by now out of every look for good, and look as seldom as `OFTEN` says; for a process whose modules are loaded.

    Rows, requests and answers are given back without a look; only cycles, such as those of an exception with its frames, wait for one.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*OFTEN)
