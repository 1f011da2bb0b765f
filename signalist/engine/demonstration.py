"""Sets the demonstration up, once: tables, people, strategies, subscribers, and their past."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from signalist.clock import utc_now
from signalist.db.connections import no_waiting_for_disk
from signalist.domain.synthetic import MINUTE
from signalist.engine import demo_cast, real_market
from signalist.engine.history import History
from signalist.engine.market import SYNTHETIC
from signalist.markets import synthetic
from signalist.venues.kraken.parse import KRAKEN
from tenants.doors import across_tenants
from tenants.rls import become_engine

LENGTH = timedelta(hours=2)
STOPPED = "Stopped. The next start goes on from here."


class Refused(RuntimeError):
    """The demonstration is not for this installation; the message is one sentence."""


def set_up(say: Callable[[str], None], length: timedelta = LENGTH, *, market: str = SYNTHETIC) -> None:
    """Make everything that is missing, with a past of `length` of the synthetic market, or none on real prices (`market` is "kraken").

    Raises Refused in production and AnotherEngine beside a running engine.
    """
    if settings.PRODUCTION:
        raise Refused("The demonstration has log-ins that everybody knows; it is refused in production.")
    settings.DEBUG = False  # Django keeps every statement of a debugging process in memory
    migrate()
    if market == KRAKEN:
        with across_tenants("demonstration"):
            author = demo_cast.people()[demo_cast.AUTHOR.email]
        become_engine()  # which has no business with the addresses of people
        with across_tenants("demonstration"):
            real_market.set_up(say, author)
        return
    with across_tenants("demonstration"):
        if demo_cast.is_complete():
            return
        say(f"Setting up the demonstration: {length} of trading, in a few seconds.")
        begins = MINUTE.last_close(utc_now()) - length
        author = demo_cast.people()[demo_cast.AUTHOR.email]
    become_engine()
    no_waiting_for_disk()
    with across_tenants("demonstration"):
        demo_cast.followed(demo_cast.offered(synthetic.instruments(), author), begins)
    told = asyncio.run(History(begins, say).run())
    demo_cast.complete()
    say(f"{told.closes} closes in {told.seconds:.1f} s.")


def migrate() -> None:
    """Bring the tables up to date. Finding that they are takes a fraction of what the command takes for it."""
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        call_command("migrate", verbosity=0, interactive=False)
