from django.db import migrations, models

STATES = "CREATED SENDING WORKING UNKNOWN PARTIAL FILLED CANCELLED DENIED REJECTED EXPIRED".split()


class Migration(migrations.Migration):
    """An order that we sent nobody is DENIED, not the venue's REJECTED."""

    dependencies = [
        ("trading", "0019_declined_version"),
    ]

    operations = [
        migrations.RemoveConstraint(model_name="order", name="order_status_known"),
        migrations.AddConstraint(
            model_name="order",
            constraint=models.CheckConstraint(condition=models.Q(("status__in", STATES)), name="order_status_known"),
        ),
    ]
