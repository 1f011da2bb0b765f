"""People, workspaces and roles."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.db import IntegrityError, connection, transaction
from django.db.models import ProtectedError

from tenants.doors import across_tenants, acting_for
from tenants.models import Membership, Role, Tenant, User
from tests.cast import PASSWORD, Cast, person

pytestmark = pytest.mark.django_db


def test_the_standing_cast(cast: Cast) -> None:
    with acting_for(cast.acme.pk):
        roles = dict(Membership.objects.values_list("user__full_name", "role"))
    assert roles == {"olivia": "ADMIN", "theo": "TRADER", "vera": "READONLY"}
    with acting_for(cast.globex.pk):
        assert Membership.objects.get().user == cast.gus


# --- Users ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("email", ["theo@example.com", "Theo@example.com", "THEO@EXAMPLE.COM", " theo@example.com "])
def test_an_email_is_taken_whatever_its_case(cast: Cast, email: str) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create_user(email, PASSWORD)
    assert User.objects.filter(email__iexact="theo@example.com").count() == 1


def test_an_email_is_taken_even_past_the_manager(cast: Cast) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.bulk_create([User(email="THEO@example.com")])
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.filter(pk=cast.gus.pk).update(email="Theo@Example.Com")


@pytest.mark.parametrize("email", ["theo@example.com", "THEO@example.com"])
def test_a_person_signs_in_with_the_email_in_any_case(cast: Cast, email: str) -> None:
    assert authenticate(username=email, password=PASSWORD) == cast.theo
    assert authenticate(username=email, password=PASSWORD + "!") is None


def test_a_password_is_stored_as_a_hash(cast: Cast) -> None:
    assert PASSWORD not in cast.theo.password
    assert cast.theo.check_password(PASSWORD)


def test_a_user_without_a_password_cannot_sign_in_with_one() -> None:
    newcomer = User.objects.create_user("oauth@example.com")
    assert not newcomer.has_usable_password()
    assert not newcomer.check_password("")


def test_a_newcomer_may_not_trade_and_is_known_outside_by_a_uuid() -> None:
    newcomer = person("Nia")
    newcomer.refresh_from_db()
    assert not newcomer.trading_enabled
    assert newcomer.is_active and not newcomer.is_staff and not newcomer.is_superuser
    assert isinstance(newcomer.public_id, uuid.UUID)
    assert newcomer.public_id != person("Ned").public_id
    assert (newcomer.time_zone, newcomer.preferences) == ("UTC", {})


def test_usernames_are_unique_but_need_not_be_there(cast: Cast) -> None:
    assert (cast.theo.username, cast.vera.username) == (None, None)
    User.objects.filter(pk=cast.theo.pk).update(username="theo")
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.filter(pk=cast.vera.pk).update(username="theo")


def test_a_superuser_is_staff() -> None:
    root = User.objects.create_superuser("root@example.com", PASSWORD)
    assert root.is_staff and root.is_superuser


# --- Memberships ---------------------------------------------------------------------------------


def _membership(cast: Cast, **changes: Any) -> Membership:
    return Membership(**{"tenant": cast.acme, "user": cast.gus, **changes})


@pytest.mark.parametrize("role", Role)
def test_the_four_roles_are_known(cast: Cast, role: Role) -> None:
    with acting_for(cast.acme.pk):
        _membership(cast, role=role).save()
        assert Membership.objects.get(user=cast.gus).role == role


def test_the_roles_are_those_of_the_specification() -> None:
    assert Role.values == ["ADMIN", "TRADER", "ANALYST", "READONLY"]


@pytest.mark.parametrize("role", ["OWNER", "admin", ""])
def test_an_unknown_role_is_refused_by_the_database(cast: Cast, role: str) -> None:
    with acting_for(cast.acme.pk):
        with pytest.raises(IntegrityError), transaction.atomic():
            _membership(cast, role=role).save()
        with pytest.raises(IntegrityError), transaction.atomic():
            Membership.objects.update(role=role)


def test_a_new_member_is_a_trader_with_a_hundred_trades_a_day_and_a_tenth_a_position(cast: Cast) -> None:
    with acting_for(cast.acme.pk):
        _membership(cast).save()
        member = Membership.objects.get(user=cast.gus)
    assert (member.role, member.is_active, member.max_daily_trades) == (Role.TRADER, True, 100)
    assert member.max_position_fraction == Decimal("0.1")


def test_a_user_is_a_member_of_a_tenant_once(cast: Cast) -> None:
    with acting_for(cast.acme.pk), pytest.raises(IntegrityError), transaction.atomic():
        _membership(cast, user=cast.theo).save()


def test_a_user_may_be_a_member_of_several_tenants(cast: Cast) -> None:
    with acting_for(cast.globex.pk):
        _membership(cast, tenant=cast.globex, user=cast.theo, role=Role.ANALYST).save()
    with across_tenants("tests"):
        roles = dict(cast.theo.memberships.values_list("tenant__name", "role"))
    assert roles == {"Acme": "TRADER", "Globex": "ANALYST"}


def test_a_tenant_with_rows_cannot_be_deleted(cast: Cast) -> None:
    with across_tenants("tests"):
        with pytest.raises(ProtectedError):
            cast.acme.delete()
        assert Tenant.objects.filter(pk=cast.acme.pk).exists()


def test_the_database_itself_knows_the_constraints(cast: Cast) -> None:
    with connection.cursor() as cursor:
        on_users = connection.introspection.get_constraints(cursor, "tenants_user")
        on_members = connection.introspection.get_constraints(cursor, "tenants_membership")
    assert on_users["user_email_unique"]["unique"]
    assert on_members["membership_role_known"]["check"]
