"""The way in, under the role that the web process takes on: what the pages need, policies and grants let them do."""

from __future__ import annotations

import re

import pytest
from django.core import mail
from django.db import ProgrammingError, connection
from django.test import Client

from signalist.accounts.actions import open_paper_account
from signalist.api.actions import make
from signalist.api.models import ApiKey
from signalist.api.scopes import SCOPES
from signalist.domain.money import ZERO
from tenants.doors import across_tenants, acting_for, holding_invitation
from tenants.models import Membership
from tenants.security.taking_over import hand_to_owner
from tenants.workspaces.invitations import hash_of
from tests.cast import PASSWORD, Cast

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]


def test_inviting_joining_changing_a_role_and_ending_a_log_in(cast: Cast) -> None:
    olivia, gus = Client(), Client()
    olivia.force_login(cast.olivia)
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE signalist_web")
        try:
            olivia.post("/accounts/reauthenticate/", {"password": PASSWORD})
            olivia.post("/workspace/invite/", {"email": "gus@example.com", "role": "ANALYST"})
            link = re.findall(r"http://testserver(/invitations/\S+)", mail.outbox[0].body)[0]
            assert "Join Acme" in gus.get(link).content.decode()
            for token, seen in ((hash_of(link.split("/")[2]), 1), (hash_of("guessed"), 0), ("", 0)):
                with holding_invitation(token):
                    cursor.execute("SELECT count(*) FROM tenants_invitation")
                    assert cursor.fetchone()[0] == seen
            gus.post("/accounts/login/", {"login": "gus@example.com", "password": PASSWORD})
            gus.post(link)
            olivia.post(f"/workspace/members/{cast.gus.public_id}/role/", {"role": "TRADER"})
            assert "Open log-ins" in gus.get("/security/").content.decode()
            gus.post("/security/sessions/end/")
        finally:
            cursor.execute("RESET ROLE")
    with across_tenants("tests"):
        assert Membership.objects.get(user=cast.gus, tenant=cast.acme).role == "TRADER"


def test_the_owner_of_an_address_takes_the_account_over(cast: Cast) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE signalist_web")
        try:
            with acting_for(cast.acme.pk):
                make(cast.acme.pk, cast.theo, "bot", SCOPES.keys())
            hand_to_owner(cast.theo)
        finally:
            cursor.execute("RESET ROLE")
    with across_tenants("tests"):
        assert ApiKey.objects.get().revoked_at


def test_log_ins_and_second_factors_are_closed_to_the_engine(cast: Cast) -> None:
    for table in ("tenants_loginsession", "tenants_staffsession", "mfa_authenticator"):
        with connection.cursor() as cursor:
            cursor.execute("SELECT has_table_privilege('signalist_engine', %s, 'SELECT')", [table])
            assert not cursor.fetchone()[0], table


def test_sharing_one_account_and_trading_on_it(cast: Cast) -> None:
    with acting_for(cast.acme.pk):
        account = open_paper_account(cast.acme.pk, "Shared", "USD", ZERO)
    olivia, vera = Client(), Client()
    olivia.force_login(cast.olivia)
    vera.force_login(cast.vera)
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE signalist_web")
        try:
            with pytest.raises(ProgrammingError):
                cursor.execute("SELECT 1 FROM guardian_userobjectpermission")
            olivia.post("/accounts/reauthenticate/", {"password": PASSWORD})
            wanted = {"member": str(cast.vera.public_id), "right": "trade"}
            olivia.post(f"/workspace/share/account/{account.public_id}/", wanted)
            assert "Shared" in vera.get("/orders/new/").content.decode()
            assert (
                vera.post(f"/stop/account/{account.public_id}/", {"state": "HALTED", "reason": "odd"}).status_code
                == 302
            )
            for door, seen in ((cast.acme.pk, 1), (cast.globex.pk, 0)):
                with acting_for(door):
                    cursor.execute("SELECT count(*) FROM accounts_accountgrant")
                    assert cursor.fetchone()[0] == seen
        finally:
            cursor.execute("RESET ROLE")
