"""Members of a workspace: invited, joined, changed, approved, handed over, gone; and what their roles allow."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.test import Client

from signalist.audit.models import Entry
from signalist.clock import utc_now
from tenants.belonging import Invitation, RoleChange
from tenants.doors import across_tenants, acting_for
from tenants.models import Membership, Role, User
from tenants.permissions import PERMISSIONS, permits
from tests.cast import PASSWORD, Cast, person
from tests.pages.acme import plain

pytestmark = pytest.mark.django_db(transaction=True)
LONG_PASSWORD = "correct horse battery staple"


def as_member(user: User, *, proven: bool = True) -> Client:
    client = Client()
    client.force_login(user)
    if proven:
        client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    return client


def invited(by: Client, email: str, role: str = "TRADER") -> str:
    """The address in the mail."""
    mail.outbox.clear()
    answer = by.post("/workspace/invite/", {"email": email, "role": role}, follow=True)
    assert f"on its way to {email}" in plain(answer.content.decode())
    return str(re.findall(r"http://testserver(/invitations/\S+)", mail.outbox[0].body)[0])


def membership(cast: Cast, user: User) -> Membership | None:
    with acting_for(cast.acme.pk):
        return Membership.objects.filter(user=user).first()


def add(cast: Cast, name: str, role: str) -> User:
    user = person(name)
    with acting_for(cast.acme.pk):
        Membership.objects.create(tenant=cast.acme, user=user, role=role)
    return user


def recorded(cast: Cast) -> list[str]:
    with acting_for(cast.acme.pk):
        return list(Entry.objects.order_by("pk").values_list("action", flat=True))


# --- Invitations ---------------------------------------------------------------------------------


def test_somebody_unknown_joins_by_the_link_alone_and_gets_no_workspace_of_their_own(cast: Cast) -> None:
    link = invited(as_member(cast.olivia), "nell@example.com", "ANALYST")
    with acting_for(cast.acme.pk):
        assert link.split("/")[2] not in str(Invitation.objects.values_list())
    guest = Client()
    page = plain(guest.get(link).content.decode())
    assert "Join Acme" in page and "olivia@example.com invites nell@example.com as analyst" in page
    assert "Choose a password and join" in page
    form = guest.get(f"/accounts/signup/?next={link}").content.decode()
    assert 'value="nell@example.com"' in form
    guest.post("/accounts/signup/", {"email": "nell@example.com", "password1": LONG_PASSWORD, "next": link})
    guest.post(link)
    nell = User.objects.get(email="nell@example.com")
    with across_tenants("tests"):
        assert list(Membership.objects.filter(user=nell).values_list("tenant__name", "role")) == [("Acme", "ANALYST")]
    assert "Acme" in guest.get("/profile/").content.decode()
    assert Client().get(link).status_code == 410, "it works once"


def test_somebody_known_joins_beside_their_own_workspace_and_switches(cast: Cast) -> None:
    link = invited(as_member(cast.olivia), "gus@example.com", "READONLY")
    for other in (cast.theo, cast.vera):
        stranger = as_member(other)
        assert "You are logged in as" in plain(stranger.get(link).content.decode())
        stranger.post(link)
    assert membership(cast, cast.gus) is None
    gus = as_member(cast.gus)
    gus.post(link)
    assert "Acme · readonly" in plain(gus.get("/dashboard/").content.decode())
    gus.post("/workspace/switch/", {"tenant": str(cast.globex.public_id)})
    assert "Globex · admin" in plain(gus.get("/dashboard/").content.decode())
    theo = as_member(cast.theo)
    theo.post("/workspace/switch/", {"tenant": str(cast.globex.public_id)})
    assert "Globex" not in theo.get("/dashboard/").content.decode()


def test_a_link_ends_when_it_is_old_withdrawn_or_replaced(cast: Cast) -> None:
    olivia = as_member(cast.olivia)
    old = invited(olivia, "nell@example.com")
    new = invited(olivia, "nell@example.com")
    assert (Client().get(old).status_code, Client().get(new).status_code) == (410, 200)
    with acting_for(cast.acme.pk):
        row = Invitation.objects.get(withdrawn_at=None)
    assert as_member(cast.gus).post(f"/workspace/invitations/{row.public_id}/withdraw/").status_code == 404
    olivia.post(f"/workspace/invitations/{row.public_id}/withdraw/")
    assert Client().get(new).status_code == 410
    third = invited(olivia, "nell@example.com")
    with acting_for(cast.acme.pk):
        Invitation.objects.filter(withdrawn_at=None).update(expires_at=utc_now() - timedelta(seconds=1))
    assert Client().get(third).status_code == 410
    assert Client().get("/invitations/guessed/").status_code == 410


# --- Roles ---------------------------------------------------------------------------------------


def test_roles_change_after_a_step_up_and_what_was_open_closes(cast: Cast) -> None:
    there = f"/workspace/members/{cast.theo.public_id}/role/"
    unproven = as_member(cast.olivia, proven=False)
    assert unproven.post(there, {"role": "READONLY"}).headers["Location"].startswith("/accounts/reauthenticate/")
    as_member(cast.olivia).post(there, {"role": "READONLY"})
    found = membership(cast, cast.theo)
    assert found is not None and found.role == "READONLY"
    assert as_member(cast.theo).get("/orders/new/").status_code == 403
    done = [action for action in recorded(cast) if action != "session.stepped_up"]
    assert done == ["member.role_asked", "member.role_changed", "access.refused"]
    assert mail.outbox[-1].to == ["theo@example.com"]


def test_an_administrator_is_approved_by_another_one_who_is_neither_asking_nor_concerned(cast: Cast) -> None:
    first = f"/workspace/members/{cast.theo.public_id}/role/"
    olivia = as_member(cast.olivia)
    olivia.post(first, {"role": "ADMIN"})
    assert _role(cast, cast.theo) == "ADMIN", "nobody else is there who could approve"
    olivia.post(f"/workspace/members/{cast.vera.public_id}/role/", {"role": "ADMIN"})
    assert _role(cast, cast.vera) == "READONLY"
    with acting_for(cast.acme.pk):
        change = RoleChange.objects.get(state="PENDING")
    decision = f"/workspace/role-changes/{change.public_id}/"
    theo = as_member(cast.theo)
    assert "It is yours to decide" in plain(theo.get("/workspace/members/").content.decode())
    assert as_member(cast.gus).post(decision, {"answer": "approve"}).status_code == 404
    assert as_member(cast.vera).post(decision, {"answer": "approve"}).status_code == 403
    olivia.post(decision, {"answer": "approve"})
    assert _role(cast, cast.vera) == "READONLY", "not who asked for it"
    theo.post(decision, {"answer": "approve"})
    assert _role(cast, cast.vera) == "ADMIN"
    assert "member.role_changed" in recorded(cast)


def test_the_owner_is_neither_lowered_nor_removed_nor_leaves_and_hands_over_to_an_administrator(cast: Cast) -> None:
    olivia, theo_s = as_member(cast.olivia), f"/workspace/members/{cast.theo.public_id}"
    olivia.post("/workspace/leave/")
    olivia.post(f"{theo_s}/owner/")
    assert _owner(cast) == cast.olivia
    olivia.post(f"{theo_s}/role/", {"role": "ADMIN"})
    theo = as_member(cast.theo)
    for what, said in (("role", {"role": "TRADER"}), ("remove", {})):
        theo.post(f"/workspace/members/{cast.olivia.public_id}/{what}/", said)
    assert theo.post(f"/workspace/members/{cast.vera.public_id}/owner/").status_code == 403
    assert (_owner(cast), _role(cast, cast.olivia)) == (cast.olivia, "ADMIN")
    olivia.post(f"{theo_s}/owner/")
    assert (_owner(cast), _role(cast, cast.olivia)) == (cast.theo, "ADMIN")
    olivia.post("/workspace/leave/")
    assert olivia.get("/dashboard/").status_code == 302
    theo.post(f"/workspace/members/{cast.vera.public_id}/remove/")
    assert as_member(cast.vera).get("/profile/").headers["Location"] == "/workspace/"
    assert {"workspace.transferred", "member.left", "member.removed"} <= set(recorded(cast))


def test_each_page_of_members_is_for_whom_the_table_says(cast: Cast) -> None:
    changes: list[tuple[str, dict[str, Any]]] = [
        ("/workspace/invite/", {"email": "x@example.com", "role": "TRADER"}),
        (f"/workspace/members/{cast.vera.public_id}/role/", {"role": "TRADER"}),
        (f"/workspace/members/{cast.vera.public_id}/remove/", {}),
        (f"/workspace/members/{cast.vera.public_id}/owner/", {}),
    ]
    for user, may in ((cast.theo, 403), (cast.vera, 403)):
        client = as_member(user)
        assert client.get("/workspace/members/").status_code == client.get("/workspace/permissions/").status_code == 200
        assert {client.post(address, form).status_code for address, form in changes} == {may}
    outsider = as_member(cast.gus)
    assert {outsider.post(address, form).status_code for address, form in changes[1:]} == {404}
    assert "theo@example.com" not in outsider.get("/workspace/members/").content.decode()


def test_what_is_not_in_the_table_is_nobodys(cast: Cast) -> None:
    admin = Membership(role=Role.ADMIN, user=cast.olivia)
    assert not permits(admin, "money.print")
    assert not permits(Membership(role=Role.ADMIN, is_active=False), "orders.give")
    assert not permits(admin, "workspace.transfer") and permits(
        Membership(role="ADMIN", is_owner=True), "workspace.transfer"
    )
    assert PERMISSIONS["orders.give"].roles == {"ADMIN", "TRADER"}
    assert all(p.words and (p.roles or p.owner_only or p.shared) for p in PERMISSIONS.values())
    readers = {name for name, p in PERMISSIONS.items() if "READONLY" in p.roles}
    assert all(name.endswith(".view") for name in readers)


def _role(cast: Cast, user: User) -> str:
    found = membership(cast, user)
    assert found is not None
    return found.role


def _owner(cast: Cast) -> User:
    with acting_for(cast.acme.pk):
        return Membership.objects.select_related("user").get(is_owner=True).user
