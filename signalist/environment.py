"""Reads the environment, typed, and says in one sentence what to set where it is wrong.

Nothing here imports Django, so a mistake is reported before anything else has started. `Misconfigured` carries exactly one sentence,
which names the variable; a secret's value is never part of it.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import importlib.util
import os
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qs, unquote, urlsplit

KEY_BYTES = 32
SECRET_CHARACTERS = 50
_TRUE = frozenset({"true", "1"})
_FALSE = frozenset({"false", "0"})
_GIVEAWAYS = ("django-insecure", "changeme", "change-me", "change_me", "development", "example", "password", "replace")


class Misconfigured(Exception):
    """The environment cannot be used as it is; the message is one sentence that says what to set."""


def text(name: str, default: str | None = None, *, choices: tuple[str, ...] = ()) -> str:
    """Return the variable without surrounding blanks; an unset or empty one is `default`, and refused where there is none."""
    value = os.environ.get(name, "").strip()
    if not value:
        if default is None:
            raise Misconfigured(f"Set {name}: it is required and has no default.")
        return default
    if choices and value not in choices:
        raise Misconfigured(f"Set {name} to one of {', '.join(choices)}, not {value!r}.")
    return value


def boolean(name: str, default: bool) -> bool:
    """Return a switch. Only true, false, 1 and 0 are understood: a typing error must not turn something on."""
    value = text(name, "true" if default else "false").lower()
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise Misconfigured(f"Set {name} to true, false, 1 or 0, not {value!r}.")


def integer(name: str, default: int, *, minimum: int | None = None, maximum: int | None = None) -> int:
    """Return a whole number between `minimum` and `maximum`, both included."""
    value = text(name, str(default))
    try:
        number = int(value)
    except ValueError:
        raise Misconfigured(f"Set {name} to a whole number, not {value!r}.") from None
    if minimum is not None and number < minimum:
        raise Misconfigured(f"Set {name} to {minimum} or more, not {number}.")
    if maximum is not None and number > maximum:
        raise Misconfigured(f"Set {name} to {maximum} or less, not {number}.")
    return number


def listing(name: str, default: tuple[str, ...] = ()) -> list[str]:
    """Return the comma-separated entries, without blanks and without empty ones."""
    value = text(name, "")
    if not value:
        return list(default)
    return [entry.strip() for entry in value.split(",") if entry.strip()]


def counts(name: str, keys: tuple[str, ...]) -> dict[str, int]:
    """Return what is given as `key=count,key=count`, each key one of `keys` and each count 1 or more; nothing where it is not set."""
    found = {}
    for entry in listing(name):
        key, _, count = (part.strip() for part in entry.partition("="))
        if key not in keys or not count.isdecimal() or int(count) < 1:
            raise Misconfigured(f"Set {name} to pairs such as {keys[0]}=90, of {', '.join(keys)}, not {entry!r}.")
        found[key] = int(count)
    return found


def secret(name: str) -> str | None:
    """Return a secret from NAME, or from the file that NAME_FILE names, or None where neither is set.

    Both at once is refused, because nobody could tell which one is in force.
    """
    value = os.environ.get(name, "").strip()
    file = os.environ.get(f"{name}_FILE", "").strip()
    if value and file:
        raise Misconfigured(f"Set either {name} or {name}_FILE, not both.")
    if not file:
        return value or None
    try:
        value = Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise Misconfigured(f"Set {name}_FILE to a file that can be read: {file} cannot ({reason}).") from None
    if not value:
        raise Misconfigured(f"Put the secret into the file that {name}_FILE names: {file} is empty.")
    return value


def web_address(name: str, value: str | None) -> str:
    """An address to call, "" where none is set. Raises Misconfigured where it is none of the web."""
    if value and not value.startswith(("https://", "http://")):
        raise Misconfigured(f"Set {name} to an address that begins with https:// or http://.")
    return value or ""


def cache_address(name: str, value: str | None) -> str:
    """Return the address of a Redis, "" where none is set."""
    if not value:
        return ""
    if urlsplit(value).scheme not in ("redis", "rediss", "unix"):
        raise Misconfigured(f"Set {name} to an address that begins with redis://, rediss:// or unix://.")
    if importlib.util.find_spec("redis") is None:
        raise Misconfigured(f"Leave {name} out or install the package redis: it is set, and nothing here speaks to it.")
    return value


def rate(name: str, default: str) -> str:
    """Return so many requests in so many seconds, as `100/60`."""
    value = text(name, default)
    if not re.fullmatch(r"[1-9]\d{0,6}/[1-9]\d{0,6}", value):
        raise Misconfigured(f"Set {name} to requests and seconds such as 100/60, not {value!r}.")
    return value


def signing_secret(name: str, value: str | None) -> str:
    """Return a secret for signing once it is long, varied and no known stand-in; refuse it otherwise."""
    advice = f"Set {name} (or {name}_FILE) to at least {SECRET_CHARACTERS} random characters"
    if not value:
        raise Misconfigured(f"{advice}: it is missing.")
    if any(giveaway in value.lower() for giveaway in _GIVEAWAYS):
        raise Misconfigured(f"{advice}: its value is a stand-in, not a secret.")
    if len(value) < SECRET_CHARACTERS:
        raise Misconfigured(f"{advice}: it has only {len(value)}.")
    if _is_monotonous(value.encode()):
        raise Misconfigured(f"{advice}: its value repeats itself.")
    return value


def keyring(name: str, value: str | None) -> dict[int, bytes]:
    """Return keys by version from `version:base64 of 32 bytes`, separated by commas, the newest last.

    Versions rise, so that the last entry of the answer is the one to seal with and the others only unseal.
    """
    advice = (
        f"Set {name} (or {name}_FILE) to version:key pairs separated by commas, a key being 32 random bytes in base64"
    )
    if not value:
        raise Misconfigured(f"{advice}: it is missing.")
    keys: dict[int, bytes] = {}
    for entry in (part.strip() for part in value.split(",")):
        version, _, encoded = entry.partition(":")
        if not version.isascii() or not version.isdecimal() or int(version) < 1:
            raise Misconfigured(f"{advice}: an entry does not begin with a version from 1 up.")
        number, key = int(version), _key(encoded, f"{advice}: the key of version {version}")
        if keys and number <= max(keys):
            raise Misconfigured(f"{advice}: version {number} does not come after version {max(keys)}.")
        if key in keys.values():
            raise Misconfigured(f"{advice}: version {number} repeats the key of an older version.")
        keys[number] = key
    return keys


def _key(encoded: str, subject: str) -> bytes:
    try:
        key = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise Misconfigured(f"{subject} is not base64.") from None
    if len(key) != KEY_BYTES:
        raise Misconfigured(f"{subject} has {len(key)} bytes.")
    if _is_monotonous(key):
        raise Misconfigured(f"{subject} is not random.")
    return key


def _is_monotonous(value: bytes) -> bool:
    """Whether the value is made of few characters, of one piece repeated, or of an even count up or down."""
    if len(set(value)) < 16 or (value + value).find(value, 1) < len(value):
        return True
    return len({(after - before) % 256 for before, after in pairwise(value)}) == 1


def new_signing_secret() -> str:
    """Return a fresh value that `signing_secret` accepts."""
    return secrets.token_urlsafe(64)


def new_keyring() -> str:
    """Return a fresh keyring of one key, in the form that `keyring` reads."""
    return f"1:{base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()}"


def made_once(path: Path, make: Callable[[], str]) -> str:
    """Return what `path` holds, and on the first use on this machine write `make()` there, for its owner only (mode 0600).

    The value is written aside and linked into place: of several processes that start at once, one wins, and no one reads half a value.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        aside = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(make())
        try:
            with contextlib.suppress(FileExistsError):  # another process was first; its value is the one
                os.link(aside, path)
        finally:
            aside.unlink()
    if path.stat().st_mode & 0o077:
        raise Misconfigured(f"Run chmod 600 on {path}: others can read the key that it holds.")
    return path.read_text(encoding="utf-8").strip()


@dataclass(frozen=True, slots=True)
class Database:
    """Where the rows are. For SQLite only `name` (a path) is set; on PostgreSQL `host` may be the directory of a Unix socket."""

    vendor: Literal["sqlite", "postgresql"]
    name: str
    user: str = ""
    password: str = field(default="", repr=False)
    host: str = ""
    port: str = ""


def database(url: str) -> Database:
    """Read `sqlite:///relative`, `sqlite:////absolute` or `postgres://user:password@host:port/name`.

    A socket directory goes into the query: `postgres://user@/name?host=/run/postgresql`.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Misconfigured("Set DATABASE_URL to a valid address: its host or port cannot be read.") from None
    name = unquote(parts.path[1:])
    if parts.scheme == "sqlite":
        if parts.netloc or not name or name == ":memory:":
            raise Misconfigured(
                "Set DATABASE_URL to sqlite:///path/to/file: SQLite needs a file that several processes can open."
            )
        return Database("sqlite", name)
    if parts.scheme not in {"postgres", "postgresql"}:
        raise Misconfigured("Set DATABASE_URL to an address that begins with sqlite:/// or postgres://.")
    if not name or "/" in name:
        raise Misconfigured(
            "Set DATABASE_URL to postgres://user:password@host:port/name: the name of the database is missing."
        )
    query = parse_qs(parts.query)
    unknown = sorted(set(query) - {"host", "port"})
    if unknown:
        raise Misconfigured(f"Set DATABASE_URL without {unknown[0]!r}: its query may hold only host and port.")
    return Database(
        "postgresql",
        name,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        host=query.get("host", [unquote(parts.hostname or "")])[0],
        port=query.get("port", [str(port or "")])[0],
    )
