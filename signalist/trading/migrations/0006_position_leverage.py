"""A position keeps the leverage that its entry was placed with; those that are there take it from their entry orders."""

from __future__ import annotations

from decimal import Decimal

from django.db import migrations

import signalist.db.fields

OF_THE_ENTRY = """
UPDATE trading_position SET leverage = COALESCE((
    SELECT o.leverage FROM trading_order o
    WHERE o.execution_id = trading_position.entry_execution_id AND o.leg = 'ENTRY' AND o.n = 0
), leverage)
"""


class Migration(migrations.Migration):
    dependencies = [("trading", "0005_superseded_orders")]

    operations = [
        migrations.AddField(
            model_name="position",
            name="leverage",
            field=signalist.db.fields.ExactDecimalField(default=Decimal(1)),
        ),
        migrations.RunSQL(OF_THE_ENTRY, migrations.RunSQL.noop),
    ]
