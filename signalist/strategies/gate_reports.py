"""Puts versions through the publish gate and keeps what it says with them."""

from __future__ import annotations

import hashlib
from datetime import datetime

import numpy as np

from signalist.domain.candles import CandleArrays
from signalist.strategies.gate.checking import examine
from signalist.strategies.gate_models import GateReport
from signalist.strategies.models import StrategyVersion


def examined(
    version: StrategyVersion, now: datetime, candles: CandleArrays | None = None, seconds: int = 60
) -> GateReport:
    """Put a StrategyVersion through the gate and keep what it says. Raises CannotJudge; runs for seconds, so outside transactions."""
    report = examine(version.source, version.parameters, candles, seconds, promised=version.history)
    return GateReport.objects.create(
        version=version,
        passed=report.passed,
        checks=report.values()["checks"],
        candles="" if candles is None else _name(candles),
        checked_at=now,
    )


def newest_report(version_id: int) -> GateReport | None:
    """What the gate said last of a version; None where it was never asked."""
    return GateReport.objects.filter(version_id=version_id).order_by("-checked_at", "-pk").first()


def _name(candles: CandleArrays) -> str:
    digest = hashlib.sha256()
    for field in CandleArrays.__slots__:
        digest.update(np.ascontiguousarray(getattr(candles, field)).tobytes())
    return digest.hexdigest()
