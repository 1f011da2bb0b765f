"""What authors and reviewers change: versions are made as drafts, go through the gate and a review, are published and retired."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import OuterRef, Q, Subquery
from django_q.tasks import async_task

from signalist.audit.writing import record
from signalist.domain.errors import DomainError
from signalist.domain.strategies import StrategyManifest
from signalist.markets.models import Instrument
from signalist.sandbox.outcomes import Failed
from signalist.sandbox.process import StrategyProcess
from signalist.strategies.gate_reports import newest_report
from signalist.strategies.house import content_hash, is_house
from signalist.strategies.models import Schedule, Strategy, StrategyVersion
from signalist.strategies.selectors import forget_schedules
from signalist.strategies.sources import library_slugs
from signalist.strategies.version_models import NEXT, VersionState, VersionStep
from tenants.models import User

LONGEST_SOURCE = 200_000
# A job of the gate ends its runs by itself before; this ends what hangs all the same, before the job is given out again (Q_CLUSTER).
GATE_SECONDS = 80
# A version waits for the worker and is then at the gate for minutes at most: after this long nobody works on it any more.
STALE = timedelta(minutes=30)
JOB = "signalist.strategies.jobs.check_version"
NEWS = "signalist.trading.news.tell_followers"
_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")

Market = tuple[int, str]
"""Where a version shall run: the instrument's id and the timeframe's code."""


class Refused(DomainError):
    """What an author or reviewer asked for is refused; `field` names the part that it is about, `line` the line of the file."""

    def __init__(self, field: str, reason: str, line: int | None = None) -> None:
        super().__init__(reason)
        self.field = field
        self.line = line


def create(author: User, name: str, slug: str, description: str) -> Strategy:
    """A strategy without a version, which nobody is offered yet. Raises Refused."""
    if not _SLUG.fullmatch(slug) or len(slug) > 80:
        raise Refused("slug", "The address is made of small letters, digits and single dashes.")
    if slug in library_slugs():
        raise Refused("slug", f"{slug} is the name of one of the house's own strategies.")
    try:
        with transaction.atomic():
            strategy = Strategy.objects.create(slug=slug, name=name, description=description, author=author)
            _record("strategy.created", author, strategy.slug)
    except IntegrityError:
        raise Refused("slug", f"There is a strategy called {slug} already.") from None
    return strategy


def draft(
    strategy: Strategy, source: str, markets: Sequence[Market], changes: str, by: User, now: datetime
) -> StrategyVersion:
    """A new version of `source`, with the parameters' defaults; the draft there is, with the new `changes`, where else nothing differs.

    What is the same as a newest version on its way, or published, is refused; as a retired one, it is a new version. The file is loaded in
    the sandbox first. Raises Refused, with the line where the file is what is wrong.
    """
    manifest = declared(source)
    hashed, values = content_hash(source), dict(manifest.values)
    wanted = [list(market) for market in markets]
    with transaction.atomic():
        locked = Strategy.objects.select_for_update(no_key=True).get(pk=strategy.pk)
        newest = locked.versions.order_by("-number").first()
        if newest is not None and (newest.content_hash, newest.markets) == (hashed, wanted):
            if newest.state == VersionState.DRAFT:
                newest.changes = changes
                newest.save(update_fields=["changes"])
                return newest
            if newest.state != VersionState.RETIRED:
                state = newest.get_state_display().lower()
                raise Refused("source", f"Nothing differs from version {newest.number}, which is {state}.")
        version = StrategyVersion.objects.create(
            strategy=locked,
            number=newest.number + 1 if newest else 1,
            source=source,
            content_hash=hashed,
            parameters=values,
            history=manifest.history,
            created_at=now,
            state=VersionState.DRAFT,
            changes=changes,
            markets=wanted,
        )
        VersionStep.objects.create(version=version, state=VersionState.DRAFT, by=by, at=now)
        _record("strategy.version_made", by, str(version.strategy.slug), number=version.number, hash=hashed)
    return version


def declared(source: str) -> StrategyManifest:
    """What a file declares, loaded in the sandbox. Raises Refused with its line."""
    if len(source) > LONGEST_SOURCE:
        raise Refused("source", f"A strategy is at most {LONGEST_SOURCE} characters long.")
    with StrategyProcess(source, {}, house=is_house(source)) as process:
        manifest = process.manifest()
    if isinstance(manifest, Failed):
        raise Refused("source", manifest.message, manifest.line)
    return manifest


def submit(version: StrategyVersion, by: User, now: datetime) -> None:
    """Have a draft put through the gate by a worker; what passes goes to review. One of an author's at a time. Raises Refused."""
    with transaction.atomic():
        mine = Strategy.objects.select_for_update(no_key=True).filter(author=version.strategy.author_id)
        keys = list(mine.order_by("pk").values_list("pk", flat=True))
        pending = StrategyVersion.objects.filter(strategy__in=keys, state=VersionState.CHECKING).exclude(pk=version.pk)
        other = pending.select_related("strategy").defer("source").first()
        if other is not None:
            raise Refused(
                "", f"Version {other.number} of {other.strategy.name} is at the gate: wait until it is through."
            )
        if not version.markets:
            raise Refused("markets", "Choose a market first: a version without one would run nowhere.")
        _move(version, VersionState.CHECKING, by, now)
        key = version.pk
        StrategyVersion.objects.filter(pk=key).update(examined_until=None)
        transaction.on_commit(lambda: async_task(JOB, key, task_name="gate", timeout=GATE_SECONDS))


def publish(version: StrategyVersion, by: User, now: datetime, note: str = "") -> None:
    """Offer a version that the gate has passed; whoever follows an older one is asked. Raises Refused.

    `by` is staff, and neither the author nor who has written the version for them.
    """
    _reviewer(version, by)
    report = newest_report(version.pk)
    if report is None or not report.passed:
        raise Refused("", "The gate has not passed this version.")
    with transaction.atomic():
        _move(version, VersionState.PUBLISHED, by, now, note)
        known = Instrument.objects.in_bulk([market[0] for market in version.markets])
        for instrument_id, code in version.markets:
            if instrument_id in known:
                Schedule.objects.get_or_create(version=version, instrument_id=instrument_id, timeframe=code)
        transaction.on_commit(forget_schedules)
        key = version.pk
        transaction.on_commit(lambda: async_task(NEWS, key, task_name="news"))


def send_back(version: StrategyVersion, by: User, now: datetime, note: str) -> None:
    """Tell the author what is wrong with a version in review. Raises Refused."""
    _reviewer(version, by)
    if not note.strip():
        raise Refused("note", "Say what is wrong with it: the author reads that.")
    with transaction.atomic():
        _move(version, VersionState.DRAFT, by, now, note)


def retire(version: StrategyVersion, by: User, now: datetime, note: str = "") -> None:
    """Offer a published version no more. Who follows it goes on following it. Raises Refused."""
    with transaction.atomic():
        _move(version, VersionState.RETIRED, by, now, note)


def take_to_gate(version_id: int, now: datetime) -> StrategyVersion | None:
    """A version that waits for the gate, for the one worker that takes it; None where another has it, or it does not wait."""
    free = Q(examined_until=None) | Q(examined_until__lte=now)
    waiting = StrategyVersion.objects.filter(free, pk=version_id, state=VersionState.CHECKING)
    if not waiting.update(examined_until=now + timedelta(seconds=GATE_SECONDS)):
        return None
    return StrategyVersion.objects.select_related("strategy").get(pk=version_id)


def checked(version: StrategyVersion, now: datetime, *, passed: bool, note: str = "") -> None:
    """After the gate: to review, or back to the author."""
    with transaction.atomic():
        _move(version, VersionState.REVIEW if passed else VersionState.DRAFT, None, now, note)


def release_stale(now: datetime) -> int:
    """Give back to their authors what was handed in more than STALE before `now` and never came through; returns how many."""
    handed_in = VersionStep.objects.filter(version=OuterRef("pk"), state=VersionState.CHECKING).order_by("-at", "-pk")
    checking = StrategyVersion.objects.filter(state=VersionState.CHECKING).select_related("strategy").defer("source")
    stale = checking.annotate(since=Subquery(handed_in.values("at")[:1])).filter(since__lt=now - STALE)
    released = 0
    for version in stale.order_by("pk"):
        try:
            checked(version, now, passed=False, note="The gate did not finish. Hand it in again.")
            released += 1
        except Refused:
            continue  # it came through just now
    return released


def _reviewer(version: StrategyVersion, by: User) -> None:
    if not by.is_staff:
        raise Refused("", "Only staff reviews versions.")
    if version.strategy.author_id == by.pk:
        raise Refused("", "Nobody reviews a strategy of their own.")
    written = VersionStep.objects.filter(version=version).order_by("pk").first()
    if written is not None and written.by_id == by.pk:  # the author has shared the strategy with them
        raise Refused("", "Nobody reviews what they have written themselves.")


def _move(version: StrategyVersion, to: VersionState, by: User | None, now: datetime, note: str = "") -> None:
    """To the state `to`, from one that it may follow; two who move it at once do so once. Raises Refused."""
    before = [state for state, after in NEXT.items() if to in after]
    if not StrategyVersion.objects.filter(pk=version.pk, state__in=before).update(state=to):
        version.refresh_from_db(fields=["state"])
        raise Refused("", f"The version is {version.get_state_display().lower()}; reload the page.")
    version.state = to
    VersionStep.objects.create(version=version, state=to, by=by, note=note[:500], at=now)
    _record(f"strategy.version_{to.lower()}", by, version.strategy.slug, number=version.number)


def _record(action: str, by: User | None, target: str, **details: object) -> None:
    record(action, tenant_id=None, user_id=None if by is None else by.pk, target=target, details=details)
