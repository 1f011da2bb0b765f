"""`manage.py verify_audit`: whether the audit log is what it was when it was written."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from signalist.audit.triggers import missing
from signalist.audit.verifying import Anchor, Report, chains, verify
from signalist.clock import utc_now
from tenants.doors import across_tenants
from tenants.models import Tenant
from tenants.rls import become_engine


class Command(BaseCommand):
    """Exit status 1 where anything was changed, removed or moved, or where a trigger is missing; 2 where it cannot look."""

    requires_system_checks = ()
    help = "Verify the hash chains of the audit log and name every row that was changed, removed or reordered."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", help="only this workspace, by its public id; 'none' for what belongs to none")
        parser.add_argument("--json", action="store_true", help="one JSON object; keep it elsewhere for --against")
        parser.add_argument(
            "--against", type=Path, help="an earlier answer of --json: it must still be the beginning of every chain"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        become_engine()
        with across_tenants("audit"):
            names = {tenant.pk: (str(tenant.public_id), tenant.name) for tenant in Tenant.objects.all()}
            anchors = _anchors(options["against"])
            wanted = self._wanted(options["tenant"], {public: pk for pk, (public, _) in names.items()}, anchors, names)
            reports = [verify(chain, anchors.get(_key(chain, names), ())) for chain in wanted]
        absent = missing()
        if options["json"]:
            self.stdout.write(json.dumps(_document(reports, absent, names), indent=1, default=str))
        else:
            self._tell(reports, absent, names)
        if absent or any(report.findings for report in reports):
            sys.exit(1)

    def _wanted(
        self,
        tenant: str | None,
        ids: dict[str, int],
        anchors: dict[str, list[Anchor]],
        names: dict[int, tuple[str, str]],
    ) -> list[int | None]:
        if tenant is None:
            known = chains()
            # A chain that is gone altogether is one that only an earlier answer still knows.
            return known + [ids[key] for key in anchors if key in ids and ids[key] not in known]
        if tenant == "none":
            return [None]
        if tenant not in ids:
            raise CommandError(f"There is no workspace {tenant}; name one by its public id.", returncode=2)
        return [ids[tenant]]

    def _tell(self, reports: list[Report], absent: list[str], names: dict[int, tuple[str, str]]) -> None:
        for report in reports:
            name = names[report.tenant_id][1] if report.tenant_id in names else f"tenant {report.tenant_id or 'none'}"
            late = f", {report.waiting} not linked yet since {report.oldest:%Y-%m-%d %H:%M:%S}" if report.oldest else ""
            self.stdout.write(
                f"{name}: {report.number} linked{late}: {'broken' if report.findings else 'whole'}, head {report.hash}"
            )
            for finding in report.findings:
                self.stdout.write(f"  {finding.kind}: {finding.words}")
        for trigger in absent:
            self.stdout.write(f"trigger {trigger} is missing: run `manage.py migrate`")


def _key(chain: int | None, names: dict[int, tuple[str, str]]) -> str:
    return "none" if chain is None else names[chain][0] if chain in names else str(chain)


def _anchors(path: Path | None) -> dict[str, list[Anchor]]:
    if path is None:
        return {}
    try:
        kept = json.loads(path.read_text())["chains"]
        return {chain["tenant"]: [Anchor(int(chain["number"]), chain["hash"])] for chain in kept if chain["number"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CommandError(f"{path} is no answer of verify_audit --json: {error}.", returncode=2) from None


def _document(reports: list[Report], absent: list[str], names: dict[int, tuple[str, str]]) -> dict[str, Any]:
    return {
        "at": utc_now().isoformat(),
        "whole": not absent and not any(report.findings for report in reports),
        "triggers_missing": absent,
        "chains": [
            {
                "tenant": _key(report.tenant_id, names),
                "number": report.number,
                "hash": report.hash,
                "waiting": report.waiting,
                "oldest_waiting": report.oldest,
                "findings": [asdict(finding) for finding in report.findings],
            }
            for report in reports
        ],
    }
