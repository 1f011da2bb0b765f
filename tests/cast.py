"""The standing cast: tenant Acme with Olivia, Theo and Vera, and tenant Globex with Gus the outsider.

Import the functions, or take the fixture `cast` (`tests/conftest.py` offers it to every test with a database). Gus is the one
who is tried wherever something belongs to Acme: he gets nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from tenants.doors import across_tenants
from tenants.models import Membership, Role, Tenant, User

PASSWORD = "a password for tests only"


@dataclass(frozen=True)
class Cast:
    """Two tenants and four people; only Gus is of Globex."""

    acme: Tenant
    globex: Tenant
    olivia: User
    theo: User
    vera: User
    gus: User


def person(name: str) -> User:
    """A user called `name`, with the e-mail `name@example.com` and the cast's password."""
    return User.objects.create_user(f"{name.lower()}@example.com", PASSWORD, full_name=name)


def workspace(name: str, **members: Role) -> tuple[Tenant, dict[str, User]]:
    """A tenant called `name`, and its members by name, each in the role that is given."""
    with across_tenants("tests", one_transaction=True):
        tenant = Tenant.objects.create(name=name)
        people = {member: person(member) for member in members}
        for member, role in members.items():
            owns = role == Role.ADMIN and not Membership.objects.filter(tenant=tenant, is_owner=True).exists()
            Membership.objects.create(tenant=tenant, user=people[member], role=role, is_owner=owns)
    return tenant, people


def standing_cast() -> Cast:
    """Acme: Olivia (its owner, ADMIN), Theo (TRADER) and Vera (READONLY). Globex: Gus (ADMIN there, nobody here)."""
    acme, people = workspace("Acme", olivia=Role.ADMIN, theo=Role.TRADER, vera=Role.READONLY)
    globex, others = workspace("Globex", gus=Role.ADMIN)
    return Cast(acme, globex, people["olivia"], people["theo"], people["vera"], others["gus"])
