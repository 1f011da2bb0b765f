"""The forms of authors: a strategy's name, and a version's file and markets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms

from signalist.domain.timeframes import TIMEFRAMES
from signalist.markets.models import Instrument
from signalist.strategies.actions import LONGEST_SOURCE, Market, Refused


class StrategyForm(forms.Form):
    """Name, address and description of a new strategy."""

    name = forms.CharField(label="Name", max_length=100)
    slug = forms.CharField(
        label="Address", max_length=80, help_text="Small letters, digits and dashes; it stands in the page’s address."
    )
    description = forms.CharField(
        label="Description", required=False, max_length=2000, widget=forms.Textarea(attrs={"rows": 3, "class": "input"})
    )


class VersionForm(forms.Form):
    """A file, typed or uploaded, where it shall run, and what is new in it. `line` is the line that a refusal is about."""

    upload = forms.FileField(label="A file", required=False, help_text="Python; it replaces what stands in the editor.")
    source = forms.CharField(
        label="Source",
        required=False,
        strip=False,
        max_length=LONGEST_SOURCE,
        widget=forms.Textarea(attrs={"rows": 28, "class": "input mono", "spellcheck": "false", "wrap": "off"}),
    )
    instruments = forms.MultipleChoiceField(label="Markets", help_text="Where it shall run once it is published.")
    timeframe = forms.ChoiceField(label="Candles")
    changes = forms.CharField(label="What is new", required=False, max_length=500)

    def __init__(self, instruments: Sequence[Instrument], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.line: int | None = None
        self.fields["instruments"].choices = [(str(row.pk), str(row)) for row in instruments]  # type: ignore[attr-defined]
        self.fields["timeframe"].choices = [(frame.code, frame.code) for frame in TIMEFRAMES]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        upload = cleaned.get("upload")
        if upload is not None:
            if upload.size > LONGEST_SOURCE:
                raise forms.ValidationError({"upload": f"A strategy is at most {LONGEST_SOURCE} characters long."})
            try:
                cleaned["source"] = upload.read().decode("utf-8")
            except UnicodeDecodeError:
                raise forms.ValidationError({"upload": "The file is not UTF-8 text."}) from None
        if not cleaned.get("source", "").strip():
            raise forms.ValidationError({"source": "Type a strategy, or choose a file."})
        cleaned["source"] = cleaned["source"].replace("\r\n", "\n")
        return cleaned

    @property
    def markets(self) -> list[Market]:
        """What was chosen."""
        return [(int(key), self.cleaned_data["timeframe"]) for key in self.cleaned_data["instruments"]]

    def refuse(self, refused: Refused) -> None:
        """Put the reason beside the field that it is about."""
        self.line = refused.line
        place = f"Line {refused.line}: " if refused.line else ""
        self.add_error(refused.field if refused.field in self.fields else None, f"{place}{refused}")
