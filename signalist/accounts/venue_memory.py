"""What engines note of venues, so that it outlives them: how far nonces are taken, and which doors are closed until when.

Plain functions of the database; an engine calls them on its writer thread and hands them to `transport.nonces` and `transport.ledger`.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction

from signalist.accounts.models import VenueBan, VenueNonces


def reserve(credential: str, at_least: int, block: int) -> int:
    """Put a block of nonces on record; returns its first, which is `at_least` or above all that were on record for this credential."""
    with transaction.atomic():
        VenueNonces.objects.bulk_create([VenueNonces(credential=credential, reserved_to=0)], ignore_conflicts=True)
        row = VenueNonces.objects.select_for_update().get(credential=credential)
        first = max(at_least, row.reserved_to)
        row.reserved_to = first + block
        row.save(update_fields=["reserved_to"])
    return first


def close(door: str, until: datetime) -> None:
    """Note that nobody may knock at this door before `until`; a later moment that is known already stands."""
    with transaction.atomic():
        VenueBan.objects.bulk_create([VenueBan(door=door, until=until)], ignore_conflicts=True)
        VenueBan.objects.filter(door=door, until__lt=until).update(until=until)


def closed(now: datetime) -> dict[str, float]:
    """The doors that are closed at `now`, and for how many seconds; what is long open again is forgotten."""
    VenueBan.objects.filter(until__lt=now - timedelta(days=1)).delete()
    found = VenueBan.objects.filter(until__gt=now).order_by("door")
    return {ban.door: (ban.until - now).total_seconds() for ban in found}
