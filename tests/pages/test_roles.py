"""The pages under the role that the web process takes on: what it needs it may do, and no more."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import Client

from signalist.accounts.actions import open_paper_account
from signalist.domain.money import ZERO
from tenants.doors import across_tenants, acting_for
from tenants.models import User
from tests.cast import PASSWORD, Cast

pytestmark = [pytest.mark.django_db, pytest.mark.postgresql]


@pytest.fixture
def as_web(cast: Cast) -> Iterator[None]:
    """From here on every statement runs as the web's role."""
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE signalist_web")
        yield
        cursor.execute("RESET ROLE")


def test_a_newcomer_can_sign_up(client: Client, as_web: None) -> None:
    answer = client.post(
        "/accounts/signup/", {"email": "nell@example.com", "password1": "correct horse battery staple"}
    )
    assert answer.status_code == 302
    assert "nell's workspace" in client.get("/profile/").content.decode().replace("&#x27;", "'")


def test_a_member_can_log_in_and_change_the_profile(client: Client, cast: Cast, as_web: None) -> None:
    client.force_login(cast.vera)
    client.post("/profile/", {"full_name": "Vera Lind", "time_zone": "UTC"})
    assert "Vera Lind" in client.get("/profile/").content.decode()


def test_a_trader_throws_the_kill_switch_and_rewrites_no_record_of_it(client: Client, cast: Cast, as_web: None) -> None:
    client.force_login(cast.theo)
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    for state in ("HALTED", "ACTIVE"):
        client.post(f"/stop/tenant/{cast.acme.public_id}/", {"state": state, "reason": f"a drill {state}"})
    page = client.get("/stop/").content.decode()
    assert "a drill HALTED" in page and "a drill ACTIVE" in page
    with acting_for(cast.acme.pk), pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE risk_tenantswitchchange SET reason = 'never happened'")


def test_staff_read_across_tenants_and_write_nothing_there(client: Client, cast: Cast) -> None:
    staff = User.objects.create_superuser("staff@example.com", "a password for tests only")
    with across_tenants("tests"):
        open_paper_account(cast.acme.pk, "Paper of Acme", "USD", ZERO)
    client.force_login(staff)
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE signalist_web")
        client.post("/staff/powers/", {"reason": "a look at all of it"})
        assert "staff@example.com" in client.get("/staff/").content.decode()
        assert "Paper of Acme" in client.get("/admin/accounts/account/").content.decode()
        with across_tenants("staff"):
            cursor.execute("UPDATE accounts_account SET name = 'Mine now'")
            assert cursor.rowcount == 0
        cursor.execute("RESET ROLE")


@pytest.mark.parametrize("purpose", ["engine", "tests", "migration"])
def test_no_other_purpose_opens_anything_to_the_web(cast: Cast, as_web: None, purpose: str) -> None:
    with across_tenants(purpose), connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM tenants_membership")
        assert cursor.fetchone()[0] == 0


def test_sealed_secrets_are_not_for_staff(cast: Cast, as_web: None) -> None:
    with across_tenants("staff"), connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM tenants_credential")
        assert cursor.fetchone()[0] == 0


def test_the_paper_venue_s_books_are_closed_to_the_web(as_web: None) -> None:
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM accounts_paperaccount")
