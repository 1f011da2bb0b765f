"""The house's commands as other programs run them: processes of their own, on databases of their own."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.flows.forks import PATIENCE, ROOT, Nursery, Said, Started, inherited

_ANOTHER_HOUSE = {"SIGNALIST_ENV", "SIGNALIST_DEBUG", "SIGNALIST_PROCESS"}


@dataclass(frozen=True, slots=True)
class OwnDatabase:
    """A database that a test has for itself; `url` is what DATABASE_URL takes."""

    url: str

    @property
    def vendor(self) -> str:
        return "sqlite" if self.url.startswith("sqlite") else "postgresql"

    def environment(self, **more: str) -> dict[str, str]:
        """The variables of a command that works on it. Nothing here has to survive a power cut."""
        return inherited() | {"DATABASE_URL": self.url, "SIGNALIST_SQLITE_SYNCHRONOUS": "OFF"} | more

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """What a plain SELECT finds, past Django and its doors."""
        if self.vendor == "sqlite":
            connection = sqlite3.connect(urlsplit(self.url).path[1:])
            try:
                return connection.execute(statement).fetchall()
            finally:
                connection.close()
        with psycopg.connect(self.url) as other:
            other.execute("SELECT set_config('app.across', 'tests', true)")
            return other.execute(statement).fetchall()

    def numbers(self, statement: str) -> dict[str, Decimal]:
        """What a SELECT of (name, number) finds."""
        return {name: Decimal(str(number)) for name, number in self.rows(statement)}


_numbers = itertools.count()
"""Of all databases that this process makes, whoever makes them."""


class Databases:
    """Makes databases for tests, on SQLite files in a folder or on the server of the test run, and removes them again."""

    def __init__(self, settings: Mapping[str, Any], folder: Path) -> None:
        self._settings, self._folder = settings, folder
        self._made: list[OwnDatabase] = []
        self._on_server = settings["ENGINE"] == "django.db.backends.postgresql"

    def empty(self, *, vendor: str | None = None) -> OwnDatabase:
        """A database without a table."""
        return self._new(None, vendor)

    def copy(self, source: OwnDatabase) -> OwnDatabase:
        """A database with everything that `source` holds; nobody may be using it."""
        return self._new(source, source.vendor)

    def copy_as(self, source: OwnDatabase, name: str) -> None:
        """Make the database `name`, on SQLite a file, in place of what may be there, with everything that `source` holds."""
        self.remove_named(name)
        if self._on_server:
            self._order(f'CREATE DATABASE "{name}" TEMPLATE "{_name(source)}"')
        else:
            shutil.copy(urlsplit(source.url).path[1:], name)

    def drop(self) -> None:
        """Remove all that were made."""
        for database in self._made:
            self.remove(database)

    def remove(self, database: OwnDatabase) -> None:
        """Remove a database, even while somebody is connected to it; a file goes with its folder."""
        if database.vendor == "postgresql":
            self.remove_named(_name(database))

    def remove_named(self, name: str) -> None:
        """Remove a database by its name, or the file that it is."""
        if self._on_server:
            self._order(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        else:
            for suffix in ("", "-wal", "-shm"):
                Path(f"{name}{suffix}").unlink(missing_ok=True)

    def _new(self, source: OwnDatabase | None, vendor: str | None) -> OwnDatabase:
        name = f"flows_{os.getpid()}_{next(_numbers)}"
        if vendor == "sqlite" or not self._on_server:
            database = OwnDatabase(f"sqlite:///{self._folder / name}.sqlite3")
            if source is not None:
                shutil.copy(urlsplit(source.url).path[1:], self._folder / f"{name}.sqlite3")
        else:
            template = f' TEMPLATE "{_name(source)}"' if source is not None else ""
            self._order(f'CREATE DATABASE "{name}"{template}')
            database = OwnDatabase(_url(self._settings, name))
        self._made.append(database)
        return database

    def _order(self, statement: str) -> None:
        """Carry out a statement about databases, again where the server itself is at work in one (it cleans up behind the rows)."""
        with psycopg.connect(_url(self._settings, "postgres"), autocommit=True) as connection:
            for left in reversed(range(60)):
                try:
                    connection.execute(statement)  # type: ignore[arg-type]  # names of our own making
                    return
                except (psycopg.errors.InsufficientPrivilege, psycopg.errors.ObjectInUse):
                    if not left:
                        raise
                    time.sleep(0.25)


def of_the_test_run(connection: BaseDatabaseWrapper) -> OwnDatabase:
    """The database that the tests of this process are on; a command sees what they have committed."""
    if connection.vendor == "sqlite":
        return OwnDatabase(f"sqlite:///{connection.settings_dict['NAME']}")
    return OwnDatabase(_url(connection.settings_dict, connection.settings_dict["NAME"]))


def _url(settings: Mapping[str, Any], name: str) -> str:
    """What DATABASE_URL says for the database `name` of the server that Django's `settings` name."""
    host = str(settings["HOST"])
    login = f"{quote(settings['USER'], safe='')}:{quote(settings['PASSWORD'], safe='')}"
    query = f"?host={quote(host, safe='/')}" if host.startswith("/") else ""
    return f"postgres://{login}@{'' if query else host}:{settings['PORT']}/{name}{query}"


def _name(database: OwnDatabase) -> str:
    return unquote(urlsplit(database.url).path[1:])


_nursery = Nursery()


def manage(database: OwnDatabase, *arguments: str, module: Sequence[str] = (), **more: str) -> Said:
    """Run a command of `manage.py` to its end; `more` are further environment variables. `module`: what to start Python with instead.

    A house of another kind (production, or with other middleware) is loaded for it, and so is one for `module`.
    """
    environment = database.environment(**more)
    if not module and not more.keys() & _ANOTHER_HOUSE:
        return _nursery.run(arguments, environment)
    done = subprocess.run(
        [sys.executable, *(module or ["manage.py"]), *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    return Said(done.returncode, done.stdout, done.stderr)


def replay(
    database: OwnDatabase,
    recording: Path,
    *options: str,
    subscribers: int = 3,
    seed: int = 0,
    strategy: str = "moving-average-crossover",
    failpoint: str = "",
    module: Sequence[str] = (),
) -> Said:
    """Replay a recording of BTC-PERP minutes; `failpoint` is where the process kills itself."""
    arguments = ["--instrument", "BTC-PERP", "--timeframe", "1m", "--strategy", strategy, "--speed", "max", "--json"]
    arguments += ["--subscribers", str(subscribers), "--seed", str(seed), *options]
    armed = {"SIGNALIST_FAILPOINT": failpoint} if failpoint else {}
    return manage(database, "replay", str(recording), *arguments, module=module, **armed)


def passages(database: OwnDatabase, recording: Path, out: Path) -> dict[str, int]:
    """How often an undisturbed replay passes each failpoint."""
    assert replay(database, recording, module=("-m", "tests.flows.passages", str(out))).status == 0
    counted: dict[str, int] = json.loads(out.read_text(encoding="utf-8"))
    return counted


def engine(database: OwnDatabase, *arguments: str, **more: str) -> Started:
    """Start `manage.py engine`; the caller ends it. What it says is the test's own output."""
    return _nursery.start(["engine", *arguments], database.environment(**more))
