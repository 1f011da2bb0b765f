"""The forms of people about themselves."""

from __future__ import annotations

from functools import cache
from typing import Any
from zoneinfo import available_timezones

from django import forms

from tenants.models import User


@cache
def zones() -> list[tuple[str, str]]:
    """The time zones to choose from: places and UTC, not the aliases of old systems."""
    places = sorted(
        zone
        for zone in available_timezones()
        if "/" in zone and not zone.startswith(("Etc/", "posix", "right", "SystemV"))
    )
    return [("UTC", "UTC"), *((zone, zone.replace("_", " ")) for zone in places)]


class ProfileForm(forms.ModelForm):  # type: ignore[type-arg]  # cannot be given at run time
    """Name and time zone."""

    time_zone = forms.ChoiceField(choices=zones, label="Time zone", help_text="Times on all pages are shown in it.")

    class Meta:
        model = User
        fields = ["full_name", "time_zone"]
        labels = {"full_name": "Name"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["full_name"].widget.attrs["autocomplete"] = "name"
