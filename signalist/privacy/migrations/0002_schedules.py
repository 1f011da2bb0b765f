"""Puts what is done for people's data from time to time into the job runner's timetable."""

from __future__ import annotations

from typing import Any

from django.db import migrations

HOURLY = "H"
NAME = "keep privacy"


def enter(apps: Any, schema_editor: Any) -> None:
    apps.get_model("django_q", "Schedule").objects.get_or_create(
        name=NAME, defaults={"func": "signalist.privacy.jobs.keep_privacy", "schedule_type": HOURLY, "repeats": -1}
    )


def strike(apps: Any, schema_editor: Any) -> None:
    apps.get_model("django_q", "Schedule").objects.filter(name=NAME).delete()


class Migration(migrations.Migration):
    dependencies = [("django_q", "0018_task_success_index"), ("privacy", "0001_initial")]

    operations = [migrations.RunPython(enter, strike)]
