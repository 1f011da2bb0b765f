"""Reads of what authors have written and what waits for a review. A source is shown to its author and to staff, nobody else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from signalist.markets.models import Instrument
from signalist.strategies.gate_models import GateReport
from signalist.strategies.gate_reports import newest_report
from signalist.strategies.models import Strategy, StrategyVersion
from signalist.strategies.suspending import Suspension, suspensions
from signalist.strategies.version_models import VersionState, VersionStep
from tenants.doors import viewing
from tenants.models import Membership, User
from tenants.permissions import permits, within


@dataclass(frozen=True, slots=True)
class Written:
    """One strategy of an author: its newest version, and the newest that is published; None where there is none."""

    strategy: Strategy
    newest: StrategyVersion | None
    published: StrategyVersion | None


@dataclass(frozen=True, slots=True)
class VersionPage:
    """One version with everything that its author and its reviewer see; `is_shared` where it is shown because the author shares it."""

    version: StrategyVersion
    steps: tuple[VersionStep, ...]
    report: GateReport | None
    markets: tuple[str, ...]
    is_shared: bool
    suspended: tuple[Suspension, ...]


def written_by(author: User) -> list[Written]:
    """The strategies of an author, the newest first. Two queries."""
    strategies = list(Strategy.objects.filter(author=author).order_by("-created_at", "-pk"))
    versions: dict[int, list[StrategyVersion]] = {}
    for version in StrategyVersion.objects.filter(strategy__in=strategies).defer("source").order_by("-number"):
        versions.setdefault(version.strategy_id, []).append(version)
    return [
        Written(
            strategy,
            next(iter(versions.get(strategy.pk, [])), None),
            next((v for v in versions.get(strategy.pk, []) if v.state == VersionState.PUBLISHED), None),
        )
        for strategy in strategies
    ]


def strategy_for(membership: Membership, slug: str, permission: str) -> Strategy | None:
    """A strategy of the member's own, or one that its author has shared with them so far; None for every other.

    `permission` is `strategies.read` or `strategies.write`. An author may both, as long as their role writes strategies.
    """
    found = Strategy.objects.filter(slug=slug).first()
    if found is None or not (found.author_id == membership.user_id or permits(membership, permission, found)):
        return None
    return found


def shared_with(membership: Membership) -> list[Strategy]:
    """The strategies whose sources their authors have shared with the member."""
    with viewing(membership.tenant_id):
        return list(within(membership, "strategies.read", Strategy.objects.order_by("name", "pk")))


def versions_of(strategy: Strategy) -> list[StrategyVersion]:
    """Its versions without their sources, the newest first."""
    return list(strategy.versions.defer("source").order_by("-number"))


def version_page(reader: User, slug: str, number: int, sharing: Membership | None = None) -> VersionPage | None:
    """A version for its author, for staff once it was handed in, or for whom it is shared with in the workspace of `sharing`; None for
    everybody else. Five queries, one for each place where it is suspended, and one more where it may be shared."""
    version = (
        StrategyVersion.objects.filter(strategy__slug=slug, number=number).select_related("strategy__author").first()
    )
    if version is None:
        return None
    is_author = version.strategy.author_id == reader.pk
    is_reviewer = reader.is_staff and version.state != VersionState.DRAFT
    is_shared = not is_author and sharing is not None and permits(sharing, "strategies.read", version.strategy)
    if not (is_author or is_reviewer or is_shared):
        return None
    steps = VersionStep.objects.filter(version=version).select_related("by").order_by("at", "pk")
    markets, suspended = market_names(version), tuple(suspensions(version))
    return VersionPage(version, tuple(steps), newest_report(version.pk), markets, is_shared, suspended)


def in_review() -> list[StrategyVersion]:
    """What waits for a reviewer, the oldest first."""
    waiting = StrategyVersion.objects.filter(state=VersionState.REVIEW).select_related("strategy__author")
    return list(waiting.defer("source").order_by("created_at", "pk"))


def market_names(version: StrategyVersion) -> tuple[str, ...]:
    """Where it shall run, for a reader."""
    known = Instrument.objects.in_bulk([market[0] for market in version.markets])
    return tuple(f"{known[key]} {code}" for key, code in version.markets if key in known)


def instruments_to_run_on() -> Sequence[Instrument]:
    """The instruments that a strategy may be written for."""
    return list(Instrument.objects.filter(is_active=True).order_by("venue", "symbol"))
