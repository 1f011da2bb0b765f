"""What is typed about a key. What was typed as a secret is never written into a page again."""

from __future__ import annotations

from typing import Any

from django import forms

from signalist.accounts.connectors import Asked, Connector


def _field(asked: Asked) -> forms.CharField:
    attributes = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "off"}
    widget = forms.PasswordInput(attrs=attributes | {"autocomplete": "new-password"}, render_value=False)
    return forms.CharField(
        label=asked.label,
        max_length=4000,
        help_text=asked.hint,
        widget=widget if asked.secret else forms.TextInput(attrs=attributes),
    )


class SecretsForm(forms.Form):
    """What a venue's key is made of. `secrets` once the form is valid."""

    def __init__(self, connector: Connector, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._asks = connector.asks
        for asked in connector.asks:
            self.fields[asked.name] = _field(asked)

    @property
    def secrets(self) -> dict[str, str]:
        return {asked.name: self.cleaned_data[asked.name] for asked in self._asks}


class NameForm(forms.Form):
    """The name of a key."""

    label = forms.CharField(label="Name", max_length=100, help_text="Only for you, to tell it from others")


class ConnectForm(SecretsForm):
    """A key and its name."""

    label = NameForm.base_fields["label"]
    field_order = ("label",)


class ReasonForm(forms.Form):
    """Why something is ended."""

    reason = forms.CharField(label="Reason", max_length=200)
