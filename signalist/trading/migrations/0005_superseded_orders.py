"""A stop or target that turns up after another took its place may be there beside it until it is taken down."""

from __future__ import annotations

from django.db import migrations, models

ACTIVE = ["CREATED", "SENDING", "WORKING", "UNKNOWN", "PARTIAL"]


class Migration(migrations.Migration):
    dependencies = [("trading", "0004_signal_record")]

    operations = [
        migrations.AddField(model_name="order", name="superseded", field=models.BooleanField(default=False)),
        migrations.RemoveConstraint(model_name="order", name="order_one_active_stop"),
        migrations.RemoveConstraint(model_name="order", name="order_one_active_target"),
        migrations.AddConstraint(
            model_name="order",
            constraint=models.UniqueConstraint(
                condition=models.Q(("leg", "STOP"), ("status__in", ACTIVE), ("superseded", False)),
                fields=("position",),
                name="order_one_active_stop",
            ),
        ),
        migrations.AddConstraint(
            model_name="order",
            constraint=models.UniqueConstraint(
                condition=models.Q(("leg", "TARGET"), ("status__in", ACTIVE), ("superseded", False)),
                fields=("position",),
                name="order_one_active_target",
            ),
        ),
    ]
