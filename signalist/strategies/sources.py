"""Where a strategy's source comes from: a file, the house's library, or a version that was published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from django.db import DatabaseError

from signalist.domain.errors import DomainError
from signalist.strategies.models import StrategyVersion

LIBRARY = Path(__file__).parent / "library"


@dataclass(frozen=True, slots=True)
class StrategySource:
    """A strategy's text, what to call it, and the parameter values that its version holds. `house`: it is a file of our library."""

    name: str
    source: str
    parameters: Mapping[str, object] = field(default_factory=dict)
    house: bool = False


def find_source(given: str) -> StrategySource:
    """The strategy that `given` names: the path of a file that ends in .py, else a slug, whose newest version counts, else the library's.

    Raises DomainError that says what there is.
    """
    if given.endswith(".py"):
        return StrategySource(Path(given).stem, _text(Path(given)))
    try:
        version = StrategyVersion.objects.filter(strategy__slug=given, state="PUBLISHED").order_by("-number").first()
    except DatabaseError:  # a database without tables has no strategies; the library is there all the same
        version = None
    if version is not None:
        return StrategySource(given, version.source, dict(version.parameters))
    path = LIBRARY / f"{given.replace('-', '_')}.py"
    if path.is_file() and path.parent == LIBRARY:
        return StrategySource(given, _text(path), house=True)
    known = ", ".join(library_slugs())
    raise DomainError(
        f"There is no strategy {given!r}: give a file that ends in .py or a slug; the library has {known}."
    )


def library_slugs() -> list[str]:
    """The slugs of the strategies that come with the house."""
    return sorted(path.stem.replace("_", "-") for path in LIBRARY.glob("[a-z]*.py"))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise DomainError(f"{path} is not UTF-8 text.") from None
    except OSError as error:
        raise DomainError(f"{path} cannot be read: {error.strerror or error}.") from None


def given_parameter(text: str) -> tuple[str, object]:
    """NAME=VALUE as a name and a value of the type that it looks like; the declared parameter has the last word. Raises ValueError."""
    name, given, value = text.partition("=")
    if not given or not name:
        raise ValueError(f"give NAME=VALUE, not {text!r}")
    return name, _typed(value)


def _typed(value: str) -> object:
    if value in ("true", "True", "false", "False"):
        return value.lower() == "true"
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value
