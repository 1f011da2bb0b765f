"""Models as a whole: foreign keys point down, no field reads a clock, and migrations say what the models say."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import models
from django.utils import timezone

ROOT = Path(__file__).resolve().parents[2]
GROUND = -1.0


def _floors() -> dict[str, float]:
    """Package by floor, read from the contract, so that there is one list."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["id"] == "floors")
    floors: dict[str, float] = {}
    for floor, names in enumerate(reversed(layers)):
        floors |= {f"signalist.{name.strip(' ()')}": float(floor) for name in names.split("|")}
    return floors | {"tenants": floors["signalist.events"] + 0.5}  # between the event log's floor and the accounts'


FLOORS = _floors()


def _floor(application: str) -> float:
    """An application's floor; what is installed from elsewhere lies below the house."""
    ours = application == "tenants" or application.startswith("signalist.")
    return FLOORS[".".join(application.split(".")[:2])] if ours else GROUND


def _our_fields() -> Iterator[tuple[str, models.Field[Any, Any]]]:
    for model in apps.get_models(include_auto_created=True):
        application = model._meta.app_config.name
        if _floor(application) > GROUND:
            for field in model._meta.local_fields + model._meta.local_many_to_many:
                yield f"{model._meta.label}.{field.name}", field


def test_the_list_of_floors_is_understood() -> None:
    assert FLOORS["signalist.clock"] == 0
    assert FLOORS["signalist.events"] < FLOORS["tenants"] < FLOORS["signalist.accounts"]
    assert _floor("signalist.trading") < _floor("signalist.execution")
    assert _floor("django.contrib.auth") < _floor("signalist.db")


def test_every_installed_application_of_ours_has_a_floor() -> None:
    assert all(_floor(config.name) is not None for config in apps.get_app_configs())


def test_a_foreign_key_points_to_its_own_floor_or_lower() -> None:
    relations = [(label, field) for label, field in _our_fields() if field.is_relation and field.related_model]
    assert relations, "nothing was looked at"
    upwards = [
        f"{label} -> {field.related_model._meta.label}"
        for label, field in relations
        if _floor(field.related_model._meta.app_config.name) > _floor(field.model._meta.app_config.name)
    ]
    assert upwards == []


def test_no_field_reads_a_clock() -> None:
    readers = [
        label
        for label, field in _our_fields()
        if getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False) or field.default is timezone.now
    ]
    assert readers == []


@pytest.mark.django_db
def test_migrations_say_what_the_models_say(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        call_command("makemigrations", check=True, dry_run=True)
    except SystemExit:
        pytest.fail(capsys.readouterr().out)
