"""Makes the copy of somebody's data: an archive with one file for each section that they may have, as JSON or as CSV."""

from __future__ import annotations

import csv
import io
import json
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from typing import Any

from signalist.api.answers import plain
from signalist.downloads import files
from signalist.downloads.models import Download
from signalist.logs import logger
from signalist.privacy.sections import SECTIONS, Section
from tenants.doors import acting_for
from tenants.models import Membership

log = logger(__name__)

FORMATS = {"json": "JSON", "csv": "CSV"}
KIND = "my-data"
# What a spreadsheet would take for a formula when it opens the file.
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")
GONE = "You are not in this workspace any more."


def make(download_id: int, tenant_id: int) -> str:
    """Make the file, unless somebody else does; what was done, in words. Called again it begins anew where the first was abandoned."""
    with acting_for(tenant_id):
        download = files.begin(download_id, len(SECTIONS))
    if download is None:
        return "nothing to do"
    try:
        return _made(download)
    except Membership.DoesNotExist:
        with acting_for(tenant_id):
            files.failed(download, GONE)
        return "its person has left"
    except Exception as error:
        log.exception("export_failed", download=str(download.public_id))
        with acting_for(tenant_id):
            files.failed(download, f"It could not be made ({type(error).__name__}). Ask for it again.")
        raise


def _made(download: Download) -> str:
    with tempfile.TemporaryFile() as archive:
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as whole:
            for done, section in enumerate(SECTIONS, 1):
                if not section.is_for(_membership(download)):
                    continue
                with whole.open(f"{section.name}.{download.format}", "w") as entry:
                    _write(section, download, io.TextIOWrapper(entry, "utf-8", newline=""))
                with acting_for(download.tenant_id):
                    files.progress(download, done)
        size = archive.tell()
        archive.seek(0)
        for n, content in files.parts_of(archive):
            with acting_for(download.tenant_id):
                files.keep(download, n, content)
    with acting_for(download.tenant_id):
        files.ready(download, size)
    return f"{size} bytes"


def _membership(download: Download) -> Membership:
    """What the person is in the workspace by now: asked at each section, for a copy takes its time. Raises Membership.DoesNotExist."""
    with acting_for(download.tenant_id):
        found: Membership = Membership.objects.get(user_id=download.user_id, is_active=True, user__is_active=True)
    return found


def _write(section: Section, download: Download, to: io.TextIOWrapper) -> None:
    batches = section.read(download.tenant_id, download.user_id)
    (_as_json if download.format == "json" else _as_csv)(section, batches, to)
    to.flush()
    to.detach()


def _as_json(section: Section, batches: Iterable[list[dict[str, Any]]], to: io.TextIOWrapper) -> None:
    sign = "["
    for batch in batches:
        for row in batch:
            to.write(f"{sign}\n{json.dumps(plain(row), ensure_ascii=False)}")
            sign = ","
    to.write("[]\n" if sign == "[" else "\n]\n")


def _as_csv(section: Section, batches: Iterable[list[dict[str, Any]]], to: io.TextIOWrapper) -> None:
    lines = csv.DictWriter(to, list(section.columns))
    lines.writeheader()
    for batch in batches:
        lines.writerows({name: _cell(value) for name, value in row.items()} for row in batch)


def _cell(value: Any) -> Any:
    """A value as a cell: exact, and where a person typed it never a formula (CSV injection)."""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULAS) else value
    said = plain(value)
    return json.dumps(said) if isinstance(said, list | Mapping) else said
