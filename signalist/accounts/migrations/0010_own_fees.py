"""What an account's venue says that this very account pays."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0009_play_money")]

    operations = [
        migrations.AddField(
            model_name="account", name="own_fees", field=models.JSONField(default=dict, editable=False)
        ),
    ]
