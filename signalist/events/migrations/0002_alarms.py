"""Marks the facts that somebody must know soon, and finds them fast among millions of others."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("events", "0001_initial")]

    operations = [
        migrations.AddField("event", "is_alarm", models.BooleanField(default=False)),
        migrations.AddIndex(
            "event",
            models.Index(condition=models.Q(("is_alarm", True)), fields=["tenant_id", "-id"], name="event_alarms"),
        ),
    ]
