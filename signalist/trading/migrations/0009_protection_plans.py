"""Protection plans, watched orders and moved stops; the positions that are there have their first stop where it stands."""

from __future__ import annotations


import django.db.models.deletion
import signalist.db.fields
from decimal import Decimal
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0004_leases"),
        ("markets", "0002_leaner_indexes"),
        ("tenants", "0002_cache_table"),
        ("trading", "0008_orders_by_hand"),
    ]

    operations = [
        migrations.CreateModel(
            name="StopMove",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("was", signalist.db.fields.ExactDecimalField(null=True)),
                ("level", signalist.db.fields.ExactDecimalField()),
                ("price", signalist.db.fields.ExactDecimalField()),
                ("reason", models.CharField(max_length=12)),
                ("at", models.DateTimeField()),
            ],
            options={
                "abstract": False,
                "base_manager_name": "objects",
            },
        ),
        migrations.RemoveConstraint(
            model_name="order",
            name="order_one_active_target",
        ),
        migrations.AddField(
            model_name="execution",
            name="plan",
            field=models.JSONField(null=True),
        ),
        migrations.AddField(
            model_name="order",
            name="price_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="order",
            name="reaction_ms",
            field=models.FloatField(null=True),
        ),
        migrations.AddField(
            model_name="order",
            name="rung",
            field=models.PositiveSmallIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="order",
            name="wanted_trigger",
            field=signalist.db.fields.ExactDecimalField(null=True),
        ),
        migrations.AddField(
            model_name="order",
            name="watched",
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name="position",
            name="blind_since",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="position",
            name="dust",
            field=signalist.db.fields.ExactDecimalField(default=Decimal("0")),
        ),
        migrations.AddField(
            model_name="position",
            name="first_stop",
            field=signalist.db.fields.ExactDecimalField(null=True),
        ),
        migrations.AddField(
            model_name="position",
            name="lost_stops",
            field=models.PositiveSmallIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="position",
            name="watched",
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name="subscription",
            name="break_even_gain",
            field=signalist.db.fields.ExactDecimalField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="subscription",
            name="longest_minutes",
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="subscription",
            name="target_ladder",
            field=models.CharField(blank=True, default="", max_length=120),
        ),
        migrations.AddField(
            model_name="subscription",
            name="trail_fraction",
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
                    ("TIME_EXIT", "Time Exit"),
                ],
                max_length=12,
            ),
        ),
        migrations.AlterField(
            model_name="trade",
            name="exit_type",
            field=models.CharField(
                choices=[
                    ("STOP_LOSS", "Stop Loss"),
                    ("TAKE_PROFIT", "Take Profit"),
                    ("SIGNAL", "Signal"),
                    ("MANUAL", "Manual"),
                    ("EMERGENCY", "Emergency"),
                    ("TIME_EXIT", "Time Exit"),
                    ("DUST", "Dust"),
                ],
                max_length=12,
            ),
        ),
        migrations.AddIndex(
            model_name="position",
            index=models.Index(
                condition=models.Q(("is_open", True), ("watched", True)), fields=["account"], name="position_watched"
            ),
        ),
        migrations.AddConstraint(
            model_name="order",
            constraint=models.UniqueConstraint(
                condition=models.Q(
                    ("leg", "TARGET"),
                    ("status__in", ["CREATED", "SENDING", "WORKING", "UNKNOWN", "PARTIAL"]),
                    ("superseded", False),
                ),
                fields=("position", "rung"),
                name="order_one_active_target",
            ),
        ),
        migrations.AddField(
            model_name="stopmove",
            name="position",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="stop_moves", to="trading.position"
            ),
        ),
        migrations.AddField(
            model_name="stopmove",
            name="tenant",
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="+", to="tenants.tenant"),
        ),
        migrations.RunSQL("UPDATE trading_position SET first_stop = stop", migrations.RunSQL.noop),
    ]
