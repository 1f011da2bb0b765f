"""The wire between the engine and a strategy's process: length-prefixed binary frames, and nothing that is ever executed.

Both sides read this file; the child loads it by path, so it imports only the standard library. A frame is a header (kind, the number
of the request that it belongs to, length of the body) and a body:

 LOAD, DECLARED, BIND, BOUND, SETUP, FAILED    UTF-8 JSON; SETUP (source and values, for the next run) is not answered
 LAST, ALL                                    n as u64, then the closes as int64[n] and open, high, low, close, volume as float64[n]
 ROW                                          one bar: four flag bytes, six float64
 ARRAYS                                       which columns follow, as u64 (a bit for each of the names below, numbers first), then
                                              those: float64[n] of each number that the strategy says, n bytes of each flag

Numbers are little-endian. What a strategy does not say is not sent: of what it could say most say a third.
"""

from __future__ import annotations

import struct
from enum import IntEnum

HEADER = struct.Struct("<BIQ")
COUNT = struct.Struct("<Q")
SAID = struct.Struct("<Q")
# To the process that children are forked from: bytes of memory, seconds of processor time. From it: a child's id, then its end; an id
# below zero is the number of the error for which there is no child.
START = struct.Struct("<Qd")
STATUS = struct.Struct("<i")
ROW_BODY = struct.Struct("<4?6d")
CANDLE_COLUMNS = ("time", "open", "high", "low", "close", "volume")
FLAG_COLUMNS = ("enter_long", "exit_long", "enter_short", "exit_short")
NUMBER_COLUMNS = ("stop_long", "target_long", "stop_short", "target_short", "strength", "confidence")
ARRAY_COLUMNS = NUMBER_COLUMNS + FLAG_COLUMNS

# What the child says about itself is short: declarations, or one failure.
TEXT_LIMIT = 65_536

ONE_PIECE = 65_536

# The child ends with this status when its end of the channel no longer works.
CHANNEL_LOST = 71


class Frame(IntEnum):
    """The kinds of frames."""

    SETUP = 1
    LOAD = 2
    DECLARED = 3
    BIND = 4
    BOUND = 5
    LAST = 6
    ROW = 7
    ALL = 8
    ARRAYS = 9
    FAILED = 10


def arrays_size(bars: int, said: int = 2 ** len(ARRAY_COLUMNS) - 1) -> int:
    """Bytes in the body of ARRAYS with the columns `said`, of all where not told."""
    return SAID.size + sum(width(name) * bars for name in said_columns(said))


def said_columns(said: int) -> list[str]:
    """The columns whose bits are set, in the order in which they follow. Raises ValueError for a bit of no column."""
    if said >> len(ARRAY_COLUMNS):
        raise ValueError("a bit of no column")
    return [name for bit, name in enumerate(ARRAY_COLUMNS) if said >> bit & 1]


def width(name: str) -> int:
    """Bytes that a column takes for one bar."""
    return 1 if name in FLAG_COLUMNS else 8


def pieces(parts: list[bytes | memoryview]) -> list[bytes | memoryview]:
    """What to hand to the socket one after the other: a small message as one piece, a large one without copying it."""
    return parts if sum(len(part) for part in parts) > ONE_PIECE else [b"".join(parts)]
