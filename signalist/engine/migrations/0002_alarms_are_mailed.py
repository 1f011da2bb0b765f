"""Puts the job that mails alarms into the job runner's timetable."""

from __future__ import annotations

from typing import Any

from django.db import migrations

MINUTES = "I"
NAME = "mail alarms"


def enter(apps: Any, schema_editor: Any) -> None:
    apps.get_model("django_q", "Schedule").objects.get_or_create(
        name=NAME,
        defaults={
            "func": "signalist.trading.alarm_mails.mail_alarms",
            "schedule_type": MINUTES,
            "minutes": 1,
            "repeats": -1,
        },
    )


def strike(apps: Any, schema_editor: Any) -> None:
    apps.get_model("django_q", "Schedule").objects.filter(name=NAME).delete()


class Migration(migrations.Migration):
    dependencies = [("engine", "0001_schedules"), ("events", "0002_alarms"), ("django_q", "0018_task_success_index")]

    operations = [migrations.RunPython(enter, strike)]
