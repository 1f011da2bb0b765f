"""The forms of a subscription. People type percents and thousands separators; what comes out are fractions and exact amounts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from decimal import Decimal
from typing import Any

from django import forms

from signalist.display.fields import HUNDRED, AmountField, PercentField
from signalist.domain.money import plain
from signalist.domain.rules import Limits
from signalist.domain.sizing import LARGEST_FRACTION
from signalist.execution.limits import PLATFORM
from signalist.marketplace.choices import AccountChoice, MarketChoice
from signalist.marketplace.plan_fields import (
    MOST_TRAIL,
    LadderField,
    chosen_plan,
    minutes_field,
    plan_as_typed,
    plan_problem,
)
from signalist.trading.models import AfterOutage
from signalist.trading.terms import Refused, Terms

RISK, SHARE = "risk", "share"
COOLDOWN, LONGEST_COOLDOWN = 300, 24 * 3600
"""Seconds between entries with which a subscription begins (EXE-37), and the most that can be chosen."""
_LIMITS = [field.name for field in fields(Limits)]
_WANTED = {
    RISK: "Enter how much of the capital one trade may lose at its stop.",
    SHARE: "Enter how much of the capital one trade is worth.",
}


def _count(label: str, most: int | None, help_text: str = "") -> forms.IntegerField:
    return forms.IntegerField(
        label=label,
        required=False,
        min_value=1,
        max_value=most,
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
        help_text=help_text or (f"The platform allows {most}" if most else ""),
    )


class TermsForm(forms.Form):
    """Capital, size and limits. `terms` is what was chosen, once the form is valid."""

    capital = AmountField(label="Capital for this strategy", help_text="What sizes and results are measured by")
    sizing = forms.ChoiceField(
        label="Size by",
        choices=[(RISK, "Risk to the stop"), (SHARE, "Share of capital")],
        widget=forms.RadioSelect(attrs={"class": "vh"}),
        initial=RISK,
    )
    risk = PercentField(
        label="Risk per trade",
        most=LARGEST_FRACTION * HUNDRED,
        required=False,
        help_text="Loss at the stop, of the capital",
    )
    share = PercentField(
        label="Share per trade", most=HUNDRED, required=False, help_text="Position value, of the capital; needs no stop"
    )
    leverage = AmountField(label="Leverage", help_text="Sets the margin only; the size comes from the stop")
    open_positions = _count("Open positions, account", PLATFORM.open_positions)
    daily_entries = _count("Entries a day", PLATFORM.daily_entries)
    daily_loss_amount = AmountField(label="Daily loss, amount", required=False, help_text="No entry after that")
    daily_loss_fraction = PercentField(
        label="Daily loss",
        most=LARGEST_FRACTION * HUNDRED,
        required=False,
        help_text="Of the account at the day’s start",
    )
    exposure_fraction = PercentField(
        label="Exposure", most=Decimal(10_000), required=False, help_text="All positions of the account, of its equity"
    )
    position_fraction = PercentField(
        label="Position value", most=Decimal(10_000), required=False, help_text="One position, of the account’s equity"
    )
    cooldown = _count("Pause between entries", LONGEST_COOLDOWN, "From one signal to the next, in seconds")

    break_even = AmountField(label="Stop to break-even", required=False, help_text="After a gain of so many R")
    trail = PercentField(
        label="Trailing stop", most=MOST_TRAIL, required=False, help_text="Distance from the price; it only tightens"
    )
    target_ladder = LadderField(
        label="Targets", help_text="Gain and share of each; the rest stays for the signal’s own"
    )
    longest_minutes = minutes_field()
    after_outage = forms.ChoiceField(
        label="After an outage",
        choices=[
            (AfterOutage.HOLD.value, "Hold: keep the position protected and take the next signal"),
            (AfterOutage.CLOSE.value, "Close what a missed exit would have closed"),
            (AfterOutage.ASK.value, "Ask: no entries until I say so"),
        ],
        initial=AfterOutage.HOLD.value,
        required=False,
        help_text="Signals that were missed are never traded late",
    )

    def clean(self) -> dict[str, Any]:
        """Exactly one of the two sizings counts; the other is forgotten, whatever was typed."""
        cleaned: dict[str, Any] = super().clean() or {}
        problem = plan_problem(cleaned)
        if problem is not None and problem[0] not in self.errors:
            self.add_error(*problem)
        sizing = cleaned.get("sizing")
        if sizing in _WANTED and not cleaned.get(sizing) and sizing not in self.errors:
            self.add_error(sizing, _WANTED[sizing])
        return cleaned

    def terms(self) -> Terms:
        """What was chosen."""
        chosen, by_risk = self.cleaned_data, self.cleaned_data["sizing"] == RISK
        return Terms(
            capital=chosen["capital"],
            risk_fraction=chosen["risk"] if by_risk else None,
            notional_fraction=None if by_risk else chosen["share"],
            leverage=chosen["leverage"],
            limits=Limits(**{name: chosen[name] for name in _LIMITS}),
            plan=chosen_plan(chosen),
            after_outage=AfterOutage(chosen["after_outage"] or AfterOutage.HOLD),
        )

    def refuse(self, refused: Refused) -> None:
        """Put a refusal beside the field that it is about, or on top."""
        self.add_error(refused.field if refused.field in self.fields else None, str(refused))


class SubscribeForm(TermsForm):
    """The terms, and who follows where. `account` and `market` are the chosen rows, once the form is valid."""

    account = forms.ChoiceField(label="Account")
    market = forms.ChoiceField(label="Market")
    consent = forms.BooleanField(
        error_messages={"required": "Confirm that you know what you can lose."},
        label="Consent",
        help_text="Trading can lose more than the loss at the stop when the market gaps. I subscribe at my own risk.",
    )

    def __init__(
        self,
        accounts: Sequence[AccountChoice],
        markets: Sequence[MarketChoice],
        data: Mapping[str, Any] | None = None,
        *,
        trying: bool = False,
    ) -> None:
        """`trying`: for a preview, which asks for no consent."""
        self._accounts = {choice.key: choice.row for choice in accounts if not choice.refusal}
        self._markets = {choice.key: choice for choice in markets}
        super().__init__(data, initial=_first_terms(accounts, markets))
        self.fields["account"].choices = [(key, str(row)) for key, row in self._accounts.items()]  # type: ignore[attr-defined]
        self.fields["market"].choices = [(choice.key, choice.words) for choice in markets]  # type: ignore[attr-defined]
        self.fields["account"].error_messages["required"] = "Choose an account."
        self.fields["account"].error_messages["invalid_choice"] = "This account cannot be chosen."
        self.fields["consent"].required = not trying

    @property
    def chosen_account(self) -> Any:
        return self._accounts[self.cleaned_data["account"]]

    @property
    def chosen_market(self) -> MarketChoice:
        return self._markets[self.cleaned_data["market"]]


def _first_terms(accounts: Sequence[AccountChoice], markets: Sequence[MarketChoice]) -> dict[str, Any]:
    """What the form begins with: a tenth of the first account's free money, one per cent risk, five per cent loss a day."""
    first = next((choice for choice in accounts if not choice.refusal), None)
    paid = [m for m in markets if first and m.instrument.quote == first.row.currency] or [*markets]
    fitting = [m for m in paid if first and m.instrument.pk not in first.taken] or paid
    lent = min((m.instrument.max_leverage for m in fitting), default=Decimal(1))
    return {
        "account": first.key if first else None,
        "market": fitting[0].key if fitting else None,
        "capital": f"{first.free / 10:.0f}" if first and first.free and first.free >= 10 else "10000",
        "sizing": RISK,
        "risk": "1",
        "share": "20",
        "leverage": plain(min(lent, Decimal(5))),
        "daily_loss_fraction": "5",
        "cooldown": COOLDOWN,
        "after_outage": AfterOutage.HOLD.value,
    }


def terms_as_typed(terms: Terms) -> dict[str, Any]:
    """Stored terms as a person would type them, for the form that changes them."""

    def percent(value: Decimal | None) -> str | None:
        return None if value is None else plain(value * HUNDRED)

    limits = terms.limits
    return {
        "capital": plain(terms.capital),
        "sizing": RISK if terms.risk_fraction is not None else SHARE,
        "risk": percent(terms.risk_fraction),
        "share": percent(terms.notional_fraction),
        "leverage": plain(terms.leverage),
        "open_positions": limits.open_positions,
        "daily_entries": limits.daily_entries,
        "daily_loss_amount": None if limits.daily_loss_amount is None else plain(limits.daily_loss_amount),
        "daily_loss_fraction": percent(limits.daily_loss_fraction),
        "exposure_fraction": percent(limits.exposure_fraction),
        "position_fraction": percent(limits.position_fraction),
        "cooldown": limits.cooldown,
        **plan_as_typed(terms.plan),
        "after_outage": terms.after_outage.value,
    }
