"""`manage.py import_credentials FILE`: take over credentials that an older system had sealed."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from signalist import environment
from tenants.legacy_secrets import CannotImport, Legacy, legacy_key, take_over
from tenants.rls import become_engine


class Command(BaseCommand):
    """May be repeated: what is there already stays as it is. Exit status 1 where an entry failed, 2 where nothing could be read."""

    requires_system_checks = ()  # they would load every page
    help = (
        'Import credentials from a JSON list of {"tenant": public id, "venue", "label", "secrets": {field: "iv:tag:ciphertext"}}; '
        "the older key comes from LEGACY_ENCRYPTION_KEY or the file that LEGACY_ENCRYPTION_KEY_FILE names."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        become_engine()
        try:
            key = legacy_key(environment.secret("LEGACY_ENCRYPTION_KEY") or "")
            said = json.loads(options["file"].read_text(encoding="utf-8"))
            entries = [Legacy.of(one) for one in said]
        except (CannotImport, OSError, ValueError, TypeError) as error:
            self.stderr.write(
                str(error) if isinstance(error, CannotImport | OSError) else "The file holds no JSON list."
            )
            sys.exit(2)
        done = take_over(entries, key)
        self.stdout.write(f"{len(done.made)} taken over, {len(done.there)} there already, {len(done.failed)} failed.")
        for name, why in done.failed.items():
            self.stderr.write(f"{name}: {why}")
        if done.failed:
            sys.exit(1)
