"""Log-in by another provider and by a passkey, in a real browser, under the policy that names where forms may lead."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from playwright.sync_api import Browser, Page, expect

from tests.flows.commands import ROOT, Databases, manage
from tests.people.provider import Provider, provider_at_work

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore::DeprecationWarning:authlib")]

NELL = {"email": "nell@example.com", "email_verified": True, "name": "Nell Dean"}


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with provider_at_work(**{"u-nell": NELL}) as running:
        yield running


@pytest.fixture(scope="module")
def site(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A web process that is set up for the provider. A passkey belongs to a name, so it is reached by one."""
    folder: Path = tmp_path_factory.mktemp("site")
    databases = Databases(settings.DATABASES["default"], folder)
    database = databases.empty()
    assert manage(database, "migrate").status == 0
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = database.environment(
        SIGNALIST_PROCESS="web",
        GOOGLE_CLIENT_ID="signalist",
        GOOGLE_CLIENT_SECRET="a secret for tests only",
        OIDC_NAME="Acme ID",
        OIDC_AUTHORIZE_URL=f"{provider.address}/oauth2/authorize",
        OIDC_TOKEN_URL=f"{provider.address}/oauth2/token",
        OIDC_ISSUER=provider.address,
    )
    command = [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", str(port), "signalist.asgi:application"]
    with (folder / "web.log").open("wb") as log:
        web = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        _wait_for(f"http://127.0.0.1:{port}/health", web, folder)
        yield f"http://localhost:{port}"
    finally:
        web.terminate()
        web.wait(30)
        databases.drop()


def _wait_for(address: str, web: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        assert web.poll() is None and time.monotonic() < deadline, (folder / "web.log").read_text()
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except urllib.error.HTTPError:
            return  # it answers, though no engine is there
        except OSError:
            time.sleep(0.2)


def test_a_newcomer_by_a_provider_adds_a_passkey_and_comes_back_with_it(chromium: Browser, site: str) -> None:
    context = chromium.new_context(base_url=site)
    context.set_default_timeout(20_000)
    page, complaints = context.new_page(), list[str]()
    page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
    _virtual_device(page)
    page.goto("/accounts/login/")
    page.get_by_role("button", name="Continue with Acme ID").click()
    page.get_by_role("button", name="u-nell").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Dashboard")
    page.goto("/security/")
    page.get_by_role("link", name="Add a passkey").click()
    page.get_by_label("Name").fill("This laptop")
    page.get_by_text("Let it open the account without a password").click()
    page.get_by_role("button", name="Make the key").click()
    page.get_by_role("button", name="Use the passkey").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Recovery codes")
    page.goto("/security/")
    expect(page.get_by_text("Passkey “This laptop”")).to_be_visible()
    page.get_by_role("button", name="Log out").first.click()
    page.goto("/accounts/login/")
    page.get_by_role("button", name="Log in with a passkey").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Dashboard")
    context.close()
    assert [line for line in complaints if "Content Security Policy" in line] == []


def _virtual_device(page: Page) -> None:
    """A device that keeps passkeys and whose owner always agrees (WebAuthn's own automation, section 11)."""
    line = page.context.new_cdp_session(page)
    line.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    line.send("WebAuthn.addVirtualAuthenticator", {"options": options})
