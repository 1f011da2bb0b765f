"""One database with all tables for a whole test run: made by whoever needs it first, and copied for everybody else.

Migrating takes a dozen seconds of a processor; every worker did it twice. On SQLite the file is kept in the machine's temporary folder
for the next run, under a name that changes with the migrations and with what they call.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from django.apps import apps
from django.conf import settings
from django.db import connection

from tests.flows.commands import ROOT, Databases, OwnDatabase, manage

_RUN = "SIGNALIST_TEST_RUN"


_soon: list[threading.Thread] = []


def begin(*, soon: bool) -> None:
    """Name this test run; its workers are told by their environment. `soon`: make the database meanwhile, as they collect their tests."""
    os.environ[_RUN] = uuid.uuid4().hex[:12]
    if soon:
        _soon.append(threading.Thread(target=migrated))
        _soon[0].start()


def end() -> None:
    """Remove what the run has made; its workers have ended."""
    for thread in _soon:
        thread.join()
    said = _folder() / "made"
    if said.is_file():
        _maker().remove(OwnDatabase(said.read_text(encoding="utf-8")))
    shutil.rmtree(_folder(), ignore_errors=True)


def migrated() -> OwnDatabase:
    """A database with all tables and no rows but those that migrations put there. It is for copying: nobody may connect to it."""
    said = _folder() / "made"
    with _alone():
        if not said.is_file():
            said.write_text(_made().url, encoding="utf-8")
    return OwnDatabase(said.read_text(encoding="utf-8"))


def _made() -> OwnDatabase:
    return on_sqlite() if connection.vendor == "sqlite" else _newly_migrated(connection.vendor)


def on_sqlite() -> OwnDatabase:
    """The same on SQLite, whatever the run is on; for copying."""
    kept = Path(tempfile.gettempdir()) / f"signalist-migrated-{os.getuid()}-{_migrations()}.sqlite3"
    if not kept.is_file():
        fresh = Path(urlsplit(_newly_migrated("sqlite").url).path[1:])
        half = kept.with_suffix(f".{os.getpid()}")
        shutil.copy(fresh, half)
        half.rename(kept)  # whole or not at all, whoever else does the same
    return OwnDatabase(f"sqlite:///{kept}")


def _newly_migrated(vendor: str) -> OwnDatabase:
    made = _maker().empty(vendor=vendor)
    answer = manage(made, "migrate", "--verbosity", "0")
    assert answer.status == 0, answer.err
    return made


def _migrations() -> str:
    """What the tables come from, as a short digest: every app's migrations, and our own modules that they may call."""
    digest = hashlib.sha256()
    sources = [path for app in apps.get_app_configs() for path in (Path(app.path) / "migrations").glob("*.py")]
    sources += [*(ROOT / "tenants").glob("*.py"), *(ROOT / "signalist" / "db").glob("*.py")]
    sources += (ROOT / "signalist" / "audit").glob("*.py")
    for path in sorted(sources):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def lay_test_database() -> None:
    """Make the database that Django's tests of this process run on."""
    source = migrated()
    with _alone():
        _maker().copy_as(source, connection.creation._get_test_db_name())


def remove_test_database() -> None:
    """Remove it; nothing may be connected to it any more."""
    _maker().remove_named(connection.creation._get_test_db_name())


def _maker() -> Databases:
    return Databases(settings.DATABASES["default"], _folder())


def _folder() -> Path:
    folder = Path(tempfile.gettempdir()) / f"signalist-tests-{os.environ[_RUN]}"
    folder.mkdir(exist_ok=True)
    return folder


@contextmanager
def _alone() -> Iterator[None]:
    with (_folder() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
