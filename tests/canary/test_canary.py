"""A planted secret of each kind is in no page, log line, report of an exception, task, event, audit row, session, file or column."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.test import Client, RequestFactory
from django.views.debug import ExceptionReporter
from django_q.models import OrmQ, Task
from pytest_django import Settings

from signalist.accounts import pages as connection_pages
from signalist.accounts.keyholding import Keys
from signalist.accounts.models import Account
from signalist.api.models import ApiKey
from signalist.clock import utc_now
from signalist.downloads.models import Download, Part
from signalist.engine.heartbeat import Outside
from signalist.privacy.jobs import make_export
from signalist.risk.connections import invalidate
from tenants import credentials
from tenants.doors import across_tenants, acting_for
from tenants.models import Credential, User
from tenants.vault import CannotUnseal, seal, unsealed
from tests.accounts.loopback import Loopback, loopback
from tests.canary.walk import Canaries, addresses, admin_pages, opened, said, tables
from tests.cast import PASSWORD, Cast

ENGINE = "00000000-0000-4000-8000-000000000001"
CREDENTIAL = "canary4credential9Zq7pW2xL5vT8nB3"
SECOND = "canary4second9Hs6kR1yM4cJ7fD2gX"
WRONG = "canary4typo9Ue5oI8aQ3wS6zC1bN"
PASSED = "canary4password9Lm2nB7vX"
MISTYPED = "canary4mistyped9Kj8hG3fD"
HOOK = "canary4hook9Tr6eW1qP4oI"
LABEL = "canary label that may be seen"


@pytest.fixture
def venue(settings: Settings) -> Iterator[Loopback]:
    with loopback() as found:
        settings.LOOPBACK_URL = found.address
        found.account("desk-1", CREDENTIAL)
        yield found


@pytest.fixture
def canaries() -> Canaries:
    return Canaries(credential=CREDENTIAL, second=SECOND, wrong=WRONG, password=PASSED, mistyped=MISTYPED, hook=HOOK)


def person(user: User, password: str = PASSWORD) -> Client:
    """Somebody who has logged in through the form, and given the password again."""
    client = Client(raise_request_exception=False)
    client.post("/accounts/login/", {"login": user.email, "password": MISTYPED})
    answer = client.post("/accounts/login/", {"login": user.email, "password": password})
    assert answer.status_code == 302, "the log-in itself"
    client.force_login(user)
    client.post("/accounts/reauthenticate/", {"password": MISTYPED})
    client.post("/accounts/reauthenticate/", {"password": password})
    return client


def report(request: Any) -> str:
    """What a report of the exception at hand says, in both of its forms."""
    reporter = ExceptionReporter(request, *sys.exc_info())
    return reporter.get_traceback_text() + reporter.get_traceback_html()


def broken(*_: Any, **__: Any) -> Any:
    raise RuntimeError("something is broken")


@pytest.mark.django_db(transaction=True)
def test_a_planted_secret_is_nowhere(
    venue: Loopback,
    cast: Cast,
    canaries: Canaries,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings.HEARTBEAT_URL = f"http://127.0.0.1:9/hooks/{HOOK}"
    cast.olivia.set_password(PASSED)
    cast.olivia.save()
    olivia = person(cast.olivia, PASSED)
    seen: dict[str, str] = {}

    # --- Keys of venues: stored, replaced, typed wrongly, in the way of exceptions ----------------
    form = {"label": LABEL, "api_key": "desk-1", "api_secret": CREDENTIAL}
    new = "/connections/new/loopback/"
    seen["typed wrongly"] = olivia.post(new, form | {"api_secret": WRONG}).content.decode()
    seen["without a name"] = olivia.post(new, form | {"label": ""}).content.decode()
    seen["tried"] = olivia.post(new, form | {"action": "try"}).content.decode()
    where = olivia.post(new, form).headers["Location"]
    venue.secret("desk-1", SECOND)
    olivia.post(f"{where}replace/", {"api_key": "desk-1", "api_secret": SECOND})
    seen["replaced wrongly"] = olivia.post(
        f"{where}replace/", {"api_key": "desk-1", "api_secret": WRONG}
    ).content.decode()
    for place, name in ((connection_pages, "probe"), (credentials, "_tell")):
        with monkeypatch.context() as patched:
            patched.setattr(place, name, broken)
            answer = olivia.post(new, form | {"label": "another", "api_secret": SECOND})
            assert answer.status_code == 500
            seen[f"{name} is broken"] = answer.content.decode()
    seen |= _reports(cast)

    # --- Opened by an engine, refused by the venue, not opening any more --------------------------
    keys = Keys()
    with across_tenants("engine"):
        Account.objects.update(lease_owner=ENGINE)
        keys.look(ENGINE)
        assert keys.secrets_of("loopback", "desk-1")["api_secret"] == SECOND
        key = Credential.objects.get(label=LABEL)
        invalidate(key, "The key is not valid.")
    seen["in memory"] = f"{keys!r} {keys.doors()!r}"

    # --- Keys of programs, files, tasks, an address that is a secret -------------------------------
    page = olivia.post("/api-keys/", {"name": "bot", "scopes": ["accounts:read"], "hourly_limit": "9", "ends": ""})
    program = page.content.decode().partition("<code>")[2].partition("</code>")[0]
    canaries.add("program", program)
    headers = {"Authorization": f"Bearer {program}"}
    for address in ("me", "accounts", "orders", "nothing"):
        answer = olivia.get(f"/api/v1/{address}?token={program}", headers=headers)
        seen[f"api {address}"] = answer.content.decode()
    for kind in ("json", "csv"):
        olivia.post("/my-data/export/", {"format": kind})
    for queued in OrmQ.objects.all():
        task = queued.task
        Task.objects.create(
            id=task["id"], name=task["name"], func=task["func"], args=task["args"], started=utc_now(), stopped=utc_now(),
            result=make_export(*task["args"]), success=True,
        )  # fmt: skip
    asyncio.run(_called_in_vain())
    for logged in ("credential", "heartbeat"):
        logging.getLogger("a.library").warning("%s api_secret=%s token: %s", logged, SECOND, program)
        logging.getLogger("a.library").warning("sent", extra={"api_secret": SECOND})

    # --- Looking everywhere ------------------------------------------------------------------------
    staff = User.objects.create_superuser("staff@example.com", PASSWORD)
    known = _known(cast)
    readers = {"olivia": olivia, "staff": person(staff)}  # who sees the most of all that there is
    walked = addresses(known)
    assert len(walked) > 60, "most of the site was not walked"
    for who, reader in readers.items():
        for address in admin_pages() if who == "staff" else walked:
            if "logout" not in address:
                seen[f"{who} {address}"] = said(reader, address)
    seen |= {f"table {name}": text for name, text in tables().items()}
    with across_tenants("tests"):
        for row in Download.objects.all():
            parts = Part.objects.filter(download=row).order_by("n").values_list("content", flat=True)
            seen[f"file {row.name}"] = opened(b"".join(map(bytes, parts)))
    seen["logs"] = capsys.readouterr().err
    assert len(seen["logs"]) > 2000 and "credential" in seen["logs"], "the logs were not looked at"
    for kind in ("table events_event", "table audit_entry", f"olivia {where}", "file signalist-"):
        assert any(LABEL in text for place, text in seen.items() if place.startswith(kind)), f"{kind} was not looked at"
    leaks = {place: found for place, text in seen.items() if (found := canaries.found(text))}
    assert leaks == {}


def _reports(cast: Cast) -> dict[str, str]:
    """Reports of exceptions in the middle of sealing and opening, as they would be mailed: with the variables of every frame."""
    request = RequestFactory().post("/connections/new/loopback/", {"api_secret": SECOND})
    found = {}
    row = Credential(tenant=cast.acme, venue="loopback", label="reported")
    try:
        seal(row, {"api_secret": SECOND, "spoilt": 7})  # type: ignore[dict-item]
    except AttributeError:
        found["report of sealing"] = report(request)
    seal(row, {"api_secret": SECOND})
    try:
        with unsealed(row):
            broken()
    except RuntimeError:
        found["report of opening"] = report(None)
    row.sealed = {"api_secret": "c3BvaWx0"}
    try:
        with unsealed(row):
            pass
    except CannotUnseal:
        found["report of what does not open"] = report(None)
    assert len(found) == 3
    return found


async def _called_in_vain() -> None:
    async def undecided() -> str:
        return ""

    async def noted(call: Any) -> None:
        return None

    outside = Outside(django_settings.HEARTBEAT_URL, 1, undecided=undecided, noted=noted)
    try:
        await asyncio.wait_for(outside.keep(), 0.5)
    except TimeoutError:
        return


def _known(cast: Cast) -> dict[str, list[str]]:
    """What to put into addresses."""
    with acting_for(cast.acme.pk):
        ids = [str(row.public_id) for model in (Credential, Account, ApiKey, Download) for row in model.objects.all()]
    return {
        "public_id": ids, "venue": ["loopback"], "position_id": ["1"], "client_order_id": ids[:1], "account_id": ids[1:2],
        "layer": ["tenant"], "slug": ["none"], "symbol": ["BTC-PERP"], "rest": ["nothing"],
    }  # fmt: skip
