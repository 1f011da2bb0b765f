"""Reads about people for staff: across all workspaces, behind the door `staff`."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Q, QuerySet

from tenants.belonging import Suspension
from tenants.doors import across_tenants
from tenants.models import Membership, User

STATES = {"": Q(), "active": Q(is_active=True), "suspended": Q(is_active=False), "staff": Q(is_staff=True)}


@dataclass(frozen=True, slots=True)
class Dossier:
    """A person, where they belong, and how often they were shut out."""

    user: User
    memberships: tuple[Membership, ...]
    suspensions: tuple[Suspension, ...]


def search(words: str, state: str) -> QuerySet[User]:
    """Users whose address or name holds every one of `words`, newest first."""
    found = User.objects.filter(STATES.get(state, Q()))
    for word in words.split()[:5]:
        found = found.filter(Q(email__icontains=word) | Q(full_name__icontains=word))
    return found.order_by("-pk")


def dossier(user: User) -> Dossier:
    """All that the page of a person shows, in two queries."""
    with across_tenants("staff"):
        memberships = Membership.objects.filter(user=user).select_related("tenant", "user").order_by("pk")
        suspensions = Suspension.objects.filter(user=user).select_related("by", "lifted_by").order_by("-pk")
        return Dossier(user, tuple(memberships), tuple(suspensions))
