"""Exits that a halt keeps waiting are put off, so that a ring does not walk them all."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("trading", "0015_nameless_orders")]

    operations = [
        migrations.RemoveIndex(model_name="execution", name="execution_pending"),
        migrations.AddField(model_name="execution", name="not_before", field=models.DateTimeField(null=True)),
        migrations.AddIndex(
            model_name="execution",
            index=models.Index(
                condition=models.Q(("status", "PENDING")), fields=["not_before"], name="execution_pending"
            ),
        ),
    ]
