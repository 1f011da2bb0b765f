"""The life of a file: asked for, made by a job that may be repeated, fetched by its owner alone, gone after a day.

Every function works behind the door of the file's tenant but `expire`, which goes across.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import IO

from django.db import transaction
from django.db.models import Q

from signalist.clock import utc_now
from signalist.downloads.models import Download, Part, Status

KEPT = timedelta(hours=24)
PART = 512 * 1024
"""Bytes of a part."""
ABANDONED = timedelta(minutes=15)
"""After which a file that is still being made has lost its maker, and another may begin anew."""
AN_HOUR, MOST_AN_HOUR = timedelta(hours=1), 3


class TooMany(ValueError):
    """Somebody asks for more files than an hour allows (RATE-06)."""


@transaction.atomic
def ask(tenant_id: int, user_id: int, kind: str, form: str, name: str) -> Download:
    """Put a file on record that a job is to make. Raises TooMany."""
    recent = Download.objects.filter(tenant_id=tenant_id, user_id=user_id, asked_at__gt=utc_now() - AN_HOUR).count()
    if recent >= MOST_AN_HOUR:
        raise TooMany(f"{MOST_AN_HOUR} files an hour are the most; try again later.")
    made: Download = Download.objects.create(tenant_id=tenant_id, user_id=user_id, kind=kind, format=form, name=name)
    return made


def begin(download_id: int, total: int) -> Download | None:
    """Claim the making; None where somebody else makes it, or it is made."""
    now = utc_now()
    free = Q(status=Status.WAITING) | Q(status=Status.MAKING, begun_at__lt=now - ABANDONED)
    with transaction.atomic():
        claimed = Download.objects.filter(free, pk=download_id).update(
            status=Status.MAKING, begun_at=now, done=0, total=total
        )
        if not claimed:
            return None
        Part.objects.filter(download_id=download_id).delete()
        return Download.objects.get(pk=download_id)


def progress(download: Download, done: int) -> None:
    """Say how far it is."""
    Download.objects.filter(pk=download.pk, status=Status.MAKING, begun_at=download.begun_at).update(done=done)


def keep(download: Download, n: int, content: bytes) -> None:
    """Store a part."""
    Part.objects.create(download=download, tenant_id=download.tenant_id, n=n, content=content)


def parts_of(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """A file in parts, numbered."""
    n = 0
    while content := file.read(PART):
        yield n, content
        n += 1


def ready(download: Download, size: int) -> None:
    """It is whole: its owner can fetch it for a day."""
    now = utc_now()
    Download.objects.filter(pk=download.pk, begun_at=download.begun_at).update(
        status=Status.READY, ready_at=now, expires_at=now + KEPT, size=size, done=download.total
    )


def failed(download: Download, why: str) -> None:
    """It cannot be made; its owner is told why."""
    Download.objects.filter(pk=download.pk).update(status=Status.FAILED, problem=why[:200])


def fetched(public_id: uuid.UUID, tenant_id: int, user_id: int) -> tuple[Download, list[bytes]] | None:
    """A file with its parts for its owner; None for everybody else, and when its time is over."""
    row: Download | None = Download.objects.filter(
        public_id=public_id, tenant_id=tenant_id, user_id=user_id, status=Status.READY, expires_at__gt=utc_now()
    ).first()
    if row is None:
        return None
    Download.objects.filter(pk=row.pk).update(fetched_at=utc_now())
    parts = Part.objects.filter(download=row, tenant_id=tenant_id).order_by("n")
    return row, [bytes(content) for content in parts.values_list("content", flat=True)]


def of_person(tenant_id: int, user_id: int) -> list[Download]:
    """The files that somebody asked for here, the newest first."""
    return list(Download.objects.filter(tenant_id=tenant_id, user_id=user_id).order_by("-pk")[:20])


def expire(now: datetime) -> int:
    """Delete the parts of files whose time is over, and of all that somebody gave up; how many files. Needs the door across tenants."""
    old = Download.objects.filter(status=Status.READY, expires_at__lte=now)
    keys = list(old.order_by("pk").values_list("pk", flat=True)[:500])
    with transaction.atomic():
        Part.objects.filter(download_id__in=keys).delete()
        return Download.objects.filter(pk__in=keys).update(status=Status.GONE)
