"""What venues list: when each was last asked what can be traded there, and what has changed of its markets since then."""

from __future__ import annotations

from decimal import Decimal

from django.db import models

from signalist.display.numbers import percent


class VenueListing(models.Model):
    """A venue's own list of its markets, as it was last heard. Somebody who wants it anew writes `asked_at`; the engine that feeds from
    the venue answers within seconds, and writes everything else.

    `listed`: how many markets it named. `problem`: why the last list was not heard, or not believed; "" where it was.
    """

    code = models.CharField(max_length=20, unique=True)
    asked_at = models.DateTimeField(null=True, blank=True)
    tried_at = models.DateTimeField(null=True, editable=False)
    heard_at = models.DateTimeField(null=True, editable=False)
    listed = models.PositiveIntegerField(default=0, editable=False)
    problem = models.CharField(max_length=200, blank=True, editable=False)

    def __str__(self) -> str:
        return f"{self.code} {self.listed}"


class InstrumentChange(models.Model):
    """One rule of an instrument that its venue has changed (`name`, a field of the instrument), and when we heard of it.

    `before` and `after` are text; `before` is "" where the instrument was made then.
    """

    instrument = models.ForeignKey(
        "markets.Instrument", on_delete=models.CASCADE, db_index=False, related_name="changes"
    )
    at = models.DateTimeField()
    name = models.CharField(max_length=20)
    before = models.CharField(max_length=40, blank=True)
    after = models.CharField(max_length=40, blank=True)

    class Meta:
        indexes = [models.Index(fields=["instrument", "-at"], name="instrument_change_newest")]

    def __str__(self) -> str:
        return f"{self.instrument_id} {self.name} {self.before} → {self.after}"

    @property
    def name_word(self) -> str:
        """What has changed, for people."""
        words = {
            "tick": "price step",
            "lot": "quantity step",
            "min_notional": "smallest worth",
            "min_quantity": "smallest quantity",
            "trading": "trading there",
        }
        return words.get(self.name, self.name.replace("_", " "))

    @property
    def before_word(self) -> str:
        """What it was, for people."""
        return self._word(self.before)

    @property
    def after_word(self) -> str:
        """What it is since then, for people."""
        return self._word(self.after)

    def _word(self, said: str) -> str:
        if said and self.name.endswith("_fee"):
            return percent(Decimal(said))
        return trading_word(said) if self.name == "trading" else said


def trading_word(code: str) -> str:
    """What may be done in a market, for people."""
    return {"online": "Open", "closed": "Halted"}.get(code, code.replace("_", " ").capitalize())
