"""Structured logs on standard error: one shape for our own and for library messages, secrets removed, correlated.

Settings name `configure` as Django's logging set-up. In production every line is one JSON object; in development it is for reading.
Redaction is the last step before rendering, so that it sees messages, arguments, bound context and formatted tracebacks alike.
"""

from __future__ import annotations

import logging
import logging.config
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

REDACTED = "[redacted]"
_DEPTH = 8

_SECRET_PARTS = re.compile(
    r"secret|token|passw|passphrase|authori[sz]ation|cookie|sealed|api_?key|private_?key|signature|sessionid|dsn",
    re.IGNORECASE,
)
_SECRET_WORDS = frozenset({"key", "keys", "pin", "otp", "pwd", "auth", "bearer", "jwt", "nonce"})
_HARMLESS = frozenset(
    {"natural_key", "idempotency_key", "instruction_key", "unique_key", "primary_key", "key_version", "fencing_token"}
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

_UNDER_SCHEME = re.compile(r"\b(bearer|basic|token)\s+[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
_IN_ADDRESS = re.compile(r"(?P<open>[a-z][a-z0-9+.-]*://[^\s:/@]*:)[^\s@]+@", re.IGNORECASE)
_ASSIGNED = re.compile(
    r"""(?P<name>[A-Za-z][A-Za-z0-9_-]*)(?P<sign>["']?\s*[=:]\s*)(?P<value>b?"[^"]*"|b?'[^']*'|[^\s"'&,;)}\]]+)"""
)
_SIGNED_TOKEN = re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]*)?")
_LONG_RUN = re.compile(r"[A-Za-z0-9+/_-]{32,}={0,2}")
_HEXADECIMAL = re.compile(r"[0-9a-fA-F]{32,}")


class StandardError(logging.StreamHandler[TextIO]):
    """Writes to what is standard error at that moment: a test or a supervisor may have put something in its place."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


def configure(options: Mapping[str, Any]) -> None:
    """Route structlog and the standard library through one chain. `options`: `json` (bool) and `level` (a level's name)."""
    before: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *before,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    logging.config.dictConfig(_standard_library(before, _renderer(bool(options["json"])), str(options["level"])))


def _standard_library(before: list[Processor], render: Processor, level: str) -> dict[str, Any]:
    formatter = {
        "()": structlog.stdlib.ProcessorFormatter,
        "foreign_pre_chain": before,
        "processors": [
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            redact,
            render,
        ],
    }
    # Django has put handlers of its own on its loggers; without them its messages reach the one handler on the root.
    through_root = {"handlers": [], "propagate": True, "level": "NOTSET"}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"structured": formatter},
        "handlers": {"stderr": {"()": StandardError, "formatter": "structured"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "django": through_root,
            "django.server": through_root,
            # At DEBUG it writes every statement with its parameters, sealed secrets among them.
            "django.db.backends": {"level": "INFO"},
        },
    }


def _renderer(as_json: bool) -> Processor:
    if as_json:
        return structlog.processors.JSONRenderer(sort_keys=True)
    # The plain formatter: the rich one prints local variables, and with them whatever they hold.
    return structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of a module; call it with `__name__`."""
    return structlog.stdlib.get_logger(name)


@contextmanager
def correlated(correlation_id: str) -> Iterator[str]:
    """Put `correlation_id` on every line logged inside, across awaits; nested, the inner one counts and the outer one returns."""
    with structlog.contextvars.bound_contextvars(correlation_id=correlation_id):
        yield correlation_id


def correlation_id() -> str | None:
    """Return the correlation id in force here, for events and jobs that carry it on."""
    found = structlog.contextvars.get_contextvars().get("correlation_id")
    return None if found is None else str(found)


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Remove secrets from a log line: by the name of a field, and by what its text looks like."""
    return {name: _clean(name, value, _DEPTH) for name, value in event.items()}


def _clean(name: str, value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if _names_a_secret(name):
        return REDACTED
    if isinstance(value, int | float):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    if isinstance(value, date):
        return value.isoformat()
    if depth and isinstance(value, Mapping):
        return {str(key): _clean(str(key), inner, depth - 1) for key, inner in value.items()}
    if depth and isinstance(value, list | tuple | set | frozenset):
        return [_clean(name, inner, depth - 1) for inner in value]
    # Anything else would be rendered by its repr, which may hold anything; so that text is looked through as well.
    return redact_text(value if isinstance(value, str) else str(value))


def _names_a_secret(name: str) -> bool:
    plain = _CAMEL.sub("_", name).replace("-", "_").lower()
    if plain in _HARMLESS:
        return False
    return bool(_SECRET_PARTS.search(plain)) or not _SECRET_WORDS.isdisjoint(plain.split("_"))


def redact_text(value: str) -> str:
    """Remove from a text what looks like a secret: bearer tokens, passwords in addresses, `name=value` pairs, key material."""
    value = _UNDER_SCHEME.sub(lambda found: f"{found[1]} {REDACTED}", value)
    value = _IN_ADDRESS.sub(rf"\g<open>{REDACTED}@", value)
    value = _ASSIGNED.sub(_redact_assigned, value)
    value = _SIGNED_TOKEN.sub(REDACTED, value)
    return _LONG_RUN.sub(lambda found: REDACTED if _is_key_material(found[0]) else found[0], value)


def plain_words(text: str) -> str:
    """A venue's text as it may be stored and shown: without what looks like a secret, and without what no database takes (NUL, halves of
    surrogate pairs), for whoever writes it writes of other accounts in the same statement."""
    return redact_text("".join(letter if letter.isprintable() else " " for letter in text)).strip()


def _redact_assigned(found: re.Match[str]) -> str:
    if _names_a_secret(found["name"]):
        return f"{found['name']}{found['sign']}{REDACTED}"
    # What follows a harmless word and a colon may be a pair itself: "failed: secret=…".
    return f"{found['name']}{found['sign']}{_ASSIGNED.sub(_redact_assigned, found['value'])}"


def _is_key_material(run: str) -> bool:
    """Whether a long run of characters is a key: hexadecimal, or a mixture of cases and digits as in base64.

    An identifier in words, a path or a UUID with its hyphens is none.
    """
    if _HEXADECIMAL.search(run):
        return True
    upper = sum(character.isupper() for character in run)
    lower = sum(character.islower() for character in run)
    digits = sum(character.isdigit() for character in run)
    return upper >= 3 and lower >= 3 and digits >= 2
