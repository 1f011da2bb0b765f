"""Orders by hand: an account's book without a strategy, what a command asks for or wants an order to be; orders of a period by index."""

from __future__ import annotations

import django.db.models.deletion
import signalist.db.fields
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0004_leases"),
        ("markets", "0002_leaner_indexes"),
        ("strategies", "0003_leaner_indexes"),
        ("tenants", "0002_cache_table"),
        ("trading", "0007_page_indexes"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="subscription",
            name="subscription_sized_once",
        ),
        migrations.AddField(
            model_name="instruction",
            name="leverage",
            field=signalist.db.fields.ExactDecimalField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="instruction",
            name="order",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="trading.order",
            ),
        ),
        migrations.AddField(
            model_name="instruction",
            name="order_type",
            field=models.CharField(blank=True, max_length=12),
        ),
        migrations.AddField(
            model_name="instruction",
            name="price",
            field=signalist.db.fields.ExactDecimalField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="instruction",
            name="quantity",
            field=signalist.db.fields.ExactDecimalField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="instruction",
            name="risk_fraction",
            field=signalist.db.fields.ExactDecimalField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="instruction",
            name="stop",
            field=signalist.db.fields.ExactDecimalField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="instruction",
            name="target",
            field=signalist.db.fields.ExactDecimalField(blank=True, null=True),
        ),
        migrations.AlterField(
            model_name="instruction",
            name="kind",
            field=models.CharField(
                choices=[
                    ("CLOSE", "Close"),
                    ("FLATTEN", "Flatten"),
                    ("EMERGENCY", "Emergency"),
                    ("ORDER", "Order"),
                    ("CANCEL", "Cancel"),
                    ("AMEND", "Amend"),
                ],
                max_length=12,
            ),
        ),
        migrations.AlterField(
            model_name="order",
            name="tenant",
            field=models.ForeignKey(
                db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="tenants.tenant"
            ),
        ),
        migrations.AlterField(
            model_name="subscription",
            name="schedule",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="strategies.schedule"
            ),
        ),
        migrations.AlterField(
            model_name="subscription",
            name="strategy",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="strategies.strategy"
            ),
        ),
        migrations.AddIndex(
            model_name="instruction",
            index=models.Index(
                condition=models.Q(("order__isnull", False)), fields=["order"], name="instruction_about_order"
            ),
        ),
        migrations.AddIndex(
            model_name="order",
            index=models.Index(fields=["tenant", "created_at"], name="order_by_time"),
        ),
        migrations.AddConstraint(
            model_name="subscription",
            constraint=models.UniqueConstraint(
                condition=models.Q(("strategy__isnull", True)),
                fields=("account", "instrument"),
                name="subscription_one_by_hand",
            ),
        ),
        migrations.AddConstraint(
            model_name="subscription",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("schedule__isnull", False),
                        ("strategy__isnull", False),
                        models.Q(
                            ("risk_fraction__isnull", True), ("notional_fraction__isnull", True), _connector="XOR"
                        ),
                    ),
                    models.Q(
                        ("notional_fraction__isnull", True),
                        ("risk_fraction__isnull", True),
                        ("schedule__isnull", True),
                        ("strategy__isnull", True),
                    ),
                    _connector="OR",
                ),
                name="subscription_sized_once",
            ),
        ),
    ]
