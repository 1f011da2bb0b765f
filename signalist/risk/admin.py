"""Staff's view of the kill switch. The switches over everybody they have an engine make stricter; `manage.py kill` resumes."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest

from signalist.accounts.models import AccountState
from signalist.db.wakes import ring_on_commit
from signalist.display.admin import ReadOnly
from signalist.execution.health import present
from signalist.risk.models import (
    Layer,
    Missed,
    SharedSwitch,
    SharedSwitchChange,
    SwitchRequest,
    TenantSwitch,
    TenantSwitchChange,
)


@admin.register(SharedSwitch, TenantSwitch)
class SwitchAdmin(ReadOnly):
    list_display = ["layer", "state", "reason", "who", "at"]
    list_filter = ["layer", "state"]


@admin.register(SharedSwitchChange, TenantSwitchChange)
class ChangeAdmin(ReadOnly):
    list_display = ["at", "layer", "before", "state", "reason", "who"]
    list_filter = ["layer", "state"]


class RequestForm(forms.ModelForm):  # type: ignore[type-arg]  # cannot be given at run time
    """What is to be stopped, and why."""

    state = forms.ChoiceField(
        choices=[(state.value, state.label) for state in AccountState if state != AccountState.ACTIVE],
        help_text="A request only makes a switch stricter. Whoever can run manage.py kill on the server resumes.",
    )

    def clean(self) -> dict[str, Any]:
        """A strategy is named where one is meant, and nowhere else."""
        cleaned: dict[str, Any] = super().clean() or {}
        if (cleaned.get("layer") == Layer.STRATEGY) != (cleaned.get("strategy") is not None):
            self.add_error("strategy", "Name the strategy whose switch it is; the platform's names none.")
        return cleaned


@admin.register(SwitchRequest)
class RequestAdmin(ReadOnly):
    """Stopping is one form. Nothing is resumed here: a page that is taken over must not be able to."""

    form = RequestForm
    fields = ["layer", "strategy", "state", "reason"]
    list_display = ["at", "layer", "strategy", "state", "reason", "by", "done_at", "problem"]
    list_select_related = ["strategy", "by"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("risk.add_switchrequest"))

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Leave it to an engine, at once."""
        obj.by, obj.at = request.user, present()
        super().save_model(request, obj, form, change)
        ring_on_commit("switches", everywhere=True)


@admin.register(Missed)
class MissedAdmin(ReadOnly):
    list_display = ["at", "tenant", "choice", "exit_at", "closed", "asked"]
    list_filter = ["choice", "closed", "asked"]
    list_select_related = ["tenant"]
