"""Accounts say themselves whether their money is play money. Of those that are there, by what the settings name now."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import migrations, models

from signalist.venues.kraken.protocol import is_here


def mark(apps: Any, editor: Any) -> None:
    """Those at Kraken, where that is a server on this machine."""
    if is_here(settings.KRAKEN_URL):
        editor.execute("UPDATE accounts_account SET is_play_money = %s WHERE venue = %s", [True, "kraken"])


class Migration(migrations.Migration):
    dependencies = [("accounts", "0008_account_grants")]

    operations = [
        migrations.AddField(
            model_name="account", name="is_play_money", field=models.BooleanField(default=False, editable=False)
        ),
        migrations.RunPython(mark, migrations.RunPython.noop),
    ]
