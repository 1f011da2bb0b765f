"""Hears of log-ins, failures, log-outs and changed passwords, and writes them into the audit log and the security events."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

from allauth.account import signals as account
from django.conf import settings
from django.contrib.auth.signals import user_logged_out, user_login_failed
from django.http import HttpRequest

from signalist.audit.writing import record
from signalist.clock import utc_now
from signalist.security import incidents
from signalist.security.visitors import Visitor, name_device
from tenants.doors import current
from tenants.models import User
from tenants.selectors import memberships_of

_CHANGES = {
    "password_set": account.password_set,
    "password_changed": account.password_changed,
    "password_reset": account.password_reset,
    "email_changed": account.email_changed,
    "email_added": account.email_added,
    "email_removed": account.email_removed,
}


def listen() -> None:
    """Connect the receivers."""
    account.user_logged_in.connect(logged_in, dispatch_uid="signalist.security.logged_in")
    account.authentication_step_completed.connect(step_completed, dispatch_uid="signalist.security.step")
    user_logged_out.connect(logged_out, dispatch_uid="signalist.security.logged_out")
    user_login_failed.connect(log_in_failed, dispatch_uid="signalist.security.failed")
    for name, signal in _CHANGES.items():
        signal.connect(_heard(name), dispatch_uid=f"signalist.security.{name}", weak=False)


def logged_in(sender: object, request: HttpRequest, user: User, **kwargs: Any) -> None:
    """Receiver: somebody has come in, by whatever way."""
    name_device(request)  # a new name was not seen before, and is known from the next time on
    found = incidents.logged_in(user, Visitor.of(request), utc_now())
    record("login.done", tenant_id=tenant_of(user), user_id=user.pk, details={"risk": found.score})


def logged_out(sender: object, request: HttpRequest | None, user: User | None, **kwargs: Any) -> None:
    """Receiver: somebody has gone."""
    if user is not None and user.pk is not None:
        record("login.ended", tenant_id=tenant_of(user), user_id=user.pk)


def log_in_failed(
    sender: object, credentials: dict[str, Any], request: HttpRequest | None = None, **kwargs: Any
) -> None:
    """Receiver: a log-in failed. What was typed as the address is kept as a keyed hash alone: it may be a password by mistake."""
    typed = str(credentials.get("email") or credentials.get("username") or "").strip().lower()
    user = User.objects.filter(email__iexact=typed).first() if typed else None
    if request is not None:
        incidents.log_in_failed(user, Visitor.of(request), utc_now(), "wrong password" if user else "unknown account")
    mark = hmac.new(settings.SECRET_KEY.encode(), typed.encode(), hashlib.sha256).hexdigest()[:12]
    record(
        "login.failed",
        tenant_id=None if user is None else tenant_of(user),
        user_id=None if user is None else user.pk,
        result="failed",
        details={"address_mark": mark},
    )


def step_completed(sender: object, request: HttpRequest, user: User, method: str, **kwargs: Any) -> None:
    """Receiver: password or second factor was given once more."""
    if kwargs.get("reauthenticated"):
        record("session.stepped_up", tenant_id=tenant_of(user), user_id=user.pk, details={"method": method})
        incidents.proven(user)


def tenant_of(user: User) -> int | None:
    """In whose part of the log a person's coming and going stands: the workspace they are in, else their first."""
    door = current()
    if door is not None and door.tenant_id is not None:
        return door.tenant_id
    if door is not None:
        return None
    found = memberships_of(user.pk)
    return found[0].tenant_id if found else None


def _heard(name: str) -> Any:
    def changed(sender: object, request: HttpRequest, user: User, **kwargs: Any) -> None:
        incidents.note(user, name.upper(), "SUCCESS", Visitor.of(request), utc_now())
        record(f"account.{name}", tenant_id=tenant_of(user), user_id=user.pk)

    return changed
