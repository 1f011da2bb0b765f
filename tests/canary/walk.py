"""Looks for a planted secret everywhere that something can be read: answers, logs, rows, sessions, tasks, files, reports of exceptions."""

from __future__ import annotations

import base64
import io
import re
import zipfile
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from django.contrib import admin
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from tenants.doors import across_tenants

_ARGUMENT = re.compile(r"<(?:\w+:)?(\w+)>")


def spellings(secret: str) -> set[str]:
    """The ways in which a secret may have been written down."""
    raw = secret.encode()
    return {
        secret,
        secret[::-1],
        raw.hex(),
        quote(secret, safe=""),
        base64.b64encode(raw).decode().rstrip("="),
        base64.urlsafe_b64encode(raw).decode().rstrip("="),
        repr(list(raw)),
    }


class Canaries:
    """Secrets by name; `found` tells which of them a text holds."""

    def __init__(self, **secrets: str) -> None:
        self._spellings = {name: spellings(secret) for name, secret in secrets.items()}

    def add(self, name: str, secret: str) -> None:
        """One more."""
        self._spellings[name] = spellings(secret)

    def found(self, text: str) -> list[str]:
        """The names of those that stand in `text`, whatever the spelling and the case."""
        small = text.lower()
        return [name for name, ways in self._spellings.items() if any(way.lower() in small for way in ways)]


def routes(patterns: list[Any] | None = None, before: str = "") -> Iterator[str]:
    """The addresses of the site as they are written down, the administration's left to `admin_pages`."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        if isinstance(pattern, URLResolver):
            if pattern.namespace != "admin":
                yield from routes(pattern.url_patterns, before + str(pattern.pattern))
        elif isinstance(pattern, URLPattern):
            yield before + str(pattern.pattern)


def addresses(known: dict[str, list[str]]) -> list[str]:
    """Every route, with what is known put into its places in every way; one that takes nothing known is left out."""
    found = []
    for route in routes():
        ways = [route]
        for argument in _ARGUMENT.findall(route):
            values = known.get(argument, [])
            ways = [_ARGUMENT.sub(value, way, count=1) for way in ways for value in values]
        found += [f"/{way}" for way in ways if not re.search(r"[\\^$(<]", way)]
    return found


def admin_pages() -> list[str]:
    """Every list of the administration, and the first rows of each."""
    found = [reverse("admin:index")]
    with across_tenants("tests"):
        for model in admin.site._registry:
            name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
            found.append(reverse(f"{name}_changelist"))
            keys = list(model._base_manager.order_by("pk").values_list("pk", flat=True)[:3])
            found += [reverse(f"{name}_change", args=[key]) for key in keys]
    return found


def said(client: Client, address: str) -> str:
    """All of an answer: its head and its body."""
    answer = client.get(address)
    body = b"".join(answer.streaming_content) if answer.streaming else answer.content
    if body.startswith(b"PK"):
        return opened(body)
    return f"{answer.status_code} {dict(answer.headers)} {body.decode(errors='replace')}"


def opened(archive: bytes) -> str:
    """The text of every file of an archive."""
    whole = zipfile.ZipFile(io.BytesIO(archive))
    return "\n".join(f"{name}\n{whole.read(name).decode()}" for name in whole.namelist())


def tables() -> dict[str, str]:
    """Every row of every table, as text."""
    found = {}
    with across_tenants("tests"), connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            found[table] = "\n".join("|".join(map(_text, row)) for row in cursor.fetchall())
    found["sessions, opened"] = "\n".join(str(session.get_decoded()) for session in Session.objects.all())
    return found


def _text(value: Any) -> str:
    return bytes(value).decode("latin-1") if isinstance(value, bytes | memoryview | bytearray) else str(value)
