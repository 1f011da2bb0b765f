"""Puts the jobs that run from time to time into the job runner's timetable."""

from __future__ import annotations

from typing import Any

from django.db import migrations

HOURLY = "H"
KEEP_HOUSE = "keep house"


def enter(apps: Any, schema_editor: Any) -> None:
    apps.get_model("django_q", "Schedule").objects.get_or_create(
        name=KEEP_HOUSE, defaults={"func": "signalist.engine.jobs.keep_house", "schedule_type": HOURLY, "repeats": -1}
    )


def strike(apps: Any, schema_editor: Any) -> None:
    apps.get_model("django_q", "Schedule").objects.filter(name=KEEP_HOUSE).delete()


class Migration(migrations.Migration):
    dependencies = [("django_q", "0018_task_success_index")]

    operations = [migrations.RunPython(enter, strike)]
