"""The administration: staff see across tenants, and change nothing on the money path."""

from __future__ import annotations

import json

import pytest
from allauth.account.models import EmailAddress
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django_q.models import Failure, OrmQ, Schedule

from signalist.accounts.actions import open_paper_account
from signalist.accounts.models import Account
from signalist.audit.models import Entry
from signalist.clock import utc_now
from signalist.domain.money import ZERO
from signalist.trading import models as trading
from tenants.doors import across_tenants
from tenants.models import Credential, User
from tests.cast import PASSWORD, Cast

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("staff@example.com", PASSWORD))
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    client.post("/staff/powers/", {"reason": "a look at all of it"})
    return client


@pytest.fixture
def accounts(cast: Cast) -> list[Account]:
    """One account of Acme and one of Globex."""
    with across_tenants("tests"):
        return [open_paper_account(t.pk, f"Paper of {t.name}", "USD", ZERO) for t in (cast.acme, cast.globex)]


def test_members_are_sent_to_the_log_in(client: Client, cast: Cast) -> None:
    client.force_login(cast.olivia)
    answer = client.get("/admin/")
    assert answer.status_code in (302, 403)


def test_staff_see_the_accounts_of_all_tenants(staff: Client, accounts: list[Account]) -> None:
    page = staff.get(reverse("admin:accounts_account_changelist")).content.decode()
    assert "Paper of Acme" in page
    assert "Paper of Globex" in page


def test_every_registered_list_opens(staff: Client, accounts: list[Account]) -> None:
    for model in admin.site._registry:
        answer = staff.get(reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"))
        assert answer.status_code == 200, model._meta.label


def test_nothing_on_the_money_path_can_be_changed_by_hand(staff: Client, accounts: list[Account]) -> None:
    money_path = {trading.Order, trading.Fill, trading.Position, trading.Trade, trading.Execution, Account}
    assert money_path <= set(admin.site._registry)
    for model in money_path:
        label = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        assert staff.get(reverse(f"{label}_add")).status_code == 403
    where = reverse("admin:accounts_account_change", args=[accounts[0].pk])
    assert staff.get(where).status_code == 200
    assert staff.post(where, {"name": "Mine now"}).status_code == 403
    with across_tenants("tests"):
        assert Account.objects.get(pk=accounts[0].pk).name == "Paper of Acme"


def test_sealed_secrets_have_no_page() -> None:
    assert Credential not in admin.site._registry


def test_a_clerk_takes_over_no_account_and_a_superuser_sets_two_things_with_a_proof(client: Client, cast: Cast) -> None:
    boss = User.objects.create_superuser("boss@example.com", PASSWORD)
    address = EmailAddress.objects.create(user=boss, email=boss.email, verified=True, primary=True)
    User.objects.filter(pk=cast.gus.pk).update(is_staff=True)
    cast.gus.user_permissions.add(*Permission.objects.all())  # all that can be given to a clerk
    client.force_login(cast.gus)
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    client.post("/staff/powers/", {"reason": "support case 5"})
    assert client.get("/admin/tenants/user/").status_code == 200
    edited = {"email": "gus2@evil.example", "is_active": "on", "is_staff": "on", "user": boss.pk, "verified": "on"}
    for page in (
        f"tenants/user/{boss.pk}/change",
        f"account/emailaddress/{address.pk}/change",
        "account/emailaddress/add",
    ):
        assert client.post(f"/admin/{page}/", edited).status_code == 403
    make_staff = {"action": "make_staff", "_selected_action": [cast.theo.pk, boss.pk]}
    client.post("/admin/tenants/user/", make_staff)
    assert not User.objects.get(pk=cast.theo.pk).is_staff
    assert User.objects.get(pk=boss.pk).email == "boss@example.com"

    client.force_login(boss)
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    client.post("/staff/powers/", {"reason": "support case 5"})
    session = client.session
    session["account_authentication_methods"] = []  # the proof has run out, the powers have not
    session.save()
    make_staff["_selected_action"] = [cast.theo.pk]
    assert "/accounts/reauthenticate/" in client.post("/admin/tenants/user/", make_staff).headers["Location"]
    assert not User.objects.get(pk=cast.theo.pk).is_staff
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    for action in ("make_staff", "allow_trading", "end_staff", "end_staff"):
        client.post("/admin/tenants/user/", make_staff | {"action": action})
    theo = User.objects.get(pk=cast.theo.pk)
    assert theo.trading_enabled and not theo.is_staff
    client.post("/admin/tenants/user/", {"action": "end_staff", "_selected_action": [boss.pk]})
    assert User.objects.get(pk=boss.pk).is_staff
    with across_tenants("tests"):
        entries = Entry.objects.filter(action__startswith="user.", target=str(theo.public_id)).order_by("pk")
        assert [(entry.action, json.loads(entry.details)["to"]) for entry in entries] == [
            ("user.staff_set", True), ("user.trading_set", True), ("user.staff_set", False),
        ]  # fmt: skip


def test_jobs_are_read_and_a_superuser_alone_has_a_failed_one_run_again(staff: Client, cast: Cast) -> None:
    now, code = utc_now(), "os.system"
    queued = OrmQ.objects.create(key="signalist", payload="x", lock=now)
    failed = [
        Failure.objects.create(
            id=f"{n:032}",
            name=f"job-{n}",
            func="tenants.jobs.rotate",
            args=(n,),
            started=now,
            stopped=now,
            success=False,
        )
        for n in (1, 2)
    ]
    given = {"func": code, "name": "mine", "schedule_type": "O", "repeats": 1, "key": "k", "payload": "p"}
    for row in (Schedule.objects.order_by("pk").first(), queued, *failed):
        assert row is not None
        label = f"admin:django_q_{row._meta.model_name}"
        for address in (
            reverse(f"{label}_add"),
            *(reverse(f"{label}_{what}", args=[row.pk]) for what in ("change", "delete")),
        ):
            assert staff.post(address, given | {"post": "yes"}).status_code == 403, address
    assert not Schedule.objects.filter(func=code).exists() and OrmQ.objects.get() == queued

    there = reverse("admin:django_q_failure_changelist")
    clerk = Client()
    User.objects.filter(pk=cast.gus.pk).update(is_staff=True)
    cast.gus.user_permissions.add(*Permission.objects.filter(content_type__app_label="django_q"))
    clerk.force_login(cast.gus)
    clerk.post("/accounts/reauthenticate/", {"password": PASSWORD})
    clerk.post("/staff/powers/", {"reason": "support case 5"})
    for who, left in ((clerk, 2), (staff, 1)):
        who.post(there, {"action": "run_again", "_selected_action": [failed[0].pk]})
        assert Failure.objects.count() == left
    again = OrmQ.objects.exclude(pk=queued.pk).get()
    assert (again.task["func"], again.task["args"]) == ("tenants.jobs.rotate", (1,))
    staff.post(there, {"action": "take_off", "_selected_action": [failed[1].pk]})
    assert not Failure.objects.exists() and OrmQ.objects.count() == 2
    with across_tenants("tests"):
        said = Entry.objects.filter(action__startswith="job.").order_by("pk").values_list("action", "target")
        assert list(said) == [("job.run_again", failed[0].pk), ("job.taken_off", failed[1].pk)]
