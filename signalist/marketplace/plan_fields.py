"""The protection plan's part of the terms form: people type R, percents and minutes; what comes out is a plan."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django import forms

from signalist.domain.money import plain
from signalist.domain.protection import LARGEST_TRAIL, LONGEST_MINUTES, SMALLEST_TRAIL, Plan, Rung, plan_error

HUNDRED = Decimal(100)
_RUNG = re.compile(r"(\d{1,3}(?:\.\d{1,4})?)\s*R?\s*[:\s]\s*(\d{1,3}(?:\.\d{1,6})?)\s*%?", re.IGNORECASE)
_FORM_NAMES = {"break_even": "break_even", "trail": "trail", "ladder": "target_ladder", "minutes": "longest_minutes"}


class LadderField(forms.CharField):
    """Typed as `1R 50%, 2R 25%`, cleaned to rungs."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=120, required=False, **kwargs)
        self.widget.attrs |= {"autocomplete": "off", "placeholder": "1R 50%, 2R 25%"}

    def clean(self, value: Any) -> tuple[Rung, ...]:
        rungs = []
        for part in re.split(r"[,;\n]", super().clean(value) or ""):
            if not part.strip():
                continue
            found = _RUNG.fullmatch(part.strip())
            if found is None:
                raise forms.ValidationError("Write it as 1R 50%, 2R 25%: the gain in R, then the share.")
            rungs.append(Rung(Decimal(found[1]), Decimal(found[2]) / HUNDRED))
        return tuple(rungs)


def minutes_field() -> forms.IntegerField:
    """How long a position may live."""
    return forms.IntegerField(
        label="Close after",
        required=False,
        min_value=1,
        max_value=LONGEST_MINUTES,
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
        help_text="However it stands then",
    )


MOST_TRAIL = LARGEST_TRAIL * HUNDRED


def chosen_plan(cleaned: Mapping[str, Any]) -> Plan:
    """The plan of a form's cleaned values; what was not valid is left out."""
    return Plan(
        cleaned.get("break_even"),
        cleaned.get("trail"),
        cleaned.get("target_ladder") or (),
        cleaned.get("longest_minutes"),
    )


def plan_problem(cleaned: Mapping[str, Any]) -> tuple[str, str] | None:
    """(the form's field, why it cannot be meant), or None."""
    problem = plan_error(chosen_plan(cleaned))
    if problem is None:
        return None
    part, sentence = problem
    if part == "trail":
        sentence = f"Enter {plain(SMALLEST_TRAIL * HUNDRED)} to {plain(MOST_TRAIL)}."
    return _FORM_NAMES[part], sentence


def plan_as_typed(plan: Plan) -> dict[str, Any]:
    """A stored plan as a person would type it."""
    rungs = (f"{plain(rung.gain)}R {plain(rung.share * HUNDRED)}%" for rung in plan.ladder)
    return {
        "break_even": None if plan.break_even is None else plain(plan.break_even),
        "trail": None if plan.trail is None else plain(plan.trail * HUNDRED),
        "target_ladder": ", ".join(rungs),
        "longest_minutes": plan.minutes,
    }
