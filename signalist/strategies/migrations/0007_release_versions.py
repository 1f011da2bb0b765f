"""Puts the job that gives versions back which the gate did not finish into the job runner's timetable."""

from __future__ import annotations

from typing import Any

from django.db import migrations

MINUTES = "I"
NAME = "release versions"


def enter(apps: Any, schema_editor: Any) -> None:
    apps.get_model("django_q", "Schedule").objects.get_or_create(
        name=NAME,
        defaults={
            "func": "signalist.strategies.jobs.release_versions",
            "schedule_type": MINUTES,
            "minutes": 10,
            "repeats": -1,
        },
    )


def strike(apps: Any, schema_editor: Any) -> None:
    apps.get_model("django_q", "Schedule").objects.filter(name=NAME).delete()


class Migration(migrations.Migration):
    dependencies = [("strategies", "0006_version_states"), ("django_q", "0018_task_success_index")]

    operations = [migrations.RunPython(enter, strike)]
