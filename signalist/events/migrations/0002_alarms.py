"""Marks the facts that somebody must know soon, and finds them fast among millions of others.

The database has the default, too: a process of the version before goes on writing events while this one starts.
"""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("events", "0001_initial")]

    operations = [
        migrations.AddField("event", "is_alarm", models.BooleanField(default=False, db_default=False)),
        migrations.AddIndex(
            "event",
            models.Index(condition=models.Q(("is_alarm", True)), fields=["tenant_id", "-id"], name="event_alarms"),
        ),
    ]
