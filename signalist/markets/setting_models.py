"""What staff has set in the place of a default. Nothing here has a tenant."""

from __future__ import annotations

from django.db import models


class MarketSetting(models.Model):
    """One value, by its name in `markets.adjusting`; where there is no row its default holds."""

    name = models.CharField(max_length=40, unique=True)
    value = models.IntegerField()
    changed_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} = {self.value}"
