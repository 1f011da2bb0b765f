"""Moving a subscription from the version that it follows to a newer one: only when its owner says so, on what was shown."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from signalist.accounts.models import Account
from signalist.strategies.gate_reports import newest_report
from signalist.strategies.models import Schedule, StrategyVersion
from signalist.strategies.selectors import forget_schedules
from signalist.strategies.version_models import VersionState
from signalist.trading.actions import tell
from signalist.trading.models import Subscription, SubscriptionStatus
from signalist.trading.terms import Refused
from tenants.models import User

# What the gate says about the risk of a version, and how a reader calls it.
_RISKS = (("stops", "Stops"), ("walkforward", "On made-up markets"), ("resources", "Time and memory"))


@dataclass(frozen=True, slots=True)
class Change:
    """One line of what differs: None where there was, or is, no such thing."""

    name: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class NewerVersion:
    """A newer version that runs on the same candles, and how it differs from the one that is followed."""

    schedule: Schedule
    version: StrategyVersion
    followed: StrategyVersion
    parameters: tuple[Change, ...]
    risk: tuple[Change, ...]

    @property
    def tables(self) -> tuple[tuple[str, tuple[Change, ...]], ...]:
        """Both, each with its title."""
        return (("Parameters", self.parameters), ("Risk, as the gate saw it", self.risk))


def newer(subscription: Subscription) -> NewerVersion | None:
    """The newest published version after the one that a live subscription follows, on its candles, or None.

    One query without, three with one, where the subscription brings its schedule and version along.
    """
    pinned = subscription.schedule
    if pinned is None or subscription.status == SubscriptionStatus.ENDED:
        return None
    schedule = (
        Schedule.objects.filter(
            version__strategy=subscription.strategy_id,
            version__state=VersionState.PUBLISHED,
            version__number__gt=pinned.version.number,
            instrument=pinned.instrument_id,
            timeframe=pinned.timeframe,
            is_active=True,
        )
        .select_related("version")
        .defer("version__source")
        .order_by("-version__number")
        .first()
    )
    if schedule is None:
        return None
    before, after = pinned.version, schedule.version
    return NewerVersion(schedule, after, before, _parameters(before, after), _risk(before, after))


def asks(subscription: Subscription, found: NewerVersion | None) -> bool:
    """Whether its owner is still to be asked."""
    return found is not None and found.version.number > (subscription.declined_version or 0)


def move(subscription: Subscription, number: int, now: datetime, by: User) -> None:
    """Follow version `number`, the one that was shown, from the next candle on. Raises Refused when that is not the newest any more.

    What is open stays as it was sized and protected; its exits come from the new version.
    """
    with transaction.atomic():
        stored, found = _found(subscription, number)
        stored.schedule, stored.declined_version = found.schedule, None
        stored.save(update_fields=["schedule", "declined_version"])
        changes = {"version": [str(found.followed.number), str(number)]}
        tell("subscription_changed", stored, now, by, changes=changes)
        transaction.on_commit(forget_schedules)


def stay(subscription: Subscription, number: int, now: datetime, by: User) -> None:
    """Go on with the version that is followed, and not be asked about `number` again. Raises Refused."""
    with transaction.atomic():
        stored, _ = _found(subscription, number)
        stored.declined_version = number
        stored.save(update_fields=["declined_version"])
        tell("subscription_changed", stored, now, by, changes={"declined_version": ["", str(number)]})


def _found(subscription: Subscription, number: int) -> tuple[Subscription, NewerVersion]:
    # The engine decides under this lock: a decision sees the move whole or comes before it.
    Account.objects.select_for_update(no_key=True).get(pk=subscription.account_id)
    stored = Subscription.objects.select_related("schedule__version").get(pk=subscription.pk)
    found = newer(stored)
    if found is None or found.version.number != number:
        raise Refused("", "There is another version by now; look at what differs first.")
    return stored, found


def _parameters(before: StrategyVersion, after: StrategyVersion) -> tuple[Change, ...]:
    names = dict.fromkeys((*before.parameters, *after.parameters))
    lines = [Change(name, before.parameters.get(name), after.parameters.get(name)) for name in names]
    lines.append(Change("history", before.history, after.history))
    return tuple(line for line in lines if line.before != line.after)


def _risk(before: StrategyVersion, after: StrategyVersion) -> tuple[Change, ...]:
    """What the gate said of both. Two queries."""
    told = [_details(version) for version in (before, after)]
    return tuple(Change(words, told[0].get(name), told[1].get(name)) for name, words in _RISKS)


def _details(version: StrategyVersion) -> dict[str, str]:
    report = newest_report(version.pk)
    return {} if report is None else {check["name"]: check["detail"] for check in report.checks}
