"""Run a stranger's strategy in another process: candles in, signals out, nothing else. No Django.

`StrategyProcess` is the only door; its failures are values, never exceptions.
"""

from __future__ import annotations

from .outcomes import Failed, FailureKind, Ran, RanWhole
from .process import StrategyProcess

__all__ = ["Failed", "FailureKind", "Ran", "RanWhole", "StrategyProcess"]
