"""What can come of a run. A failure is an expected outcome with a kind, a sentence for the author and, where known, a line."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from signalist.domain.strategies import SignalArrays, SignalRow


class FailureKind(StrEnum):
    """Why a run gave no signals."""

    SYNTAX = "syntax"  # the file is not Python
    DECLARATION = "declaration"  # the file lacks or misdeclares `parameters`, `history` or `signals`
    PARAMETERS = "parameters"  # the values given do not fit the declared parameters
    FORBIDDEN = "forbidden"  # it asked for what no strategy gets: an import, a file, the network, a process
    RAISED = "raised"  # the strategy's code raised
    TIMED_OUT = "timed_out"
    BAD_OUTPUT = "bad_output"  # an answer that means nothing, or a broken or forged reply
    TOO_MUCH_OUTPUT = "too_much_output"  # printed more than allowed
    MEMORY = "memory"
    REFUSED = "refused"  # this machine cannot hold a stranger's code, so it was not run
    DIED = "died"  # the process ended, or could not be started


@dataclass(frozen=True, slots=True)
class Failed:
    """No signals, and why. `line` is the line of the strategy's file."""

    kind: FailureKind
    message: str
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Ran:
    """The signals of the newest bar, exits first. `duration_ms` is the round trip to a warm process; 0 where none was needed."""

    rows: tuple[SignalRow, ...]
    duration_ms: float


@dataclass(frozen=True, slots=True)
class RanWhole:
    """The checked signals of every bar, for a backtest."""

    signals: SignalArrays
    duration_ms: float
