"""The forms of a subscription. People type percents and thousands separators; what comes out are fractions and exact amounts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from decimal import Decimal
from typing import Any

from django import forms

from signalist.domain.money import plain
from signalist.domain.rules import Limits
from signalist.domain.sizing import LARGEST_FRACTION
from signalist.execution.limits import PLATFORM
from signalist.marketplace.choices import AccountChoice, MarketChoice
from signalist.trading.actions import Refused, Terms
from signalist.trading.models import AfterOutage

RISK, SHARE = "risk", "share"
HUNDRED = Decimal(100)
_LIMITS = [field.name for field in fields(Limits)]
_WANTED = {
    RISK: "Enter how much of the capital one trade may lose at its stop.",
    SHARE: "Enter how much of the capital one trade is worth.",
}


# A comma before decimals would otherwise make 0,5 a five.
_GROUPED = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?")


class AmountField(forms.DecimalField):
    """An exact number above zero. Commas and spaces between thousands are taken away, commas elsewhere refused."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_digits=28, decimal_places=10, **kwargs)
        self.widget.attrs |= {"inputmode": "decimal", "autocomplete": "off"}

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        return {}  # no min, max and step: the browser's own bubbles know no percents

    def to_python(self, value: Any) -> Any:
        if isinstance(value, str):
            value = "".join(value.split()).removesuffix("%")
            if "," in value and not _GROUPED.fullmatch(value):
                raise forms.ValidationError("Write it as 1,000.50: commas between thousands, a point before decimals.")
            value = value.replace(",", "")
        number = super().to_python(value)
        if number is not None and number <= 0:
            raise forms.ValidationError("Enter a number above zero.")
        return number


class PercentField(AmountField):
    """Typed as a percent, cleaned to the fraction that is stored."""

    def __init__(self, *, most: Decimal, **kwargs: Any) -> None:
        self._most = most
        super().__init__(**kwargs)

    def clean(self, value: Any) -> Decimal | None:
        percent = super().clean(value)
        if percent is None:
            return None
        if percent > self._most:
            raise forms.ValidationError(f"Enter {plain(self._most)} or less.")
        if percent.as_tuple().exponent < -8:
            raise forms.ValidationError("Enter at most 8 decimals.")
        return percent / HUNDRED


def _count(label: str, most: int | None) -> forms.IntegerField:
    return forms.IntegerField(
        label=label,
        required=False,
        min_value=1,
        max_value=most,
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
        help_text=f"The platform allows {most}" if most else "",
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
        "after_outage": terms.after_outage.value,
    }
