"""The forms of what people command: an order by hand, and another price, quantity or trigger of one that works."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from django import forms

from signalist.accounts.models import Account
from signalist.display.fields import HUNDRED, AmountField, PercentField
from signalist.domain.orders import OrderType
from signalist.domain.signals import Direction
from signalist.domain.sizing import LARGEST_FRACTION
from signalist.markets.models import Instrument
from signalist.trading.order_actions import Change
from signalist.trading.terms import Refused
from signalist.trading.tickets import Ticket

_DIRECTIONS = [(Direction.LONG.value, "Buy (long)"), (Direction.SHORT.value, "Sell (short)")]
_TYPES = [(OrderType.MARKET.value, "At market"), (OrderType.LIMIT.value, "Limit")]
_SIZES = [("risk", "Risk to the stop"), ("share", "Quantity")]


def _radio() -> forms.RadioSelect:
    return forms.RadioSelect(attrs={"class": "vh"})


class RefusableForm(forms.Form):
    """A form on which a refusal stands beside the field that it is about."""

    def refuse(self, refused: Refused) -> None:
        """Put a refusal beside its field, or on top."""
        self.add_error(refused.field if refused.field in self.fields else None, str(refused))


class TicketForm(RefusableForm):
    """An order by hand. `account` and `ticket` are what was chosen, once the form is valid; `key` makes it one however often it is sent."""

    account = forms.ChoiceField(label="Account")
    instrument = forms.ChoiceField(label="Instrument")
    direction = forms.ChoiceField(label="Direction", choices=_DIRECTIONS, widget=_radio(), initial=Direction.LONG.value)
    type = forms.ChoiceField(label="Order", choices=_TYPES, widget=_radio(), initial=OrderType.MARKET.value)
    price = AmountField(label="Limit", required=False, help_text="Of a limit order: this price or better")
    stop = AmountField(label="Stop", required=False, help_text="Closes at market when the price gets there")
    target = AmountField(label="Target", required=False, help_text="May stay empty")
    sizing = forms.ChoiceField(label="Size by", choices=_SIZES, widget=_radio(), initial="risk")
    risk = PercentField(
        label="Risk", most=LARGEST_FRACTION * HUNDRED, required=False, help_text="Loss at the stop, of the equity"
    )
    quantity = AmountField(label="Quantity", required=False, help_text="Of what is traded, named beside the instrument")
    leverage = AmountField(label="Leverage", help_text="Sets the margin only; the size comes from above")
    key = forms.UUIDField(widget=forms.HiddenInput())

    def __init__(
        self, accounts: Sequence[Account], instruments: Sequence[Instrument], data: Mapping[str, Any] | None = None
    ) -> None:
        """Without `data` it begins with `first_ticket`, and nothing is wrong with it yet."""
        self._accounts = {str(row.public_id): row for row in accounts}
        self._instruments = {str(row.pk): row for row in instruments}
        super().__init__(data, initial=first_ticket(accounts, instruments))
        self.fields["account"].choices = [(key, f"{row.name} ({row.currency})") for key, row in self._accounts.items()]  # type: ignore[attr-defined]
        self.fields["instrument"].choices = [  # type: ignore[attr-defined]
            (key, f"{row.symbol} ({row.base} in {row.quote})") for key, row in self._instruments.items()
        ]

    @property
    def shown_instrument(self) -> Instrument | None:
        """What is chosen now, whether or not the rest of the form is right."""
        return self._instruments.get(str(self["instrument"].value()))

    @property
    def chosen_account(self) -> Account:
        return self._accounts[self.cleaned_data["account"]]

    def ticket(self) -> Ticket:
        """What is ordered; what belongs to the choice that was not made is forgotten."""
        said = self.cleaned_data
        by_risk, kind = said["sizing"] == "risk", OrderType(said["type"])
        return Ticket(
            instrument=self._instruments[said["instrument"]],
            direction=Direction(said["direction"]),
            type=kind,
            quantity=None if by_risk else said["quantity"],
            risk_fraction=said["risk"] if by_risk else None,
            price=said["price"] if kind is OrderType.LIMIT else None,
            stop=said["stop"],
            target=said["target"],
            leverage=said["leverage"],
        )

    def clean(self) -> dict[str, Any]:
        """What the choices need must be there."""
        cleaned: dict[str, Any] = super().clean() or {}
        wanted = "risk" if cleaned.get("sizing") == "risk" else "quantity"
        if not cleaned.get(wanted) and wanted not in self.errors:
            self.add_error(wanted, "Enter how much.")
        if cleaned.get("type") == OrderType.LIMIT.value and not cleaned.get("price") and "price" not in self.errors:
            self.add_error("price", "Enter the limit.")
        return cleaned


def first_ticket(accounts: Sequence[Account], instruments: Sequence[Instrument]) -> dict[str, Any]:
    """What an empty form begins with: a risk of half a per cent on the first account that can pay for the first instrument."""
    account = next(iter(accounts), None)
    fitting = [
        row
        for row in instruments
        if account is not None and (row.venue, row.quote) == (account.venue, account.currency)
    ]
    chosen = next(iter(fitting or instruments), None)
    return {
        "account": "" if account is None else str(account.public_id),
        "instrument": "" if chosen is None else str(chosen.pk),
        "direction": Direction.LONG.value,
        "type": OrderType.MARKET.value,
        "sizing": "risk",
        "risk": "0.5",
        "leverage": "1" if chosen is None else f"{min(chosen.max_leverage, Decimal(5)):f}".rstrip("0").rstrip("."),
        "key": str(uuid.uuid4()),
    }


class ChangeForm(RefusableForm):
    """What an order that works is to be instead: quantity and limit of an entry, trigger of a stop or target."""

    quantity = AmountField(label="Quantity", required=False, help_text="In all, with what is filled already")
    price = AmountField(label="Limit", required=False)
    trigger = AmountField(label="Trigger", required=False, help_text="Where it closes the position")
    key = forms.UUIDField(widget=forms.HiddenInput())

    def change(self) -> Change:
        """What was typed; what stays empty stays as it is."""
        said = self.cleaned_data
        return Change(said["quantity"], said["price"], said["trigger"])


class LevelForm(RefusableForm):
    """The stop or the target that a position is to get."""

    trigger = AmountField(label="Price", help_text="Where it closes the position at market")
    key = forms.UUIDField(widget=forms.HiddenInput())
