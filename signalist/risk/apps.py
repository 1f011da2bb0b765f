"""The app's registration."""

from __future__ import annotations

from django.apps import AppConfig


class RiskConfig(AppConfig):
    name = "signalist.risk"

    def ready(self) -> None:
        """Keep what the house halts in the kill switch's history."""
        from signalist.risk.house_halts import keep
        from signalist.trading.halting import house_halted

        house_halted.connect(keep, dispatch_uid="risk.house_halts")
