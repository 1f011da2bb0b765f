"""`manage.py revoke_credentials`: the answer to a leak, in one command."""

from __future__ import annotations

import getpass
import sys
import uuid
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from signalist.clock import monotonic
from signalist.risk.connections import revoke_all
from tenants.doors import across_tenants
from tenants.models import Tenant
from tenants.rls import become_engine


class Command(BaseCommand):
    """Deletes the secrets here and stops entries on their accounts. Without --yes it only counts. Exit status 2 where it is refused."""

    requires_system_checks = ()  # they would load every page
    help = "Revoke every stored key, or those of a venue or a workspace; their owners have to enter new ones."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--venue", default="", help="only of this venue")
        parser.add_argument("--tenant", type=uuid.UUID, help="only of the workspace with this public id")
        parser.add_argument("--reason", default="", help="why; required")
        parser.add_argument("--yes", action="store_true", help="do it: what is revoked is gone")

    def handle(self, *args: Any, **options: Any) -> None:
        become_engine()
        tenant = None
        if options["tenant"] is not None:
            with across_tenants("revoke"):
                tenant = Tenant.objects.filter(public_id=options["tenant"]).first()
        if options["yes"] and (not options["reason"] or (options["tenant"] is not None and tenant is None)):
            self.stderr.write("Name --reason, and a workspace that there is.")
            sys.exit(2)
        begun, key = monotonic(), None if tenant is None else tenant.pk
        who = f"{getpass.getuser()} (command line)"
        count = revoke_all(
            options["reason"], venue=options["venue"], tenant_id=key, who=who, only_count=not options["yes"]
        )
        if options["yes"]:
            self.stdout.write(f"{count} revoked in {monotonic() - begun:.1f} s.")
        else:
            self.stdout.write(f"{count} would be revoked; add --yes and --reason.")
