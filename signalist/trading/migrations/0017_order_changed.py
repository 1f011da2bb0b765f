"""A kind of difference: an order of ours that was changed at its venue."""

from django.db import migrations, models

KINDS = [
    ("EXTERNAL_ORDER", "External Order"),
    ("LOST_ORDER", "Lost Order"),
    ("ORDER_CHANGED", "Order Changed"),
    ("ORDER_IN_DOUBT", "Order In Doubt"),
    ("MANUAL_CLOSE", "Manual Close"),
    ("POSITION_LARGER", "Position Larger"),
    ("POSITION_SMALLER", "Position Smaller"),
    ("UNKNOWN_FILL", "Unknown Fill"),
    ("BALANCE_GAP", "Balance Gap"),
]


class Migration(migrations.Migration):
    dependencies = [("trading", "0016_exits_put_off")]

    operations = [
        migrations.AlterField(
            model_name="discrepancy", name="kind", field=models.CharField(choices=KINDS, max_length=16)
        ),
    ]
