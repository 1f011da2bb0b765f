"""What people prove who they are with, in software: an authenticator app, and a device that keeps passkeys."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import re
import time
from typing import Any

from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from django.test import Client
from fido2 import cbor

ORIGIN = "https://testserver"
PRESENT, VERIFIED, WITH_KEY = 0x01, 0x04, 0x40


def code(secret: str, ahead: int = 0) -> str:
    """What an authenticator app shows now, or so many half minutes ahead: a code works once."""
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30 + ahead))


def set_up_app(client: Client) -> tuple[str, list[str]]:
    """Switch an authenticator app on through the pages; its secret and the recovery codes."""
    page = client.get("/accounts/2fa/totp/activate/").content.decode()
    secret = re.findall(r"<code>([A-Z2-7]+)</code>", page)[0]
    done = client.post("/accounts/2fa/totp/activate/", {"code": code(secret)}, follow=True)
    return secret, re.findall(r"<li><code>(\d{8})</code>", done.content.decode())


class Device:
    """Keeps one passkey, as WebAuthn Level 3 describes it (ES256, no attestation)."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.id, self.owner = os.urandom(32), b""

    def make(self, page: str) -> str:
        """The credential that the page with these options asks for, as its form sends it."""
        options = _options(page)["creation_options"]["publicKey"]
        self.owner = _bytes(options["user"]["id"])
        numbers = self._key.public_key().public_numbers()
        public = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        kept = bytes(16) + len(self.id).to_bytes(2, "big") + self.id + cbor.encode(public)
        told = _about(options["rp"]["id"], PRESENT | VERIFIED | WITH_KEY) + kept
        attested = cbor.encode({"fmt": "none", "attStmt": {}, "authData": told})
        return self._answer(
            clientDataJSON=_client_data("webauthn.create", options["challenge"]), attestationObject=attested
        )

    def use(self, options: dict[str, Any]) -> str:
        """The proof for the options of a request."""
        asked = options["publicKey"]
        client_data = _client_data("webauthn.get", asked["challenge"])
        told = _about(asked["rpId"], PRESENT | VERIFIED)
        signature = self._key.sign(told + hashlib.sha256(client_data).digest(), ec.ECDSA(hashes.SHA256()))
        return self._answer(
            clientDataJSON=client_data, authenticatorData=told, signature=signature, userHandle=self.owner
        )

    def use_on(self, page: str) -> str:
        """The same for a page."""
        return self.use(_options(page)["request_options"])

    def _answer(self, **response: bytes) -> str:
        said = {name: _text(value) for name, value in response.items()}
        return json.dumps(
            {
                "id": _text(self.id),
                "rawId": _text(self.id),
                "type": "public-key",
                "response": said,
                "clientExtensionResults": {},
            }
        )


def _options(page: str) -> dict[str, Any]:
    found = re.findall(r'<script id="passkey-options" type="application/json">(.*?)</script>', page, re.DOTALL)
    told: dict[str, Any] = json.loads(html.unescape(found[0]))
    return told


def _client_data(kind: str, challenge: str) -> bytes:
    return json.dumps({"type": kind, "challenge": challenge, "origin": ORIGIN}).encode()


def _about(rp: str, flags: int) -> bytes:
    return hashlib.sha256(rp.encode()).digest() + bytes([flags]) + bytes(4)


def _text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
