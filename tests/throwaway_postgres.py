"""Runs a command against a PostgreSQL made for it: `python -m tests.throwaway_postgres -- COMMAND…`.

A server that `POSTGRES_ADMIN_URL` names is used as it is; otherwise a cluster of its own is made in a temporary directory from the
server binaries of this machine, and removed afterwards. Either way the command gets a `DATABASE_URL` whose role is no superuser and
cannot bypass row-level security. The exit status is the command's, and 3 only where no server can be had (a command's own 3 becomes 1).
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg import sql

NO_SERVER = 3
DATABASE = "signalist"
LOGIN = "signalist_test"
GROUPS = ("signalist_web", "signalist_engine", "signalist_tail")
START_SECONDS = 60
_ADMIN = "signalist_admin"
# The data is thrown away, so nothing waits for a disk and nothing is kept for a replica.
_SERVER_OPTIONS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "1h",
    "shared_buffers": "256MB",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class NoServer(Exception):
    """PostgreSQL cannot be had here; the message is one sentence that says why."""


def main(arguments: list[str]) -> int:
    """Run the command behind `--`; return its exit status, or 3 without a server."""
    if not arguments or arguments[0] != "--" or len(arguments) < 2:
        print("Usage: python -m tests.throwaway_postgres -- COMMAND…", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, _leave)
    with ExitStack() as stack:
        try:
            admin = stack.enter_context(server())
            address = _prepare(admin)
        except NoServer as reason:
            print(reason, file=sys.stderr)
            return NO_SERVER
        return _run(arguments[1:], address)


def _leave(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _run(command: list[str], address: str) -> int:
    environment = {
        name: value for name, value in os.environ.items() if name not in {"DATABASE_URL_FILE", "DATABASE_ROLE"}
    }
    try:
        process = subprocess.Popen(command, env={**environment, "DATABASE_URL": address})
    except OSError as error:
        print(f"{command[0]} cannot be run: {error.strerror}.", file=sys.stderr)
        return 127
    try:
        status = process.wait()
    except BaseException:  # SIGTERM and Ctrl-C: the command ends before its server does
        _end(process, signal.SIGTERM)
        raise
    if status < 0:
        return 128 - status
    return 1 if status == NO_SERVER else status


# --- The server ----------------------------------------------------------------


@contextmanager
def server() -> Iterator[str]:
    """Yield the connection string of a superuser on a server that answers."""
    given = os.environ.get("POSTGRES_ADMIN_URL", "").strip()
    if given:
        try:
            psycopg.connect(given, connect_timeout=5).close()
        except psycopg.Error as error:
            raise NoServer(f"The server that POSTGRES_ADMIN_URL names does not answer: {_first_line(error)}.") from None
        yield given
        return
    binaries = _binaries()
    home = Path(tempfile.mkdtemp(prefix="signalist-pg-"))
    try:
        with _cluster(binaries, home) as address:
            yield address
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _binaries() -> Path:
    """Return the directory of `initdb` and `postgres`: from the PATH, a Debian or Red Hat installation, or `pg_config`."""
    candidates = [Path(found).resolve().parent for found in [shutil.which("postgres")] if found]
    versions = [*Path("/usr/lib/postgresql").glob("*/bin"), *Path("/usr").glob("pgsql-*/bin")]
    candidates += sorted(versions, key=lambda path: _digits(path.parent.name), reverse=True)
    if shutil.which("pg_config"):
        answer = subprocess.run(["pg_config", "--bindir"], capture_output=True, text=True, check=False)
        candidates.append(Path(answer.stdout.strip() or "/nonexistent"))
    for directory in candidates:
        if os.access(directory / "postgres", os.X_OK) and os.access(directory / "initdb", os.X_OK):
            return directory
    raise NoServer(
        "No PostgreSQL server is installed: install the package postgresql, or set POSTGRES_ADMIN_URL to one that answers."
    )


def _digits(name: str) -> int:
    return int("".join(character for character in name if character.isdigit()) or 0)


@contextmanager
def _cluster(binaries: Path, home: Path) -> Iterator[str]:
    as_owner = _unprivileged(home)
    password = secrets.token_urlsafe(24)
    secret_file = home / "password"
    secret_file.touch(mode=0o600)
    secret_file.write_text(password, encoding="utf-8")
    if "user" in as_owner:
        os.chown(secret_file, as_owner["user"], as_owner["group"])
    options = [
        "--auth=scram-sha-256",
        f"--username={_ADMIN}",
        f"--pwfile={secret_file}",
        "--encoding=UTF8",
        "--locale=C",
        "--no-sync",
    ]
    made = subprocess.run(
        [binaries / "initdb", "-D", home / "data", *options], capture_output=True, text=True, check=False, **as_owner
    )
    if made.returncode:
        raise NoServer(
            f"initdb could not make a cluster: {(made.stderr.strip().splitlines() or ['it says nothing'])[-1]}."
        )
    port = _free_port()
    settings = {
        **_SERVER_OPTIONS,
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": str(home),
    }
    command = [str(binaries / "postgres"), "-D", str(home / "data")]
    command += [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    with (home / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, **as_owner
        )
    try:
        address = f"postgresql://{_ADMIN}:{quote(password, safe='')}@{_host(home, port)}"
        _wait_until_it_answers(process, address, home / "server.log")
        yield address
    finally:
        _end(process, signal.SIGINT)  # a fast shutdown: open connections are cut


def _host(home: Path, port: int) -> str:
    """Where the server answers: its Unix socket, which costs a third less a round trip, or TCP where the path is too long for one."""
    if len(str(home)) > 80:
        return f"127.0.0.1:{port}/postgres"
    return f":{port}/postgres?host={quote(str(home), safe='/')}"


def _unprivileged(home: Path) -> dict[str, Any]:
    """Return how to start the server's processes: PostgreSQL refuses to run as root, so root hands the directory to someone else."""
    common: dict[str, Any] = {"cwd": home}
    if os.geteuid() != 0:
        return common
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    ordinary = next((entry for entry in names.values() if 1000 <= entry.pw_uid < 60000), None)
    owner = names.get("postgres") or ordinary or names.get("nobody")
    if owner is None:
        raise NoServer("PostgreSQL does not run as root, and this machine has no other user to run it as.")
    os.chown(home, owner.pw_uid, owner.pw_gid)
    return {**common, "user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_it_answers(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    reason = "it gave no answer in time"
    while time.monotonic() < deadline and process.poll() is None:
        try:
            psycopg.connect(address, connect_timeout=5).close()
        except psycopg.OperationalError as error:
            reason = _first_line(error)
            time.sleep(0.05)
        else:
            return
    if process.poll() is not None:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        reason = lines[-1] if lines else "it ended at once"
    raise NoServer(f"The throwaway PostgreSQL did not start: {reason}.")


def _end(process: subprocess.Popen[Any], how: signal.Signals) -> None:
    """Ask the process to end, and after twenty seconds make it."""
    if process.poll() is not None:
        return
    process.send_signal(how)
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


# --- Roles and database --------------------------------------------------------


def _prepare(admin: str) -> str:
    """Make the groups, the log-in and its database, and return the log-in's address."""
    password = secrets.token_urlsafe(24)
    login, database = sql.Identifier(LOGIN), sql.Identifier(DATABASE)
    try:
        with psycopg.connect(admin, autocommit=True) as connection:
            address = _address(connection.info, password)
            for group in GROUPS:
                _role(connection, group, "NOLOGIN NOSUPERUSER NOBYPASSRLS")
            _role(connection, LOGIN, "LOGIN NOSUPERUSER NOBYPASSRLS NOINHERIT NOCREATEROLE CREATEDB")
            connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(login, sql.Literal(password)))
            if (
                connection.info.server_version >= 150000
            ):  # how rows go between tests without a look at every table that may point to them
                connection.execute(sql.SQL("GRANT SET ON PARAMETER session_replication_role TO {}").format(login))
            for group in GROUPS:
                connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(group), login))
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
                connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(database, login))
        for name in ("template1", DATABASE):
            _open_schema(admin, name)
    except psycopg.Error as error:
        raise NoServer(
            f"The roles for the tests could not be made, which takes a superuser: {_first_line(error)}."
        ) from None
    return address


def _open_schema(admin: str, database: str) -> None:
    """Let the log-in make tables: it inherits nothing, hence not either what PostgreSQL gives to a database's owner.

    Test databases are copies of template1, so it is granted there as well.
    """
    with psycopg.connect(admin, dbname=database, autocommit=True) as connection:
        connection.execute(sql.SQL("GRANT USAGE, CREATE ON SCHEMA public TO {}").format(sql.Identifier(LOGIN)))


def _address(info: psycopg.ConnectionInfo, password: str) -> str:
    query = f"?host={quote(info.host, safe='/')}" if info.host.startswith("/") else ""
    host = "" if query else info.host
    return f"postgres://{LOGIN}:{quote(password, safe='')}@{host}:{info.port}/{DATABASE}{query}"


def _role(connection: psycopg.Connection[Any], name: str, rights: str) -> None:
    known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name]).fetchone()
    verb = "ALTER" if known else "CREATE"
    connection.execute(sql.SQL("{} ROLE {} {}").format(sql.SQL(verb), sql.Identifier(name), sql.SQL(rights)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
