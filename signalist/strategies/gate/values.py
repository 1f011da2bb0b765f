"""What the gate says: one check after the other, each passed or refused with a sentence and, where known, a line of the file."""

from __future__ import annotations

from dataclasses import dataclass

from signalist.sandbox import Failed, FailureKind

NAMES = ("parse", "imports", "determinism", "lookahead", "warmup", "resources", "stops", "walkforward")


@dataclass(frozen=True, slots=True)
class Check:
    """One check's answer. `line` is the line of the strategy's file."""

    name: str
    passed: bool
    detail: str
    line: int | None = None

    def values(self) -> dict[str, object]:
        """As it is printed and stored."""
        return {"name": self.name, "passed": self.passed, "detail": self.detail, "line": self.line}


@dataclass(frozen=True, slots=True)
class Report:
    """All checks, in the order of NAMES; a check that could not be tried has not passed."""

    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)

    def values(self) -> dict[str, object]:
        """As it is printed and stored."""
        return {"passed": self.passed, "checks": [check.values() for check in self.checks]}


class CannotJudge(Exception):
    """The gate could not be run; nothing is said about the strategy."""


class Refused(Exception):
    """Ends a check with the reason why the strategy does not pass it."""

    def __init__(self, detail: str, line: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.line = line


class Broke(Exception):
    """A run gave no signals. What used too much is the check `resources`' to tell, whichever check was running."""

    def __init__(self, failed: Failed) -> None:
        super().__init__(failed.message)
        self.failed = failed

    @property
    def used_too_much(self) -> bool:
        return self.failed.kind in (FailureKind.TIMED_OUT, FailureKind.MEMORY, FailureKind.TOO_MUCH_OUTPUT)
