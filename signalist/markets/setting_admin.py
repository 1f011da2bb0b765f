"""Staff's page of what can be changed of the markets without a restart."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest

from signalist.markets.adjusting import ADJUSTABLE, OutOfBounds, adjust
from signalist.markets.setting_models import MarketSetting


class SettingForm(forms.ModelForm):
    """A value within its bounds; each choice says what it means, its bounds and its default."""

    class Meta:
        model = MarketSetting
        fields = ("name", "value")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "name" in self.fields:
            choices = [(name, f"{name}: {each.words}") for name, each in ADJUSTABLE.items()]
            self.fields["name"] = forms.ChoiceField(choices=choices)
        known = ADJUSTABLE.get(self.instance.name)
        self.fields["value"].help_text = (
            f"{known.words}; from {known.lowest} to {known.highest}, {known.default()} unless set. Deleting the row has that hold again."
            if known
            else "A whole number; its bounds are said where it is out of them."
        )

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        known = ADJUSTABLE.get(given.get("name") or self.instance.name)
        if known is not None and given.get("value") is not None:
            try:
                known.checked(given["value"])
            except OutOfBounds as problem:
                raise ValidationError({"value": str(problem)}) from None
        return given


@admin.register(MarketSetting)
class MarketSettingAdmin(admin.ModelAdmin):
    """What differs from its default. Every change is on record, and holds in all processes within seconds."""

    form = SettingForm
    list_display = ["name", "value", "unless_set", "meaning", "changed_at"]
    ordering = ["name"]

    @admin.display(description="unless set")
    def unless_set(self, row: MarketSetting) -> str:
        known = ADJUSTABLE.get(row.name)
        return "" if known is None else str(known.default())

    @admin.display(description="meaning")
    def meaning(self, row: MarketSetting) -> str:
        known = ADJUSTABLE.get(row.name)
        return "known no more" if known is None else known.words

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [] if obj is None else ["name"]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        adjust(request.user, obj.name, obj.value)  # type: ignore[arg-type]  # nobody comes here without a log-in
        obj.pk = MarketSetting.objects.values_list("pk", flat=True).get(name=obj.name)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        adjust(request.user, obj.name, None)  # type: ignore[arg-type]

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for row in queryset:
            self.delete_model(request, row)
