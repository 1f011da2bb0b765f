"""Puts versions through the publish gate and keeps what it says with them."""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime

import numpy as np
from django.conf import settings

from signalist.domain.candles import CandleArrays
from signalist.domain.timeframes import timeframe
from signalist.markets.history import newest
from signalist.strategies.gate.checking import FEWEST
from signalist.strategies.gate.made_up import MadeUp
from signalist.strategies.gate.subject import Budget
from signalist.strategies.gate.trials import Trial, examine_on
from signalist.strategies.gate_models import GateReport
from signalist.strategies.models import StrategyVersion

# Of each timeframe of a version, as many of its own candles beyond its history; and of so many markets.
STORED = 1_000
MARKETS = 3


def examined(version: StrategyVersion, now: datetime) -> GateReport:
    """Put a StrategyVersion through the gate and keep what it says. Raises CannotJudge; runs for seconds, so outside transactions.

    It is tried on a made-up market of each timeframe that it shall run on, drawn for this check, and on stored candles of its own markets
    where there are enough. What they were stays in the report's `markets`.
    """
    trials = [*_made_up(version, now), *_stored(version)]
    report = examine_on(version.source, version.parameters, trials, Budget(), promised=version.history)
    return GateReport.objects.create(
        version=version,
        passed=report.passed,
        checks=report.values()["checks"],
        markets=[_values(trial) for trial in trials],
        checked_at=now,
    )


def newest_report(version_id: int) -> GateReport | None:
    """What the gate said last of a version; None where it was never asked."""
    return GateReport.objects.filter(version_id=version_id).order_by("-checked_at", "-pk").first()


def _made_up(version: StrategyVersion, now: datetime) -> list[Trial]:
    """A market of each timeframe. Nobody who does not have this installation's secret can reckon which it will be."""
    codes = list(dict.fromkeys(code for _, code in version.markets)) or ["1m"]
    trials = []
    for frame in map(timeframe, codes):
        text = f"gate {version.pk} {frame.code} {now.isoformat()}"
        seed = int.from_bytes(hmac.digest(settings.SECRET_KEY.encode(), text.encode(), "sha256")[:6])
        trials.append(Trial(f"made-up candles of {frame.code}", frame.seconds, MadeUp.drawn(seed, frame.seconds)))
    return trials


def _stored(version: StrategyVersion) -> list[Trial]:
    """The newest candles of the version's own markets, of the first that have enough."""
    trials: list[Trial] = []
    for number, (instrument_id, code) in enumerate(version.markets[: 2 * MARKETS], 1):
        candles = CandleArrays.of(newest(instrument_id, code, version.history + STORED))
        if len(candles) >= version.history + FEWEST and len(trials) < MARKETS:
            title = f"stored candles of its market {number}, {code}"
            trials.append(Trial(title, timeframe(code).seconds, candles=candles))
    return trials


def _values(trial: Trial) -> dict[str, object]:
    named = {"title": trial.title, "seconds": trial.seconds}
    if trial.candles is not None:
        return {**named, "candles": _name(trial.candles), "until": int(trial.candles.time[-1])}
    return {**named, "made_up": (trial.which or MadeUp()).values()}


def _name(candles: CandleArrays) -> str:
    digest = hashlib.sha256()
    for field in CandleArrays.__slots__:
        digest.update(np.ascontiguousarray(getattr(candles, field)).tobytes())
    return digest.hexdigest()
