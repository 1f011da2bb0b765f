"""`manage.py rotate_keys`: seal all credentials under the newest key of the keyring, and second factors under the present signing key."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django_q.tasks import async_task

from signalist.clock import monotonic
from tenants.rls import become_engine
from tenants.rotation import Rotated, Standing, rotate, standing


class Command(BaseCommand):
    """May be ended and started again at any moment. Exit status 1 where something did not open or its key is missing."""

    requires_system_checks = ()  # they would load every page
    help = "Seal credentials and second factors under the newest keys while everything goes on; a run that was ended goes on where it was."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--status", action="store_true", help="say how far it is and change nothing")
        parser.add_argument("--background", action="store_true", help="leave it to the job runner")
        parser.add_argument("--json", action="store_true", help="one JSON object on standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        become_engine()
        begun, rotated = monotonic(), Rotated()
        if options["background"]:
            async_task("tenants.jobs.rotate_keys", task_name="rotate keys")
        elif not options["status"]:
            rotated = rotate(lambda done: self.stderr.write(f"{done} sealed anew"))
        found = standing()
        if options["json"]:
            self.stdout.write(json.dumps(_said(found, rotated, monotonic() - begun), sort_keys=True))
        else:
            self._tell(found, rotated)
        if rotated.failed or found.missing or found.factors.lost:
            sys.exit(1)

    def _tell(self, found: Standing, rotated: Rotated) -> None:
        for version in sorted({*found.ring, *found.sealed}):
            newest = " (newest)" if version == found.newest else ""
            self.stdout.write(f"key {version}{newest}: seals {found.sealed.get(version, 0)} of {found.total}")
        factors = found.factors
        if factors.older:
            self.stdout.write(f"second factors under older signing keys: {factors.older}. SECRET_KEY_FALLBACKS stay.")
        elif settings.SECRET_KEY_FALLBACKS:
            self.stdout.write(
                f"No second factor needs SECRET_KEY_FALLBACKS any more ({factors.present} are under SECRET_KEY)."
            )
        if factors.lost:
            self.stderr.write(
                f"{factors.lost} second factors open under no key: put the signing key of before into SECRET_KEY_FALLBACKS."
            )
        for credential, why in rotated.failed.items():
            self.stderr.write(f"credential {credential} stays as it is: {why}")
        for version in found.missing:
            self.stderr.write(
                f"Key {version} seals credentials and is in no ring: put it back, or have them entered again."
            )
        for version in found.retirable:
            self.stdout.write(f"Nothing needs key {version} any more: take it out of the ring of every process.")


def _said(found: Standing, rotated: Rotated, seconds: float) -> dict[str, Any]:
    return {
        "newest": found.newest,
        "sealed": {str(version): count for version, count in sorted(found.sealed.items())},
        "left": found.left,
        "retirable": list(found.retirable),
        "missing": list(found.missing),
        "rotated": rotated.done,
        "second_factors": asdict(found.factors) | {"rotated": rotated.factors},
        "failed": rotated.failed,
        "seconds": round(seconds, 3),
    }
