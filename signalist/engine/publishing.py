"""Publishes strategies of the house's own library as versions that can be scheduled."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from signalist.domain.errors import DomainError
from signalist.sandbox.outcomes import Failed
from signalist.sandbox.process import StrategyProcess
from signalist.strategies.house import is_house
from signalist.strategies.models import Strategy, StrategyVersion
from signalist.strategies.version_models import VersionState
from tenants.models import User

LIBRARY = Path(__file__).resolve().parent.parent / "strategies" / "library"


def published(
    slug: str,
    given: Mapping[str, object] | None = None,
    *,
    name: str = "",
    description: str = "",
    author: User | None = None,
) -> StrategyVersion:
    """The version of a strategy that has the library's source and the parameters `given`; made where there is none.

    A strategy that is not in the library is taken as it stands, at its newest version. `name`, `description` and `author` are those of
    a strategy that is new. Raises DomainError where there is none of that slug, or where it does not load.
    """
    strategy = Strategy.objects.filter(slug=slug).first()
    path = LIBRARY / f"{slug.replace('-', '_')}.py"
    if not path.is_file():
        offered = strategy.versions.filter(state=VersionState.PUBLISHED) if strategy else StrategyVersion.objects.none()
        version = offered.order_by("-number").first()
        if version is None:
            known = ", ".join(sorted(p.stem.replace("_", "-") for p in LIBRARY.glob("[a-z]*.py")))
            raise DomainError(f"There is no strategy {slug!r}; the library has {known}.")
        return version
    if strategy is None:
        strategy = Strategy.objects.create(
            slug=slug, name=name or slug.replace("-", " ").capitalize(), description=description, author=author
        )
    return _version(strategy, path.read_text(encoding="utf-8"), given or {})


def _version(strategy: Strategy, source: str, given: Mapping[str, object]) -> StrategyVersion:
    with StrategyProcess(source, given, house=is_house(source)) as process:
        manifest = process.manifest()
    if isinstance(manifest, Failed):
        raise DomainError(f"The strategy {strategy.slug!r} does not load: {manifest.message}.")
    content_hash, parameters = hashlib.sha256(source.encode()).hexdigest(), dict(manifest.values)
    versions = list(strategy.versions.order_by("number"))
    for version in versions:
        if version.content_hash == content_hash and version.parameters == parameters:
            return version
    return StrategyVersion.objects.create(
        strategy=strategy,
        number=versions[-1].number + 1 if versions else 1,
        source=source,
        content_hash=content_hash,
        parameters=parameters,
        history=manifest.history,
        state=VersionState.PUBLISHED,
    )
