"""`manage.py kill`: throw the kill switch or release it, on any layer, with no other process needed."""

from __future__ import annotations

import getpass
import sys
import uuid
from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand

from signalist.accounts.models import Account, AccountState
from signalist.domain.errors import DomainError
from signalist.execution.actions import Beside, kill
from signalist.execution.health import present
from signalist.risk.actions import Where
from signalist.risk.models import Layer
from signalist.risk.selectors import thrown
from signalist.strategies.models import Strategy
from signalist.trading.models import Subscription
from tenants.doors import across_tenants
from tenants.models import Tenant
from tenants.rls import become_engine

_WHAT = {
    Layer.STRATEGY.value: "its slug",
    Layer.TENANT.value: "the workspace's public id",
    Layer.ACCOUNT.value: "the account's public id",
    Layer.SUBSCRIPTION.value: "the subscription's public id",
}


class Command(BaseCommand):
    """Effective with its commit: engines read the switch in every decision and before every entry. Exit status 2 where it is refused."""

    requires_system_checks = ()  # they would load every page
    help = "Throw the kill switch (REDUCING: exits only; HALTED: nothing but cancels and protection) or release it (ACTIVE)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--layer", choices=[layer.value.lower() for layer in Layer])
        parser.add_argument("--id", default="", help="; ".join(f"{k.lower()}: {v}" for k, v in _WHAT.items()))
        parser.add_argument("--state", choices=[state.value for state in AccountState], type=str.upper)
        parser.add_argument("--reason", default="", help="why; required")
        parser.add_argument("--who", default=getpass.getuser(), help="who throws it; the log-in by default")
        parser.add_argument("--cancel-entries", action="store_true", help="withdraw entries that work at venues, too")
        parser.add_argument(
            "--flatten", action="store_true", help="close what is open at market, too; goes past a halt"
        )
        parser.add_argument("--show", action="store_true", help="list the switches that are thrown and change nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        become_engine()
        with across_tenants("kill"):
            if not options["show"]:
                try:
                    self._switch(options)
                except DomainError as error:
                    self.stderr.write(str(error))
                    sys.exit(2)
            for one in (found := thrown()):
                self.stdout.write(str(one))
            if not found:
                self.stdout.write("No switch is thrown: everything is ACTIVE.")

    def _switch(self, options: dict[str, Any]) -> None:
        if not options["layer"] or not options["state"]:
            raise DomainError("Name --layer and --state, or --show.")
        where = found(Layer(options["layer"].upper()), options["id"])
        state, who = AccountState(options["state"]), f"{options['who']} (command line)"
        beside = Beside(options["cancel_entries"] or options["flatten"], options["flatten"])
        swept = kill(where, state, options["reason"], present(), who=who, beside=beside, operator=True)
        self.stdout.write(
            f"{options['layer']} {where.name}: {state.value}." + (f" {swept} accounts swept." * (swept > 0))
        )


def found(layer: Layer, name: str) -> Where:
    """What `name` names on a layer. Raises DomainError where there is no such thing."""
    try:
        if layer is Layer.PLATFORM:
            return Where.platform()
        if layer is Layer.STRATEGY:
            return Where.of_strategy(Strategy.objects.get(slug=name))
        key = uuid.UUID(name)
        if layer is Layer.TENANT:
            return Where.of_tenant(Tenant.objects.get(public_id=key))
        if layer is Layer.ACCOUNT:
            return Where.of_account(Account.objects.get(public_id=key))
        return Where.of_subscription(Subscription.objects.get(public_id=key))
    except (ValueError, ValidationError):
        raise DomainError(f"--id must be {_WHAT[layer.value]}, not {name!r}.") from None
    except (Strategy.DoesNotExist, Tenant.DoesNotExist, Account.DoesNotExist, Subscription.DoesNotExist):
        raise DomainError(f"There is no {layer.value.lower()} {name!r}; --id is {_WHAT[layer.value]}.") from None
