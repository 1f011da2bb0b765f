"""The database of a simulation: it is emptied between two seeds, so it must hold nothing that anybody else has made."""

from __future__ import annotations

from django.apps import apps
from django.db import connection, transaction

from signalist.accounts.models import Account
from signalist.engine.simulation.cast import MARKED
from signalist.strategies.models import Strategy
from tenants.models import Membership, Tenant

_APPS = ("accounts", "events", "execution", "markets", "risk", "strategies", "trading")


class NotOurs(Exception):
    """The database holds what no simulation has made; the message is one sentence for the person at the terminal."""


def check() -> None:
    """Raise NotOurs where there is anything that is not a simulation's: it would be lost. Behind the door across tenants."""
    if Account._meta.db_table not in connection.introspection.table_names():
        return  # nothing has been made here yet
    others = (
        Membership.objects.exists(),
        Tenant.objects.exclude(name__startswith=MARKED).exists(),
        Account.objects.exclude(venue_ref__startswith=MARKED).exists(),
        Strategy.objects.exclude(slug__startswith=MARKED).exists(),
    )
    if any(others):
        raise NotOurs("This database is in use, and a simulation empties its own; name an empty one in DATABASE_URL.")


def empty() -> None:
    """Delete what the seed before has left; its tenants stay and serve again. Behind the door across tenants."""
    tables = sorted(model._meta.db_table for label in _APPS for model in apps.get_app_config(label).get_models())
    names = [connection.ops.quote_name(table) for table in tables]
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # Fills and events are only ever appended to: no policy lets anybody delete them.
            cursor.execute(f"TRUNCATE {', '.join(names)}")
            return
        for name in names:
            cursor.execute(f"DELETE FROM {name}")  # noqa: S608 the names of our own tables
