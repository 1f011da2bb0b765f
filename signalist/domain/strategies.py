"""What a strategy declares and what it says: parameters with bounds, the bars it needs, and its signals bar by bar.

Live, the backtest and the publish gate share these values. A strategy's output is not trusted: whatever it may hold, it becomes
either rows that mean one thing or a SignalError that names the field and the bar.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import DomainError
from .signals import SignalKind

MAX_HISTORY = 10_000
MAX_PARAMETERS = 50
FARTHEST_LEVEL = 100.0
"""How many times the close a stop or target is at most: beyond it nothing is meant, and rows and ticks need not hold it."""
_LARGEST = float(np.finfo(np.float64).max)

ParameterValue = int | float | bool | str
Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]

FLAG_FIELDS = ("enter_long", "exit_long", "enter_short", "exit_short")
LEVEL_FIELDS = ("stop_long", "target_long", "stop_short", "target_short")
SCORE_FIELDS = ("strength", "confidence")
_WORDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text"}


class SignalError(DomainError):
    """A strategy's output that means nothing, with the field and the bar."""


@dataclass(frozen=True, slots=True)
class ParameterSpec:
    """One declared parameter. `type` is int, float, bool or str; bounds are inclusive and for numbers only; text names its choices."""

    name: str
    type: str
    default: ParameterValue
    minimum: float | None = None
    maximum: float | None = None
    help: str = ""
    choices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raise DomainError where the declaration itself makes no sense."""
        if not self.name.isidentifier():
            raise DomainError(f"The parameter name {self.name!r} is not a Python name.")
        if self.type not in _WORDS:
            raise DomainError(f"The parameter {self.name} has the type {self.type!r}; use int, float, bool or str.")
        bounds = [bound for bound in (self.minimum, self.maximum) if bound is not None]
        if bounds and self.type not in ("int", "float"):
            raise DomainError(f"The parameter {self.name} is {_WORDS[self.type]} and cannot have a min or max.")
        if any(
            isinstance(bound, bool) or not isinstance(bound, (int, float)) or not -_LARGEST <= bound <= _LARGEST
            for bound in bounds
        ):
            raise DomainError(f"The min and max of the parameter {self.name} must be finite numbers.")
        if len(bounds) == 2 and bounds[0] > bounds[1]:
            raise DomainError(f"The parameter {self.name} has a min of {bounds[0]} above its max of {bounds[1]}.")
        if bool(self.choices) != (self.type == "str"):
            raise DomainError(f"The parameter {self.name}: text declares its choices, and only text does.")
        self.checked(self.default)

    def checked(self, value: object) -> ParameterValue:
        """`value` as this parameter's type, or DomainError that says what is allowed. A whole number is a float; text is no number."""
        typed = self._typed(value)
        if typed is None:
            wanted = f"one of {', '.join(self.choices)}" if self.choices else _WORDS[self.type]
            raise DomainError(f"The parameter {self.name} must be {wanted}, not {value!r}.")
        if self.minimum is not None and typed < self.minimum:  # type: ignore[operator]  # only numbers have bounds
            raise DomainError(f"The parameter {self.name} must be at least {self.minimum:g}, not {typed}.")
        if self.maximum is not None and typed > self.maximum:  # type: ignore[operator]
            raise DomainError(f"The parameter {self.name} must be at most {self.maximum:g}, not {typed}.")
        return typed

    def _typed(self, value: object) -> ParameterValue | None:
        """`value` as this parameter's type; None where it is of another, or a number that no float holds."""
        if self.type == "bool":
            return value if isinstance(value, bool) else None
        if self.type == "str":
            return value if isinstance(value, str) and value in self.choices else None
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return None
        if self.type == "int":
            return value if isinstance(value, int) and abs(value) < 2**63 else None
        return float(value) if -_LARGEST <= value <= _LARGEST else None


def resolve(specs: Iterable[ParameterSpec], given: Mapping[str, object]) -> dict[str, ParameterValue]:
    """The value of every parameter: the given one, checked, or its default. Raises DomainError, also for names nobody declared."""
    declared = {spec.name: spec for spec in specs}
    unknown = sorted(set(given) - set(declared))
    if unknown:
        raise DomainError(f"There is no parameter {unknown[0]}; the strategy declares {', '.join(declared) or 'none'}.")
    return {name: spec.checked(given.get(name, spec.default)) for name, spec in declared.items()}


@dataclass(frozen=True, slots=True)
class StrategyManifest:
    """A strategy's declarations with `values` for all of its parameters, and the number of closed candles that it then looks at."""

    parameters: tuple[ParameterSpec, ...]
    values: Mapping[str, ParameterValue]
    history: int

    def __post_init__(self) -> None:
        if len(self.parameters) > MAX_PARAMETERS:
            raise DomainError(f"A strategy declares at most {MAX_PARAMETERS} parameters, not {len(self.parameters)}.")
        if not 1 <= self.history <= MAX_HISTORY:
            raise DomainError(f"A strategy's history is 1 to {MAX_HISTORY} bars, not {self.history}.")


@dataclass(frozen=True, slots=True)
class SignalRow:
    """One signal of one bar. Stop and target are in the quote currency of the candles; strength and confidence are 0 to 1."""

    kind: SignalKind
    stop: float | None = None
    target: float | None = None
    strength: float | None = None
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class BarSignals:
    """What a strategy says at one bar; nan is "none". Levels count where their entry is set, scores where any flag is."""

    enter_long: bool = False
    exit_long: bool = False
    enter_short: bool = False
    exit_short: bool = False
    stop_long: float = math.nan
    target_long: float = math.nan
    stop_short: float = math.nan
    target_short: float = math.nan
    strength: float = math.nan
    confidence: float = math.nan

    def rows(self, bar: str, close: float = math.nan) -> tuple[SignalRow, ...]:
        """The signals of this bar, exits first; `close` is its close, nan where nobody knows it.

        Raises SignalError that names `bar` and the field that makes no sense.
        """
        for one, other in (("enter_long", "enter_short"), ("enter_long", "exit_long"), ("enter_short", "exit_short")):
            if getattr(self, one) and getattr(self, other):
                raise SignalError(f"{one} and {other} are both true at {bar}; a bar says one or the other.")
        if not (self.enter_long or self.exit_long or self.enter_short or self.exit_short):
            return ()
        scores = {name: self._score(name, bar) for name in SCORE_FIELDS}
        rows = []
        if self.exit_long:
            rows.append(SignalRow(SignalKind.EXIT_LONG, **scores))
        if self.exit_short:
            rows.append(SignalRow(SignalKind.EXIT_SHORT, **scores))
        if self.enter_long:
            rows.append(
                SignalRow(
                    SignalKind.LONG,
                    self._level("stop_long", bar, close),
                    self._level("target_long", bar, close),
                    **scores,
                )
            )
        if self.enter_short:
            rows.append(
                SignalRow(
                    SignalKind.SHORT,
                    self._level("stop_short", bar, close),
                    self._level("target_short", bar, close),
                    **scores,
                )
            )
        return tuple(rows)

    def _level(self, name: str, bar: str, close: float) -> float | None:
        value: float = getattr(self, name)
        if math.isnan(value):
            return None
        if not 0 < value < math.inf:
            raise SignalError(f"{name} at {bar} is {value:g}; a price is finite and above zero, and nan means none.")
        if value > FARTHEST_LEVEL * close:  # never so for a close of nan
            raise SignalError(
                f"{name} at {bar} is {value:g}; it is at most {FARTHEST_LEVEL:g} times the close of {close:g}."
            )
        return value

    def _score(self, name: str, bar: str) -> float | None:
        value: float = getattr(self, name)
        if math.isnan(value):
            return None
        if not 0 <= value <= 1:
            raise SignalError(f"{name} at {bar} is {value:g}; it lies between 0 and 1, and nan means none.")
        return value


@dataclass(frozen=True, slots=True)
class SignalArrays:
    """What a strategy says at every bar: the fields of BarSignals as arrays of one length n, oldest bar first."""

    enter_long: Flags
    exit_long: Flags
    enter_short: Flags
    exit_short: Flags
    stop_long: Floats
    target_long: Floats
    stop_short: Floats
    target_short: Floats
    strength: Floats
    confidence: Floats

    def __len__(self) -> int:
        return len(self.enter_long)

    @classmethod
    def of(cls, n: int, given: Mapping[str, NDArray[Any] | None]) -> SignalArrays:
        """The arrays `given` by field name for `n` bars; what is missing or None is never true or none.

        Raises SignalError for a name that is no field, another length, or values that are not booleans or numbers.
        """
        names = [field.name for field in fields(cls)]
        unknown = sorted(set(given) - set(names))
        if unknown:
            raise SignalError(f"{unknown[0]} is no signal field; the fields are {', '.join(names)}.")
        return cls(**{name: _column(name, given.get(name), n) for name in names})

    def at(self, index: int) -> BarSignals:
        """What is said at one bar (a negative index counts from the newest)."""
        return BarSignals(*(getattr(self, field.name)[index].item() for field in fields(self)))

    def cut(self, begin: int, end: int) -> SignalArrays:
        """What is said at the bars from index `begin` to before `end`."""
        return SignalArrays(*(getattr(self, field.name)[begin:end] for field in fields(self)))

    def silent_before(self, bar: int) -> SignalArrays:
        """These signals with none at the bars below `bar`: what live says too, which waits for its whole history."""
        silenced: dict[str, Any] = {name: _silenced(getattr(self, name), bar) for name in FLAG_FIELDS}
        return replace(self, **silenced)

    def checked(self, times: NDArray[np.int64], closes: Floats | None = None) -> SignalArrays:
        """These signals, or SignalError for the first bar that makes no sense; `times` are when the bars close, in epoch seconds, and
        `closes` the prices there, None where nobody knows them."""
        bad = (
            (self.enter_long & self.enter_short)
            | (self.enter_long & self.exit_long)
            | (self.enter_short & self.exit_short)
        )
        for name in LEVEL_FIELDS:
            at = np.flatnonzero(self.enter_long if name.endswith("long") else self.enter_short)
            level = getattr(self, name)[at]
            wrong = ~np.isnan(level) & ~((level > 0) & (level < np.inf))
            if closes is not None:
                wrong |= level > FARTHEST_LEVEL * closes[at]
            bad[at[wrong]] = True
        at = np.flatnonzero(self.enter_long | self.exit_long | self.enter_short | self.exit_short)
        for name in SCORE_FIELDS:
            score = getattr(self, name)[at]
            bad[at[~np.isnan(score) & ~((score >= 0) & (score <= 1))]] = True
        if bad.any():
            first = int(np.argmax(bad))
            close = math.nan if closes is None else float(closes[first])
            self.at(first).rows(bar_name(first, int(times[first])), close)
        return self


def last_row(signals: SignalArrays, times: NDArray[np.int64]) -> tuple[SignalRow, ...]:
    """The signals of the newest bar, exits before entries: what live acts on. Raises SignalError; no bars say nothing."""
    return signals.at(-1).rows(bar_name(len(signals) - 1, int(times[-1]))) if len(signals) else ()


def bar_name(index: int, close: int) -> str:
    """How messages name a bar: its index in the candles that were given, and its close."""
    try:
        return f"bar {index} ({datetime.fromtimestamp(close, UTC):%Y-%m-%dT%H:%M:%SZ})"
    except (OverflowError, OSError, ValueError):
        return f"bar {index}"


def _column(name: str, values: NDArray[Any] | None, n: int) -> NDArray[Any]:
    if values is None:
        # One value that is seen at every bar: what nobody says takes no room, and cannot be written to.
        return np.broadcast_to(np.False_ if name in FLAG_FIELDS else np.float64(np.nan), n)
    if values.ndim != 1 or len(values) != n:
        raise SignalError(f"{name} has the shape {values.shape}; it must hold one value for each of the {n} candles.")
    wanted = "b" if name in FLAG_FIELDS else "fiu"
    if values.dtype.kind not in wanted:
        kind = "booleans" if name in FLAG_FIELDS else "numbers"
        raise SignalError(f"{name} holds values of type {values.dtype}; it must hold {kind}.")
    return values if name in FLAG_FIELDS else values.astype(np.float64, copy=False)


def _silenced(flags: Flags, bar: int) -> Flags:
    kept = flags.copy()
    kept[:bar] = False
    return kept
