"""Staff: powers for a while, suspension, search, and a look at a workspace from which nothing can be changed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core import mail
from django.db import DatabaseError, connection
from django.test import Client

from signalist.accounts.actions import open_paper_account
from signalist.audit.models import Entry
from signalist.clock import utc_now
from signalist.domain.money import ZERO
from tenants.belonging import StaffSession
from tenants.doors import ShutToWriting, across_tenants, acting_for, only_looking, viewing
from tenants.models import Membership, User
from tests.cast import PASSWORD, Cast
from tests.pages.acme import plain

# What a reader opens, and so staff that looks.
PAGES = (
    "/dashboard/ /positions/ /orders/ /trades/ /decisions/ /books/ /commands/ /execution/ /markets/ /subscriptions/ /stop/ "
    "/marketplace/ /workspace/members/ /audit/ /my-data/"
).split()
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def clerk(cast: Cast) -> Client:
    """Sam of the staff, with powers."""
    client = Client()
    client.force_login(User.objects.create_user("sam@example.com", PASSWORD, is_staff=True))
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    assert client.post("/staff/powers/?next=/staff/", {"reason": "case 4711"}).headers["Location"] == "/staff/"
    return client


def recorded(tenant_id: int | None = None) -> list[str]:
    """What staff has done, without everybody's log-ins."""
    with across_tenants("tests"):
        found = Entry.objects.filter(tenant_id=tenant_id).order_by("pk").values_list("action", flat=True)
        return [action for action in found if action.startswith(("staff.", "user.", "access."))]


def test_powers_want_a_proof_and_a_reason_and_run_out(cast: Cast) -> None:
    sam = Client()
    sam.force_login(User.objects.create_superuser("sam@example.com", PASSWORD))
    for page in ("/staff/", "/admin/"):
        assert sam.get(page).headers["Location"].startswith("/staff/powers/?next=")
    assert sam.get("/staff/powers/").headers["Location"].startswith("/accounts/reauthenticate/")
    sam.post("/accounts/reauthenticate/", {"password": PASSWORD})
    sam.post("/staff/powers/", {"reason": "  "})
    assert sam.get("/staff/").status_code == 302
    sam.post("/staff/powers/", {"reason": "case 4711"})
    assert sam.get("/staff/").status_code == sam.get("/admin/").status_code == 200
    other = Client()
    other.force_login(User.objects.get(email="sam@example.com"))
    assert other.get("/staff/").status_code == 302, "another log-in of the same person has none"
    StaffSession.objects.update(expires_at=utc_now() - timedelta(seconds=1))
    assert sam.get("/staff/").status_code == sam.get("/admin/").status_code == 302
    assert recorded() == ["staff.powers_begun"]
    for user in (cast.olivia, cast.gus):
        member = Client()
        member.force_login(user)
        assert {member.get(page).status_code for page in ("/staff/", "/staff/powers/")} == {404}


def test_people_are_found_suspended_and_let_in_again(clerk: Client, cast: Cast) -> None:
    theo = Client()
    theo.force_login(cast.theo)
    page = plain(clerk.get("/staff/?q=THEO").content.decode())
    assert "theo@example.com" in page and "vera@example.com" not in page
    there = f"/staff/people/{cast.theo.public_id}/"
    assert "Acme" in plain(clerk.get(there).content.decode())
    clerk.post(f"{there}state/", {"what": "suspend", "reason": ""})
    assert theo.get("/profile/").status_code == 200, "a reason is wanted"
    clerk.post(f"{there}state/", {"what": "suspend", "reason": "chargeback"})
    assert theo.get("/profile/").status_code == 302
    answer = theo.post("/accounts/login/", {"login": "theo@example.com", "password": PASSWORD}, follow=True)
    assert theo.get("/profile/").status_code == 302 and answer.status_code == 200
    assert "theo@example.com" in plain(clerk.get("/staff/?state=suspended").content.decode())
    clerk.post(f"{there}state/", {"what": "reactivate"})
    theo.post("/accounts/login/", {"login": "theo@example.com", "password": PASSWORD})
    assert theo.get("/profile/").status_code == 200
    assert recorded() == ["staff.powers_begun", "user.suspended", "user.reactivated"]
    assert [sent.to for sent in mail.outbox] == [["theo@example.com"]] * 2
    me = User.objects.get(email="sam@example.com")
    clerk.post(f"/staff/people/{me.public_id}/state/", {"what": "suspend", "reason": "try"})
    assert User.objects.get(pk=me.pk).is_active


def test_a_look_shows_a_workspace_and_changes_nothing(clerk: Client, cast: Cast) -> None:
    with acting_for(cast.acme.pk):
        open_paper_account(cast.acme.pk, "Paper of Acme", "USD", ZERO)
    there = f"/staff/people/{cast.olivia.public_id}/look/"
    clerk.post(there, {"tenant": str(cast.globex.public_id)})
    assert "Globex" not in clerk.get("/dashboard/").content.decode(), "Olivia is not in it"
    clerk.post(there, {"tenant": str(cast.acme.public_id)})
    page = plain(clerk.get("/books/").content.decode())
    assert "You see Acme as olivia@example.com does" in page and "Paper of Acme" in page
    assert "Acme · readonly" in page
    for address, form in (
        (f"/stop/tenant/{cast.acme.public_id}/", {"state": "HALTED", "reason": "x"}),
        ("/workspace/leave/", {}),
        ("/orders/new/", {"key": "x"}),
    ):
        answer = clerk.post(address, form)
        assert answer.status_code == 403 and "You are only looking" in answer.content.decode()
    assert clerk.get("/orders/new/").status_code == 403
    assert recorded(cast.acme.pk)[:2] == ["staff.view_began", "access.refused"]
    clerk.post("/staff/look-away/")
    assert "Acme" not in clerk.get("/dashboard/", follow=True).content.decode()
    clerk.post(there, {"tenant": str(cast.acme.public_id)})
    clerk.post("/staff/powers/end/")
    assert clerk.get("/books/").status_code == 302


def test_the_door_itself_refuses_whatever_an_action_opens(cast: Cast) -> None:
    with only_looking(), viewing(cast.acme.pk):
        assert Membership.objects.count() == 3
        with pytest.raises(ShutToWriting):
            Membership.objects.update(role="ADMIN")
    with only_looking(), pytest.raises(ShutToWriting), acting_for(cast.acme.pk):
        open_paper_account(cast.acme.pk, "Mine", "USD", ZERO)
    with acting_for(cast.acme.pk):
        assert Membership.objects.filter(role="ADMIN").count() == 1


@pytest.mark.postgresql
def test_the_database_refuses_what_the_guard_does_not_see(clerk: Client, cast: Cast) -> None:
    past_the_guard = "DO $$ BEGIN UPDATE tenants_membership SET role = 'ADMIN'; END $$"
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE signalist_web")
        try:
            for door in (viewing, acting_for):
                with pytest.raises(DatabaseError, match="read-only transaction"), only_looking(), door(cast.acme.pk):
                    cursor.execute(past_the_guard)
                with pytest.raises(DatabaseError, match="read-only transaction"), only_looking(), door(cast.acme.pk):
                    cast.gus.save()  # no tenant's row at all
            there = f"/staff/people/{cast.olivia.public_id}/look/"
            clerk.post(there, {"tenant": str(cast.acme.public_id)})
            assert [clerk.get(page).status_code for page in PAGES] == [200] * len(PAGES)
            assert clerk.get("/orders/new/").status_code == 403
        finally:
            cursor.execute("RESET ROLE")
    with acting_for(cast.acme.pk):  # who does not look changes what is theirs
        assert Membership.objects.filter(role="ADMIN").update(role="ADMIN") == 1
