"""Settings, started as an operator starts them: in a process of their own."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings

from signalist.environment import new_keyring, new_signing_secret

ROOT = Path(__file__).resolve().parents[2]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def production(tmp_path: Path) -> dict[str, str]:
    """An environment in which production starts."""
    return {
        "SIGNALIST_ENV": "production",
        "SIGNALIST_HOSTS": "signalist.example",
        "SECRET_KEY": new_signing_secret(),
        "CREDENTIAL_KEYS": new_keyring(),
        "DATABASE_URL": f"sqlite:///{tmp_path}/rows.sqlite3",
    }


def _manage(*arguments: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), *arguments],
        env={"PATH": os.environ["PATH"], **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def _setting(expression: str, environment: dict[str, str]) -> str:
    code = f"from django.conf import settings; print({expression})"
    answer = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": "signalist.settings", **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return answer.stdout.strip()


def test_production_passes_the_deployment_checks(production: dict[str, str]) -> None:
    answer = _manage("check", "--deploy", "--fail-level", "WARNING", environment=production)
    assert answer.returncode == 0, answer.stderr
    # The one that asks for guardian's backend, by which a superuser would have every right to everything.
    assert settings.SILENCED_SYSTEM_CHECKS == ["guardian.W001"]
    assert "no issues (1 silenced)" in answer.stdout + answer.stderr


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("SECRET_KEY", "", "Set SECRET_KEY (or SECRET_KEY_FILE) to at least 50 random characters: it is missing."),
        ("SECRET_KEY", "s3cret", "Set SECRET_KEY (or SECRET_KEY_FILE) to at least 50 random characters: it has only 6."),
        ("SECRET_KEY", "ab" * 40, "Set SECRET_KEY (or SECRET_KEY_FILE) to at least 50 random characters: its value repeats itself."),
        ("CREDENTIAL_KEYS", "", "Set CREDENTIAL_KEYS (or CREDENTIAL_KEYS_FILE) to version:key pairs"),
        ("CREDENTIAL_KEYS", "1:c2hvcnQ=", "the key of version 1 has 5 bytes."),
        ("SIGNALIST_HOSTS", "", "Set SIGNALIST_HOSTS to the host names of this site"),
        ("SIGNALIST_HOSTS", "*", "Set SIGNALIST_HOSTS to the host names of this site"),
        ("SIGNALIST_ENV", "prod", "Set SIGNALIST_ENV to one of development, production, not 'prod'."),
        ("SIGNALIST_LIVE_ACCOUNTS", "yes", "Set SIGNALIST_LIVE_ACCOUNTS to true, false, 1 or 0, not 'yes'."),
        ("DATABASE_URL", "mysql://u:hunter2@h/n", "Set DATABASE_URL to an address that begins with sqlite:/// or postgres://."),
        ("SECRET_KEY_FILE", "/nowhere/secret", "Set either SECRET_KEY or SECRET_KEY_FILE, not both."),
    ],
)  # fmt: skip
def test_a_wrong_setting_stops_the_start_with_one_sentence(
    production: dict[str, str], name: str, value: str, sentence: str
) -> None:
    answer = _manage("check", environment={**production, name: value})
    assert answer.returncode == 2
    assert answer.stdout == ""
    assert sentence in answer.stderr
    assert len(answer.stderr.splitlines()) == 1
    assert "hunter2" not in answer.stderr


def test_the_web_process_stops_with_the_same_sentence(production: dict[str, str]) -> None:
    answer = subprocess.run(
        [sys.executable, "-c", "import signalist.asgi"],
        env={"PATH": os.environ["PATH"], **production, "SECRET_KEY": ""},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert answer.returncode == 1
    assert answer.stderr == "Set SECRET_KEY (or SECRET_KEY_FILE) to at least 50 random characters: it is missing.\n"


def test_production_reads_its_secrets_from_files(production: dict[str, str], tmp_path: Path) -> None:
    for name in ("SECRET_KEY", "CREDENTIAL_KEYS", "DATABASE_URL"):
        (tmp_path / name).write_text(production.pop(name) + "\n")
        production[f"{name}_FILE"] = str(tmp_path / name)
    assert _setting("len(settings.CREDENTIAL_KEYS[1])", production) == "32"
    assert _setting("settings.DATABASES['default']['NAME']", production) == f"{tmp_path}/rows.sqlite3"


def test_development_starts_without_any_variable_and_keeps_its_keys() -> None:
    expression = "settings.DEBUG, settings.SECRET_KEY[:6], settings.CREDENTIAL_KEYS[1].hex()[:6]"
    assert _setting(expression, {}) == _setting(expression, {})
    for name in ("secret_key", "credential_keys"):
        assert stat.S_IMODE((ROOT / "var" / name).stat().st_mode) == 0o600


def test_a_development_key_is_refused_in_production(production: dict[str, str]) -> None:
    _setting("settings.SECRET_KEY", {})
    for name in ("SECRET_KEY", "CREDENTIAL_KEYS"):
        known = (ROOT / "var" / name.lower()).read_text()
        answer = _manage("check", environment={**production, name: known})
        assert answer.returncode == 2
        assert answer.stderr.startswith(f"Set {name} to a value of its own: ")


def test_live_accounts_are_refused_unless_asked_for_in_so_many_words(production: dict[str, str]) -> None:
    assert _setting("settings.LIVE_ACCOUNTS_ALLOWED", production) == "False"
    assert _setting("settings.LIVE_ACCOUNTS_ALLOWED", {**production, "SIGNALIST_LIVE_ACCOUNTS": "true"}) == "True"


def test_sqlite_takes_its_write_lock_at_once_and_survives_the_power_in_production(production: dict[str, str]) -> None:
    options = _setting("settings.DATABASES['default']['OPTIONS']", production)
    assert "'transaction_mode': 'IMMEDIATE'" in options
    assert "journal_mode=WAL" in options
    assert "synchronous=FULL" in options
    relaxed = {**production, "SIGNALIST_SQLITE_SYNCHRONOUS": "NORMAL"}
    assert "synchronous=NORMAL" in _setting("settings.DATABASES['default']['OPTIONS']", relaxed)


def test_postgresql_assumes_the_role_that_it_is_given(production: dict[str, str]) -> None:
    production["DATABASE_URL"] = "postgres://theo:pw@/signalist?host=/run/postgresql"
    assert "assume_role" not in _setting("settings.DATABASES['default']['OPTIONS']", production)
    production["DATABASE_ROLE"] = "signalist_web"
    assert "'assume_role': 'signalist_web'" in _setting("settings.DATABASES['default']['OPTIONS']", production)
    assert _setting("settings.DATABASES['default']['HOST']", production) == "/run/postgresql"


def test_behind_a_proxy_its_word_is_taken_for_the_protocol_and_the_visitor(production: dict[str, str]) -> None:
    expression = "settings.SECURE_PROXY_SSL_HEADER, settings.ALLAUTH_TRUSTED_PROXY_COUNT"
    assert _setting(expression, production) == "None 0"
    assert (
        _setting(expression, {**production, "SIGNALIST_BEHIND_PROXY": "true"})
        == "('HTTP_X_FORWARDED_PROTO', 'https') 1"
    )


def test_cookies_go_over_https_to_this_host_alone_in_production(production: dict[str, str]) -> None:
    names = "SESSION_COOKIE_NAME CSRF_COOKIE_NAME SESSION_COOKIE_SECURE CSRF_COOKIE_SECURE SESSION_COOKIE_HTTPONLY CSRF_COOKIE_HTTPONLY"
    expression = ", ".join(f"settings.{name}" for name in names.split())
    assert _setting(expression, production) == "__Host-session __Host-csrf True True True True"
    assert (
        _setting("settings.SECURE_HSTS_SECONDS, settings.SECURE_HSTS_INCLUDE_SUBDOMAINS", production) == "31536000 True"
    )


def test_the_counters_of_log_ins_are_not_dropped_because_there_are_many(production: dict[str, str]) -> None:
    """Django's own limit is three hundred entries, which an attacker fills in no time."""
    assert _setting("settings.CACHES['default']['OPTIONS']['MAX_ENTRIES']", production) == "100000"


def test_the_database_counts_as_ready_only_when_it_is_reached_by_the_network() -> None:
    """While the first start makes the roles, PostgreSQL answers on its socket alone, and is restarted after that."""
    check = (ROOT / "compose.yaml").read_text().partition("pg_isready")[2].partition("]")[0]
    assert '"--host", "127.0.0.1"' in check
