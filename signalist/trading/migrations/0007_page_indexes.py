"""Lists of a tenant's newest decisions and trades are read from indexes of their own, which stand in for those of the tenant alone."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


def _tenant() -> models.ForeignKey:
    return models.ForeignKey(
        db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="tenants.tenant"
    )


class Migration(migrations.Migration):
    dependencies = [("trading", "0006_position_leverage")]

    operations = [
        migrations.AddIndex(
            model_name="execution", index=models.Index(fields=["tenant", "id"], name="execution_newest")
        ),
        migrations.AddIndex(
            model_name="trade", index=models.Index(fields=["tenant", "closed_at"], name="trade_by_close")
        ),
        migrations.AlterField(model_name="execution", name="tenant", field=_tenant()),
        migrations.AlterField(model_name="trade", name="tenant", field=_tenant()),
    ]
