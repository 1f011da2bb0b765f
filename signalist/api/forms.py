"""What is chosen for a key."""

from __future__ import annotations

from datetime import timedelta

from django import forms

from signalist.api.actions import MOST_HOURLY
from signalist.api.models import HOURLY
from signalist.api.scopes import SCOPES

ENDS = [("30", "In 30 days"), ("90", "In 90 days"), ("365", "In a year"), ("", "Never")]


class KeyForm(forms.Form):
    """A key's name, what it may read, how often, and until when."""

    name = forms.CharField(label="Name", max_length=100, help_text="What uses it")
    scopes = forms.MultipleChoiceField(
        label="May read", choices=list(SCOPES.items()), widget=forms.CheckboxSelectMultiple, initial=list(SCOPES)
    )
    hourly_limit = forms.IntegerField(
        label="Requests an hour",
        min_value=1,
        max_value=MOST_HOURLY,
        initial=HOURLY,
        help_text=f"{MOST_HOURLY:,} at most",
    )
    ends = forms.ChoiceField(label="Ends", choices=ENDS, required=False, initial="90")

    @property
    def lasts(self) -> timedelta | None:
        """How long it lasts; None for ever."""
        days = self.cleaned_data["ends"]
        return timedelta(days=int(days)) if days else None
