"""Sealed credentials: only the right row under the right key opens, and the clear text is nowhere but in the `with`."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable

import pytest
from django.db import connection
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pytest_django import Settings

from signalist.clock import utc_now
from tenants.doors import acting_for
from tenants.models import Credential
from tenants.vault import NONCE_BYTES, CannotUnseal, seal, unsealed
from tests.cast import Cast

pytestmark = pytest.mark.django_db

TAG_BYTES = 16
SECRETS = {"api_key": "kraken-key-4711", "api_secret": "geheim-ÄÖÜ-🔑"}


@pytest.fixture(autouse=True)
def keys(settings: Settings) -> dict[int, bytes]:
    settings.CREDENTIAL_KEYS = {1: os.urandom(32)}
    ring: dict[int, bytes] = settings.CREDENTIAL_KEYS
    return ring


@pytest.fixture
def credential(cast: Cast) -> Credential:
    """Acme's credential, sealed and saved."""
    made = Credential(tenant=cast.acme, venue="kraken", label="main")
    seal(made, SECRETS)
    with acting_for(cast.acme.pk):
        made.save()
    return made


def _opens(credential: Credential) -> bool:
    """Whether it opens as it was sealed."""
    try:
        with unsealed(credential) as secrets:
            return secrets == SECRETS
    except CannotUnseal:
        return False


# --- Round trip ----------------------------------------------------------------------------------


def test_what_was_sealed_opens_after_it_was_stored(cast: Cast, credential: Credential) -> None:
    with acting_for(cast.acme.pk):
        stored = Credential.objects.get()
    with unsealed(stored) as secrets:
        assert secrets == SECRETS


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.dictionaries(st.text(min_size=1), st.text(), max_size=4))
def test_any_text_opens_as_it_was_sealed(credential: Credential, secrets: dict[str, str]) -> None:
    seal(credential, secrets)
    credential.sealed = json.loads(json.dumps(credential.sealed))
    with unsealed(credential) as opened:
        assert opened == secrets


def test_sealing_anew_replaces_everything(credential: Credential) -> None:
    seal(credential, {"token": "new"})
    with unsealed(credential) as secrets:
        assert secrets == {"token": "new"}


# --- What must not open --------------------------------------------------------------------------


def _another_tenant(credential: Credential, cast: Cast) -> None:
    credential.tenant = cast.globex


def _another_credential(credential: Credential, cast: Cast) -> None:
    credential.public_id = Credential(tenant=cast.acme).public_id


def _fields_swapped(credential: Credential, cast: Cast) -> None:
    one, other = credential.sealed["api_key"], credential.sealed["api_secret"]
    credential.sealed = {"api_key": other, "api_secret": one}


def _another_field(credential: Credential, cast: Cast) -> None:
    credential.sealed = {"password": credential.sealed["api_key"]}


@pytest.mark.parametrize("moved", [_another_tenant, _another_credential, _fields_swapped, _another_field])
def test_a_secret_that_was_moved_elsewhere_does_not_open(
    moved: Callable[[Credential, Cast], None], credential: Credential, cast: Cast
) -> None:
    assert _opens(credential)
    moved(credential, cast)
    assert not _opens(credential)


def test_a_secret_under_another_key_version_does_not_open_even_with_the_same_key(
    credential: Credential, keys: dict[int, bytes]
) -> None:
    keys[2] = keys[1]
    credential.key_version = 2
    assert not _opens(credential)


def test_a_secret_does_not_open_under_another_key(credential: Credential, keys: dict[int, bytes]) -> None:
    keys[1] = os.urandom(32)
    assert not _opens(credential)


def test_a_key_that_is_not_in_the_keyring_is_named(credential: Credential, keys: dict[int, bytes]) -> None:
    del keys[1]
    keys[2] = os.urandom(32)
    with pytest.raises(CannotUnseal, match="Key version 1 is not in CREDENTIAL_KEYS"), unsealed(credential):
        pass


def test_a_change_of_any_byte_is_noticed(credential: Credential) -> None:
    raw = base64.b64decode(credential.sealed["api_key"])
    for place in range(len(raw)):
        changed = raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]
        credential.sealed["api_key"] = base64.b64encode(changed).decode()
        assert not _opens(credential), f"byte {place} was changed unnoticed"
    credential.sealed["api_key"] = base64.b64encode(raw).decode()
    assert _opens(credential)


@pytest.mark.parametrize("left", [0, 1, NONCE_BYTES, NONCE_BYTES + TAG_BYTES, -1])
def test_a_secret_that_was_cut_short_does_not_open(credential: Credential, left: int) -> None:
    raw = base64.b64decode(credential.sealed["api_key"])
    credential.sealed["api_key"] = base64.b64encode(raw[:left]).decode()
    assert not _opens(credential)


@pytest.mark.parametrize("junk", ["", "kraken-key-4711", "ä", None, 7])
def test_what_is_no_sealed_value_does_not_open(credential: Credential, junk: object) -> None:
    credential.sealed["api_key"] = junk
    assert not _opens(credential)


def test_what_is_said_when_it_does_not_open_gives_nothing_away(credential: Credential, keys: dict[int, bytes]) -> None:
    credential.sealed["api_key"] = credential.sealed["api_secret"]
    with pytest.raises(CannotUnseal) as refused, unsealed(credential):
        pass
    said = f"{refused.value!r} {refused.value.__cause__!r} {refused.value.__context__!r}"
    assert not any(hidden in said for hidden in (*SECRETS.values(), *credential.sealed.values(), str(keys[1])))


# --- Revocation ----------------------------------------------------------------------------------


def test_a_revoked_credential_does_not_open(credential: Credential) -> None:
    credential.revoked_at = utc_now()
    with pytest.raises(CannotUnseal, match="was revoked"), unsealed(credential):
        pass


def test_a_credential_that_is_not_active_does_not_open(credential: Credential) -> None:
    credential.is_active = False
    with pytest.raises(CannotUnseal, match="was revoked"), unsealed(credential):
        pass


# --- Rotation ------------------------------------------------------------------------------------


def test_the_newest_key_seals_and_the_old_one_still_opens(credential: Credential, keys: dict[int, bytes]) -> None:
    keys[2] = os.urandom(32)
    assert credential.key_version == 1
    assert _opens(credential)
    seal(credential, SECRETS)
    assert credential.key_version == 2
    del keys[1]
    assert _opens(credential)


# --- What is stored ------------------------------------------------------------------------------


def test_a_sealed_value_is_a_nonce_of_twelve_bytes_the_ciphertext_and_its_tag(credential: Credential) -> None:
    assert NONCE_BYTES == 12
    for field, secret in SECRETS.items():
        raw = base64.b64decode(credential.sealed[field], validate=True)
        assert len(raw) == NONCE_BYTES + len(secret.encode()) + TAG_BYTES


def test_every_value_gets_a_fresh_nonce_each_time(credential: Credential) -> None:
    nonces = []
    for _ in range(200):
        seal(credential, SECRETS)
        nonces += [base64.b64decode(value)[:NONCE_BYTES] for value in credential.sealed.values()]
    assert len(set(nonces)) == len(nonces) == 400


def test_the_clear_text_is_nowhere_in_the_row(cast: Cast, credential: Credential) -> None:
    with acting_for(cast.acme.pk), connection.cursor() as cursor:
        cursor.execute("SELECT * FROM tenants_credential")
        (row,) = cursor.fetchall()
    stored = "|".join(str(value) for value in row)
    assert "api_key" in stored, "nothing was looked at"
    for secret in SECRETS.values():
        for spelling in (secret, base64.b64encode(secret.encode()).decode().rstrip("="), secret.encode().hex()):
            assert spelling not in stored


def test_neither_the_row_nor_its_name_shows_the_secret(credential: Credential) -> None:
    shown = f"{credential} {credential!r}"
    assert not any(secret in shown for secret in SECRETS.values())


# --- After the with ------------------------------------------------------------------------------


def test_after_the_with_the_secrets_are_gone(credential: Credential) -> None:
    with unsealed(credential) as secrets:
        kept = secrets
    assert kept == {}


def test_after_an_exception_in_the_with_the_secrets_are_gone(credential: Credential) -> None:
    kept: dict[str, str] = {}

    def use() -> None:
        nonlocal kept
        with unsealed(credential) as kept:
            raise RuntimeError("the venue hung up")

    with pytest.raises(RuntimeError):
        use()
    assert kept == {}
