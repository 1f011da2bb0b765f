"""Readers of the environment: what they take, and the one sentence with which they refuse."""

from __future__ import annotations

import base64
import stat
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256, sha512
from pathlib import Path

import pytest

from signalist import environment
from signalist.environment import Misconfigured

# As good as random, and the same in every process that collects these tests.
GOOD_KEY = base64.b64encode(sha256(b"good").digest()).decode()
OTHER_KEY = base64.b64encode(sha256(b"other").digest()).decode()
VARIED = base64.b64encode(sha512(b"varied").digest()).decode()


def test_text_is_stripped_and_an_empty_one_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLOUR", "  blue ")
    monkeypatch.setenv("SHAPE", "  ")
    assert environment.text("COLOUR") == "blue"
    assert environment.text("SHAPE", "round") == "round"


def test_text_without_a_default_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLOUR", raising=False)
    with pytest.raises(Misconfigured, match="^Set COLOUR: "):
        environment.text("COLOUR")


def test_text_outside_its_choices_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLOUR", "sky")
    with pytest.raises(Misconfigured, match="^Set COLOUR to one of blue, green, not 'sky'"):
        environment.text("COLOUR", choices=("blue", "green"))


@pytest.mark.parametrize(
    ("value", "expected"),
    [("true", True), ("1", True), ("TRUE", True), ("false", False), ("0", False), ("False", False)],
)
def test_a_boolean_is_one_of_four_words(monkeypatch: pytest.MonkeyPatch, value: str, expected: bool) -> None:
    monkeypatch.setenv("SWITCH", value)
    assert environment.boolean("SWITCH", not expected) is expected


@pytest.mark.parametrize("value", ["yes", "on", "t", "ture", "2", "none"])
def test_a_boolean_that_is_anything_else_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("SWITCH", value)
    with pytest.raises(Misconfigured, match="^Set SWITCH to true, false, 1 or 0"):
        environment.boolean("SWITCH", False)


@pytest.mark.parametrize("default", [True, False])
def test_an_unset_boolean_is_its_default(monkeypatch: pytest.MonkeyPatch, default: bool) -> None:
    monkeypatch.delenv("SWITCH", raising=False)
    assert environment.boolean("SWITCH", default) is default


@pytest.mark.parametrize(
    ("value", "sentence"), [("four", "whole number"), ("1.5", "whole number"), ("0", "1 or more"), ("9", "8 or less")]
)
def test_an_integer_outside_its_bounds_is_refused(monkeypatch: pytest.MonkeyPatch, value: str, sentence: str) -> None:
    monkeypatch.setenv("COUNT", value)
    with pytest.raises(Misconfigured, match=f"^Set COUNT to (a )?{sentence}"):
        environment.integer("COUNT", 4, minimum=1, maximum=8)


def test_an_integer_takes_its_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("1", "8"):
        monkeypatch.setenv("COUNT", value)
        assert environment.integer("COUNT", 4, minimum=1, maximum=8) == int(value)


def test_a_list_drops_blanks_and_empty_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOSTS", " a.example, ,b.example,")
    assert environment.listing("HOSTS") == ["a.example", "b.example"]
    monkeypatch.delenv("HOSTS")
    assert environment.listing("HOSTS", ("c.example",)) == ["c.example"]


class TestSecret:
    @pytest.fixture(autouse=True)
    def _nothing_set(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("PASSPHRASE", raising=False)
        monkeypatch.delenv("PASSPHRASE_FILE", raising=False)

    def test_it_is_none_where_nothing_is_set(self) -> None:
        assert environment.secret("PASSPHRASE") is None

    def test_it_is_read_from_the_variable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PASSPHRASE", "open sesame")
        assert environment.secret("PASSPHRASE") == "open sesame"

    def test_it_is_read_from_the_file_without_its_last_newline(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        (tmp_path / "secret").write_text("open sesame\n")
        monkeypatch.setenv("PASSPHRASE_FILE", str(tmp_path / "secret"))
        assert environment.secret("PASSPHRASE") == "open sesame"

    def test_both_ways_at_once_are_refused(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("PASSPHRASE", "open sesame")
        monkeypatch.setenv("PASSPHRASE_FILE", str(tmp_path / "secret"))
        with pytest.raises(Misconfigured, match="^Set either PASSPHRASE or PASSPHRASE_FILE, not both"):
            environment.secret("PASSPHRASE")

    def test_a_file_that_is_missing_is_refused(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("PASSPHRASE_FILE", str(tmp_path / "nowhere"))
        with pytest.raises(Misconfigured, match="^Set PASSPHRASE_FILE to a file that can be read"):
            environment.secret("PASSPHRASE")

    def test_a_file_that_is_empty_is_refused(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        (tmp_path / "secret").write_text("\n")
        monkeypatch.setenv("PASSPHRASE_FILE", str(tmp_path / "secret"))
        with pytest.raises(Misconfigured, match="is empty"):
            environment.secret("PASSPHRASE")


class TestSigningSecret:
    def test_a_fresh_one_is_good(self) -> None:
        value = environment.new_signing_secret()
        assert environment.signing_secret("SECRET_KEY", value) == value

    @pytest.mark.parametrize(
        ("value", "why"),
        [
            (None, "missing"),
            ("", "missing"),
            (VARIED[:40], "only 40"),
            ("x" * 80, "repeats itself"),
            ("abcdefghijklmnopqrstuvwxyz" * 3, "repeats itself"),
            ("django-insecure-" + VARIED, "stand-in"),
            ("please-CHANGEME-" + VARIED, "stand-in"),
        ],
    )
    def test_a_weak_one_is_refused_and_not_repeated_in_the_sentence(self, value: str | None, why: str) -> None:
        with pytest.raises(
            Misconfigured, match="^Set SECRET_KEY .or SECRET_KEY_FILE. to at least 50 random characters"
        ) as refusal:
            environment.signing_secret("SECRET_KEY", value)
        assert why in str(refusal.value)
        assert not value or value not in str(refusal.value)


class TestKeyring:
    def test_it_gives_keys_by_version_the_newest_last(self) -> None:
        keys = environment.keyring("CREDENTIAL_KEYS", f"1:{GOOD_KEY}, 3:{OTHER_KEY}")
        assert list(keys) == [1, 3]
        assert keys[3] == base64.b64decode(OTHER_KEY)

    def test_a_fresh_one_is_good(self) -> None:
        assert len(environment.keyring("CREDENTIAL_KEYS", environment.new_keyring())[1]) == 32

    @pytest.mark.parametrize(
        ("value", "why"),
        [
            (None, "missing"),
            (GOOD_KEY, "does not begin with a version"),
            (f"0:{GOOD_KEY}", "does not begin with a version"),
            ("1:%%%", "is not base64"),
            ("1:" + base64.b64encode(b"short").decode(), "has 5 bytes"),
            ("1:" + base64.b64encode(b"a" * 32).decode(), "is not random"),
            ("1:" + base64.b64encode(bytes(range(32))).decode(), "is not random"),
            (f"2:{GOOD_KEY},1:{OTHER_KEY}", "does not come after"),
            (f"1:{GOOD_KEY},1:{OTHER_KEY}", "does not come after"),
            (f"1:{GOOD_KEY},2:{GOOD_KEY}", "repeats the key"),
        ],
    )
    def test_a_wrong_one_is_refused_without_showing_a_key(self, value: str | None, why: str) -> None:
        with pytest.raises(Misconfigured, match="^Set CREDENTIAL_KEYS .or CREDENTIAL_KEYS_FILE. to ") as refusal:
            environment.keyring("CREDENTIAL_KEYS", value)
        assert why in str(refusal.value)
        assert GOOD_KEY not in str(refusal.value)
        assert OTHER_KEY not in str(refusal.value)


class TestMadeOnce:
    def test_it_is_made_for_its_owner_only_and_kept(self, tmp_path: Path) -> None:
        path = tmp_path / "var" / "key"
        first = environment.made_once(path, environment.new_signing_secret)
        assert environment.made_once(path, environment.new_signing_secret) == first
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert [file.name for file in path.parent.iterdir()] == ["key"]

    def test_of_many_at_once_all_get_the_same(self, tmp_path: Path) -> None:
        path = tmp_path / "key"
        with ThreadPoolExecutor(16) as threads:
            values = list(threads.map(lambda _: environment.made_once(path, environment.new_signing_secret), range(64)))
        assert len(set(values)) == 1
        assert len(values[0]) >= environment.SECRET_CHARACTERS
        assert [file.name for file in tmp_path.iterdir()] == ["key"]

    def test_one_that_others_can_read_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "key"
        environment.made_once(path, environment.new_signing_secret)
        path.chmod(0o644)
        with pytest.raises(Misconfigured, match="^Run chmod 600 on "):
            environment.made_once(path, environment.new_signing_secret)


class TestDatabase:
    def test_sqlite_relative_and_absolute(self) -> None:
        assert environment.database("sqlite:///var/a.sqlite3").name == "var/a.sqlite3"
        assert environment.database("sqlite:////srv/a%20b.sqlite3").name == "/srv/a b.sqlite3"

    def test_postgresql_in_full(self) -> None:
        found = environment.database("postgres://theo:p%40ss%2Fword@db.example:5433/signalist")
        assert found == environment.Database("postgresql", "signalist", "theo", "p@ss/word", "db.example", "5433")

    def test_postgresql_through_a_unix_socket(self) -> None:
        found = environment.database("postgresql://theo@/signalist?host=/run/postgresql&port=5433")
        assert (found.user, found.host, found.port) == ("theo", "/run/postgresql", "5433")

    def test_a_password_is_not_in_the_repr(self) -> None:
        assert "hunter2" not in repr(environment.database("postgres://theo:hunter2@db/signalist"))

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "mysql://u:hunter2@h/n",
            "sqlite://",
            "sqlite:///:memory:",
            "sqlite://host/file",
            "postgres://u:hunter2@h",
            "postgres://u:hunter2@h:port/n",
            "postgres://u:hunter2@h/n?sslmoed=require",
        ],
    )
    def test_anything_else_is_refused_without_showing_a_password(self, url: str) -> None:
        with pytest.raises(Misconfigured, match="^Set DATABASE_URL ") as refusal:
            environment.database(url)
        assert "hunter2" not in str(refusal.value)
