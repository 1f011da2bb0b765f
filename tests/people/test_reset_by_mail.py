"""A password that is reset by a link in a mail ends what somebody else may have made of the account before."""

from __future__ import annotations

import re

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.core import mail
from django.test import Client

from signalist.api.actions import make
from signalist.api.models import ApiKey
from signalist.api.scopes import SCOPES
from signalist.audit.models import Entry
from tenants.belonging import Invitation
from tenants.doors import across_tenants, acting_for
from tenants.models import Membership, User
from tenants.workspaces.invitations import invite
from tests.cast import Cast
from tests.people.test_members import as_member

pytestmark = pytest.mark.django_db(transaction=True)
NEW = "correct horse battery staple"


def reset(client: Client, user: User) -> None:
    mail.outbox.clear()
    client.post("/accounts/password/reset/", {"email": user.email})
    link = re.search(r"http://testserver(/accounts/password/reset/key/\S+)", str(mail.outbox[0].body))
    assert link
    form = client.get(link[1], follow=True).redirect_chain[-1][0]
    client.post(form, {"password1": NEW, "password2": NEW})
    assert User.objects.get(pk=user.pk).check_password(NEW)


def state(user: User) -> tuple[bool, bool, bool]:
    """Whether a key, an invitation and a second factor of the user's still open something."""
    with across_tenants("tests"):
        return (
            ApiKey.objects.filter(user=user, revoked_at=None).exists(),
            Invitation.objects.filter(invited_by=user, withdrawn_at=None).exists(),
            Authenticator.objects.filter(user=user).exists(),
        )


@pytest.mark.parametrize("proven", [True, False])
def test_log_ins_keys_invitations_and_proofs_end_and_of_an_unproven_account_everything(
    cast: Cast, proven: bool
) -> None:
    user = cast.olivia
    stranger = as_member(user)
    with across_tenants("tests"):
        membership = Membership.objects.select_related("user").get(user=user)
    invite(membership, "nell@example.com", "TRADER", "http://testserver/TOKEN/")
    with acting_for(cast.acme.pk):
        make(cast.acme.pk, user, "bot", SCOPES.keys())
        make(cast.acme.pk, cast.theo, "other", SCOPES.keys())
    EmailAddress.objects.create(user=user, email=user.email, verified=proven, primary=True)
    Authenticator.objects.create(user=user, type=Authenticator.Type.RECOVERY_CODES, data={})
    assert state(user) == (True, True, True)

    here = as_member(user)
    reset(here, user)
    assert state(user) == (False, False, proven)
    assert EmailAddress.objects.get(user=user).verified
    assert state(cast.theo)[0], "another's keys are none of it"
    assert stranger.get("/security/").status_code == 302, "who was in is out"
    assert here.post("/workspace/invite/", {"email": "nell@example.com", "role": "TRADER"}).url.startswith(
        "/accounts/login/"
    )
    with acting_for(cast.acme.pk):
        said = set(Entry.objects.values_list("action", flat=True))
    assert {"account.password_reset", "account.keys_ended" if proven else "account.owner_came"} <= said
    assert "Your password has been reset" in mail.outbox[-1].body and "API keys" in mail.outbox[-1].body


def test_a_mail_to_a_second_address_proves_nothing_of_the_first(cast: Cast) -> None:
    EmailAddress.objects.create(user=cast.theo, email=cast.theo.email, verified=False, primary=True)
    EmailAddress.objects.create(user=cast.theo, email="mallory@example.com", verified=True, primary=False)
    reset(Client(), cast.theo)
    assert not EmailAddress.objects.get(email=cast.theo.email).verified
