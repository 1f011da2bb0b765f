"""Keys of sealed credentials change while everything goes on; and what an older system sealed is taken over."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from tenants.doors import across_tenants, acting_for
from tenants.jobs import rotate_keys
from tenants.legacy_secrets import CannotImport, legacy_key, opened
from tenants.models import Credential, Tenant
from tenants.roles import KEYHOLDING
from tenants.rotation import rotate, standing
from tenants.vault import CannotUnseal, seal, unsealed
from tests.cast import Cast

LEGACY = bytes(range(7, 39))


@pytest.fixture(autouse=True)
def keys(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> dict[int, bytes]:
    """A keyring of one key; commands keep the role of the tests, which others go on with."""
    for command in ("rotate_keys", "import_credentials"):
        monkeypatch.setattr(f"signalist.engine.management.commands.{command}.become_engine", lambda: True)
    settings.CREDENTIAL_KEYS = {1: os.urandom(32)}
    ring: dict[int, bytes] = settings.CREDENTIAL_KEYS
    return ring


def stored(tenant: Tenant, count: int, prefix: str = "key") -> None:
    """So many credentials, sealed under the newest key."""
    rows = [Credential(tenant=tenant, venue="loopback", label=f"{prefix}-{n}") for n in range(count)]
    for row in rows:
        seal(row, {"api_key": row.label, "api_secret": f"secret of {row.label}"})
    with across_tenants("tests", one_transaction=True):
        Credential.objects.bulk_create(rows, batch_size=500)


def all_open() -> int:
    """How many credentials open as they were sealed; one that does not raises."""
    with across_tenants("key rotation", one_transaction=True):
        rows = list(Credential.objects.order_by("pk"))
    for row in rows:
        with unsealed(row) as secrets:
            assert secrets == {"api_key": row.label, "api_secret": f"secret of {row.label}"}
    return len(rows)


@pytest.mark.django_db(transaction=True)
def test_a_rotation_that_was_ended_goes_on_where_it_was_and_then_the_old_key_may_go(
    cast: Cast, keys: dict[int, bytes]
) -> None:
    stored(cast.acme, 9)
    stored(cast.globex, 4)
    keys[2] = os.urandom(32)
    assert (standing().left, standing().retirable) == (13, ())

    class Ended(Exception):
        pass

    def after_two_batches(done: int) -> None:
        if done >= 10:
            raise Ended

    with pytest.raises(Ended):
        rotate(after_two_batches, batch=5)
    assert (standing().sealed, standing().retirable) == ({1: 3, 2: 10}, ()), "what was done stays done"
    assert all_open() == 13, "half way both keys open"
    said = StringIO()
    call_command("rotate_keys", "--json", stdout=said, stderr=StringIO())
    assert json.loads(said.getvalue()) | {"seconds": 0} == {
        "newest": 2, "sealed": {"2": 13}, "left": 0, "retirable": [1], "missing": [], "rotated": 3, "failed": {}, "seconds": 0,
        "second_factors": {"present": 0, "older": 0, "lost": 0, "rotated": 0},
    }  # fmt: skip
    del keys[1]
    assert all_open() == 13, "nothing needs the old key"


@pytest.mark.django_db
def test_a_batch_takes_the_same_statements_whatever_its_size(cast: Cast, keys: dict[int, bytes]) -> None:
    counts = []
    for size in (2, 40):
        stored(cast.acme, size, f"lot{size}")
        keys[max(keys) + 1] = os.urandom(32)
        with CaptureQueriesContext(
            connection,
        ) as captured:
            rotate(batch=100)
        counts.append(len([q for q in captured.captured_queries if "tenants_credential" in q["sql"]]))
    assert counts[0] == counts[1]


@pytest.mark.django_db
def test_a_credential_that_does_not_open_is_named_stays_and_holds_nobody_up(
    cast: Cast, keys: dict[int, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    stored(cast.acme, 3)
    with acting_for(cast.acme.pk):
        spoilt = Credential.objects.order_by("pk")[1]
        Credential.objects.filter(pk=spoilt.pk).update(sealed={"api_key": "c2VjcmV0"})
    keys[2] = os.urandom(32)
    with pytest.raises(SystemExit) as ended:
        call_command("rotate_keys")
    said = capsys.readouterr()
    assert ended.value.code == 1 and str(spoilt.public_id) in said.err and "seals 2 of 3" in said.out
    assert standing().retirable == (), "its key is needed: nobody may take it away"
    del keys[1]
    assert standing().missing == (1,)


@pytest.mark.django_db
def test_the_job_asks_for_another_run_while_something_is_left(
    cast: Cast, keys: dict[int, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    from django_q.models import OrmQ

    stored(cast.acme, 2)
    keys[2] = os.urandom(32)
    monkeypatch.setattr("tenants.jobs.AT_MOST", 0.0)
    assert rotate_keys().endswith("goes on")
    assert OrmQ.objects.count() == 1
    monkeypatch.undo()
    assert rotate_keys() == "sealed anew: 0, not opened: 0"


@pytest.mark.postgresql
@pytest.mark.django_db
def test_the_engine_sees_what_no_account_uses_only_to_seal_it_anew_or_revoke_it(
    cast: Cast, keys: dict[int, bytes]
) -> None:
    stored(cast.acme, 2)
    keys[2] = os.urandom(32)
    seen = {}
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE signalist_engine")
        for purpose in ("engine", *KEYHOLDING):
            with across_tenants(purpose):
                seen[purpose] = Credential.objects.count()
        assert rotate().done == 2
        cursor.execute("RESET ROLE")
    assert seen == {"engine": 0, "key rotation": 2, "mass revocation": 2}


class Readers:
    """Threads that open credentials all the time, and count what does not open."""

    def __init__(self, read: Callable[[], int], count: int) -> None:
        self._read, self._over = read, threading.Event()
        self.opened, self.failed = 0, []
        self._threads = [threading.Thread(target=self._work) for _ in range(count)]

    def _work(self) -> None:
        try:
            while not self._over.is_set():
                try:
                    self.opened += self._read()
                except (CannotUnseal, AssertionError) as error:
                    self.failed.append(str(error))
        finally:
            connection.close()

    def __enter__(self) -> Readers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()


def under_load(cast: Cast, keys: dict[int, bytes], count: int, readers: int) -> dict[str, float]:
    """Rotate `count` credentials while `readers` threads open them; the figures."""
    stored(cast.acme, count)
    keys[2] = os.urandom(32)
    place = iter(range(10**9))

    def read() -> int:
        begin = next(place) * 37 % count
        with across_tenants("key rotation"):
            rows = list(Credential.objects.filter(label__in=[f"key-{(begin + n) % count}" for n in range(20)]))
        for row in rows:
            with unsealed(row) as secrets:
                assert secrets["api_key"] == row.label
        return len(rows)

    with Readers(read, readers) as reading:
        begun = time.monotonic()
        rotated = rotate()
        took = time.monotonic() - begun
    assert rotated.done == count and rotated.failed == {} and reading.failed == []
    assert standing().left == 0 and reading.opened > 0
    return {"credentials": count, "seconds": round(took, 2), "opened_meanwhile": reading.opened, "failed": 0}


@pytest.mark.django_db(transaction=True)
def test_nothing_fails_to_open_while_its_key_changes(cast: Cast, keys: dict[int, bytes]) -> None:
    under_load(cast, keys, 600, 2)


@pytest.mark.soak
@pytest.mark.django_db(transaction=True)
def test_ten_thousand_change_their_key_under_load(cast: Cast, keys: dict[int, bytes]) -> None:
    figures = under_load(cast, keys, 10_000, 4)
    sys.stdout.write(f"{json.dumps(figures)}\n")
    assert figures["seconds"] < 120


# --- The older form ------------------------------------------------------------------------------


def legacy(text: str, key: bytes = LEGACY, iv: bytes = bytes(range(16))) -> str:
    """As the older system sealed: iv, tag and ciphertext in hexadecimal."""
    sealed = AESGCM(key).encrypt(iv, text.encode(), None)
    return f"{iv.hex()}:{sealed[-16:].hex()}:{sealed[:-16].hex()}"


def test_the_older_form_opens_whatever_its_key_is_written_in_and_nothing_else_does() -> None:
    # Made by the crypto module of Node.js, as the older system did.
    known = "000102030405060708090a0b0c0d0e0f:5c03b9b31d9c58f5491df85f050cb4f5:8645bc0ca8"
    assert opened(known, LEGACY) == "hello" and legacy("hello") == known
    assert legacy_key(LEGACY.hex()) == LEGACY == legacy_key("BwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAhIiMkJSY=")
    assert legacy_key("32 characters of text, no more!!") == b"32 characters of text, no more!!"
    iv, tag, text = legacy("hello").split(":")
    for spoilt in (
        f"{iv}:{tag}",
        f"{iv}:{text}:{tag}",
        f"{iv[2:]}:{tag}:{text}",
        f"{iv}:{tag}:00{text[2:]}",
        "x:y:z",
        "",
    ):
        with pytest.raises(CannotImport):
            opened(spoilt, LEGACY)
    for key in ("", "32-character-secret-key-here!!", "ab" * 31):
        with pytest.raises(CannotImport):
            legacy_key(key)


@pytest.mark.django_db
def test_what_an_older_system_sealed_is_taken_over_once(
    cast: Cast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tenant = str(cast.acme.public_id)
    file = tmp_path / "old.json"
    secrets = {"api_key": legacy("old key"), "api_secret": legacy("old secret", iv=bytes(range(50, 66)))}
    spoilt = {"api_key": legacy("x", os.urandom(32))}
    file.write_text(
        json.dumps(
            [
                {"tenant": tenant, "venue": "kraken", "label": "main", "secrets": secrets},
                {"tenant": tenant, "venue": "kraken", "label": "spoilt", "secrets": spoilt},
                {
                    "tenant": "00000000-0000-4000-8000-000000000000",
                    "venue": "kraken",
                    "label": "nobody's",
                    "secrets": secrets,
                },
            ]
        )
    )
    monkeypatch.setenv("LEGACY_ENCRYPTION_KEY", LEGACY.hex())
    for expected in ("1 taken over, 0 there already, 2 failed.", "0 taken over, 1 there already, 2 failed."):
        with pytest.raises(SystemExit):
            call_command("import_credentials", str(file))
        said = capsys.readouterr()
        assert (
            said.out.strip() == expected
            and "does not open under this key" in said.err
            and "no such workspace" in said.err
        )
    with acting_for(cast.acme.pk):
        (row,) = Credential.objects.all()
    with unsealed(row) as found:
        assert found == {"api_key": "old key", "api_secret": "old secret"}
