"""The administration: staff see across tenants, and change nothing on the money path."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from signalist.accounts.actions import open_paper_account
from signalist.accounts.models import Account
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
