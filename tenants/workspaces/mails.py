"""Mails about belonging. They are sent once what they tell has been committed; one that cannot be sent undoes nothing."""

from __future__ import annotations

from typing import Any

from django.core.mail import send_mail
from django.db import transaction
from django.template.loader import render_to_string


def send(to: str, subject: str, template: str, **told: Any) -> None:
    """Send the text of `templates/tenants/mails/<template>.txt` after the commit."""
    text = render_to_string(f"tenants/mails/{template}.txt", told)
    transaction.on_commit(lambda: send_mail(f"Signalist: {subject}", text, None, [to]) and None, robust=True)
