"""A pause between entries that a subscriber may choose."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("trading", "0017_order_changed")]

    operations = [
        migrations.AddField(
            model_name="subscription",
            name="cooldown_seconds",
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
    ]
